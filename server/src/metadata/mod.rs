//! The cluster's metadata as a value: an image that changes only by applying records. Pure: no I/O, no tokio.
//!
//! Not here: where records are stored, who may propose them, and the wire's names for all this.

mod broker;
mod fields;
mod image;
mod name;
mod record;
mod topic;
pub mod topic_config;

pub use broker::{Broker, Endpoint};
pub use fields::{FieldReader, FieldWriter};
pub use image::Image;
pub use name::{NameError, check_topic_name, metric_name};
pub use record::{MetadataRecord, RecordError};
pub use topic::{NO_BROKER, PartitionInfo, Replica, Topic, first_replicas};
pub use topic_config::TopicSettings;
