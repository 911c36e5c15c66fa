//! Calls between brokers: own frames over TCP, one connection per broker and lane, made by the side that calls.
//!
//! ```text
//! call -> line (bounded queue) -> connection ---[ frames ]---> connection -> service      in the order of the calls
//!   ^------------ matched by id <-------------[ frames ]-------- answers, as they come
//! ```
//! Frames are at most 64 MiB, with checksums of header and body; all that wait leave in one vectored write, and bodies are
//! never copied together. One task per connection at either end and one per port; no task per call. Queues are bounded in
//! bytes and calls, long bodies share one memory budget. A broker that takes no bytes or leaves a call unanswered for too
//! long (3 s, on the bulk lane 30 s) fails every call of its connection. Locks: a line's state, the open connections, the
//! table of brokers; none is held over an await or another.
//!
//! Not here: what is called (Raft, the metadata), who is a member, TLS.

mod admission;
mod calling;
mod close;
mod config;
mod dial;
mod error;
mod frame;
mod fuzz;
mod hello;
mod identity;
mod line;
mod listener;
mod metrics;
mod reader;
mod serving;
mod shared;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod transport;
mod watchdog;
mod writer;

#[cfg(test)]
mod tests;

pub use config::TransportConfig;
pub use dial::{Dialer, TcpDialer, Wire};
pub use error::{CallError, NotAdmitted, Refusal};
pub use fuzz::fuzz_peer_bytes;
pub use identity::{Caller, Identity, Lane};
pub use serving::Service;
pub use shared::{IdTaken, Losses};
pub use transport::{Seams, Transport};
