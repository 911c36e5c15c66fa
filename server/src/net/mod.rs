//! Listeners and connections: frames in, answers out, and the limits that keep a hostile peer cheap.
//!
//! ```text
//! accept -> quota -> connection: [ frame -> dispatch -> answers (in order) -> write ]*
//! ```
//! One task per listener, one per connection; a handler runs on its connection's task. An idle connection holds no
//! buffer and one timer. Produce answers wait in a queue while reading goes on; past any other request nothing is read
//! until it is answered. All frames together stay inside one memory budget: above it, reading pauses.
//!
//! Not here: what is in a frame beyond its length (`api`), TLS, who may do what.

mod answers;
mod close;
mod config;
mod connection;
mod frame;
mod listener;
mod quota;
mod serve;
mod writer;

#[cfg(test)]
mod tests;

pub use config::NetConfig;
pub use serve::Net;
