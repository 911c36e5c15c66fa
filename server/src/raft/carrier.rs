//! What groups need of the network: requests to other brokers, answered. Not here: sockets.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::node_id::NodeId;

/// Which connection to a broker carries a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Appends, heartbeats, votes: in the order in which they were called.
    Append,
    /// Snapshots, which must not stand in the way of the others.
    Bulk,
}

/// Carries requests to members on other brokers.
pub trait Carrier: Send + Sync + 'static {
    /// Sends `body`, its parts one behind the other, to the broker of `to`; the answer is what its `Groups::serve` gave. The
    /// request is queued when this is called, before the future is polled, and dropping the future does not unsend it.
    fn call(&self, to: NodeId, lane: Lane, body: Vec<Bytes>) -> BoxFuture<'static, Result<Bytes, CarrierError>>;
}

/// Why there is no answer. The request may have been served all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// There is no connection: trying again at once is of no use.
    #[error("broker is not reachable: {0}")]
    Unreachable(String),
    /// The connection ended before the answer came, or the other side refused the request.
    #[error("no answer: {0}")]
    Lost(String),
    /// No answer came in time.
    #[error("no answer in time")]
    Timeout,
}
