//! The way to other brokers. Not here: connections.

use std::{future::Future, pin::Pin};

/// The answer of [`Peers::call`]; an error says why there is none.
pub type Calling = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// Calls other brokers' controllers and leaders.
pub trait Peers: Send + Sync {
    /// Sends a message to a broker, which may be this one; resolves with its answer. Bounded in time by whoever implements it.
    fn call(&self, broker_id: i32, message: Vec<u8>) -> Calling;
}

/// There is nobody to call.
pub(super) struct NoPeers;

impl Peers for NoPeers {
    fn call(&self, _: i32, _: Vec<u8>) -> Calling {
        Box::pin(async { Err("this broker is alone".to_owned()) })
    }
}
