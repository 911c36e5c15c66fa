//! The requests, story by story: each prepares its topics, then asks. Requests of one story may build on each other.

mod api_versions;
mod configs;
mod delete_records;
mod fetch;
mod fetch_sessions;
mod idempotence;
mod list;
mod list_offsets;
mod metadata;
mod produce;
pub mod producing;
pub mod raw;
mod replicas;
mod topics;

pub use list::{ALL, plant};
