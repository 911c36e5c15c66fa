//! The cluster's metadata as a value: an image that changes only by applying records. Pure: no I/O, no tokio.
//!
//! Not here: where records are stored, who may propose them, and the wire's names for all this.

mod image;
mod name;
mod record;
pub mod topic_config;

pub use image::{Broker, Image, PartitionInfo, Topic};
pub use name::{NameError, check_topic_name, metric_name};
pub use record::{MetadataRecord, RecordError};
pub use topic_config::TopicSettings;
