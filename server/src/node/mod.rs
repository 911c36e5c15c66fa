//! Builds the rooms, joins them, and shuts them down in order.
//!
//! Here the metadata's log becomes an image, the controller writes to it, and partitions follow the image. Tasks: one per
//! listener, one for retention. Not here: any decision of a room.

mod cluster;
mod error;

mod metadata_log;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod node;
pub mod recover;
mod voters;

pub use error::{RunError, StartError};
pub use node::Node;
