//! The Kafka APIs: one file each, one dispatch table that knows them all.
//!
//! A handler gets a decoded request and what it may ask of the broker, and gives a [`Handling`]: an answer in hand, or
//! one that waits. Only Produce lets the connection read on while its answer waits; answers leave in request order.
//!
//! Not here: sockets and frames (`net`), what partitions and the controller decide, files.

mod access;
mod api_versions;
mod context;
mod dispatch;
mod error_code;
mod header;
mod metadata;
mod refusal;
mod reply;
mod topic;

pub use access::{Access, Operation, Resource};
pub use context::{ApiConfig, Broker, ConnectionInfo, RequestContext};
pub use dispatch::{Dispatched, Dispatcher};
pub use refusal::Refusal;
pub use reply::{Handling, Part, Reply, ReplyHeader, Waiting};
