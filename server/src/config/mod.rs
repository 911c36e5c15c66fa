//! Every room's settings, put together from a properties file with Kafka's key names and from flags. Nothing else reads them.
//!
//! Not here: reading the file, and what a setting does.

mod address;
mod cluster;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod config;
mod error;
mod settings;

pub use cluster::{ClusterConfig, Voter};
pub use config::{Config, OWN_KEYS};
pub use error::ConfigError;
