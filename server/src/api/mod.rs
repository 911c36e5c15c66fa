//! The Kafka APIs: one file each, one dispatch table that knows them all.
//!
//! A handler gets a decoded request and what it may ask of the broker, and gives a [`Handling`]: an answer in hand, or
//! one that waits. Only Produce lets the connection read on while its answer waits; answers leave in request order.
//!
//! What changes the metadata is answered by the controller: on another broker of a cluster the dispatcher forwards it.
//!
//! Not here: sockets and frames (`net`), what partitions and the controller decide, files.

#![allow(clippy::needless_pass_by_value, reason = "a handler owns its request, whether it keeps parts of it or not")]

mod access;
mod add_raft_voter;
mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod config_entry;
mod context;
mod controller_answer;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod dispatch;
mod elect_leaders;
mod error_code;
mod fetch;
mod fetch_session;
mod forwarded;
mod header;
mod incremental_alter_configs;
mod init_producer_id;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_for_leader_epoch;
mod partition_lookup;
mod produce;
mod refusal;
mod remove_raft_voter;
mod reply;
mod resource;
mod topic;
mod unregister_broker;

#[cfg(test)]
pub(crate) mod tests;

pub use access::{Access, Operation, Resource};
pub use context::{ApiConfig, Broker, ConnectionInfo, RequestContext};
pub use dispatch::{Dispatched, Dispatcher, fuzz_request};
pub use fetch_session::FetchSessions;
pub use forwarded::{Forward, ForwardError, Forwarding, answer_forwarded};
pub use refusal::Refusal;
pub use reply::{Handling, Part, Reply, ReplyHeader, Waiting};
