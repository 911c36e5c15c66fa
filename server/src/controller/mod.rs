//! Decides changes of the metadata: checks a request against the image, proposes records, publishes the new image.
//!
//! One change at a time: a mutex is held from the check to the commit, so two creations of one name cannot both pass.
//! Not here: the wire, logs, and who is elected (the replication issue).

mod configs;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod controller;
mod error;
mod handle;
mod log;
mod producer_ids;
mod topics;

#[cfg(test)]
mod tests;

pub use configs::{ConfigChange, ConfigOp, NewConfigs, Resource};
pub use controller::{Controller, ControllerConfig};
pub use error::ControllerError;
pub use handle::{ImageHandle, ImageListener};
pub use log::{MetadataLog, ProposeError, Proposing};
pub use topics::{CreatedTopic, GrowTopic, NewTopic, TopicRef};
