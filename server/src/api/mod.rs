//! The Kafka APIs: one file each, one dispatch table that knows them all.
//!
//! A handler gets a decoded request and what it may ask of the broker, and gives an [`Handling`]: an answer in hand, or
//! one that waits. Only Produce lets the connection read on while its answer waits; answers leave in request order.
//!
//! Not here: sockets and frames (`net`), what partitions and the controller decide, files.

mod context;
mod reply;

pub use context::{Broker, ConnectionInfo, RequestContext};
pub use reply::{Handling, Part, Reply};
