//! Listeners and streams: TCP, or inside the process for the bridge and tests.
//!
//! Not here: frames, limits, TLS.

mod listener;
mod stream;

pub use listener::{InProcessConnector, Listener, in_process};
pub use stream::Stream;
