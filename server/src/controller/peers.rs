//! The way to other brokers. Not here: connections.

use std::{future::Future, pin::Pin};

/// The answer of [`Peers::call`]; an error says why there is none.
pub type Calling = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// What a message is, and so who reads it at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A [`Request`](super::Request), for the controller.
    Request,
    /// An [`Order`](super::Order), for a partition's leader.
    Order,
}

/// Calls other brokers' controllers and leaders.
pub trait Peers: Send + Sync {
    /// Sends a message to a broker, which may be this one; resolves with its answer. Bounded in time by whoever implements it.
    fn call(&self, broker_id: i32, kind: MessageKind, message: Vec<u8>) -> Calling;
}

/// There is nobody to call.
pub(super) struct NoPeers;

impl Peers for NoPeers {
    fn call(&self, _: i32, _: MessageKind, _: Vec<u8>) -> Calling {
        Box::pin(async { Err("this broker is alone".to_owned()) })
    }
}
