//! Looks at the cluster and changes it: topics, partitions, configs, offsets, log directories, quorum, moves.
//!
//! One file per kind of thing. A call about several things answers for each by name, in the order asked.

#[allow(clippy::module_inception)]
mod admin;
mod cluster;
mod configs;
mod offsets;
mod quorum;
mod reassignments;
mod topics;

pub use admin::{Admin, Outcomes};
pub use cluster::{ClusterDescription, FollowerLag, LogDir, LogDirReplica};
pub use configs::{ConfigChange, ConfigEntry, ConfigOp, ConfigResource, ConfigSource};
pub(crate) use offsets::list_offset;
pub use offsets::{ListedOffset, OffsetSpec, PartitionOutcomes};
pub use quorum::{QuorumDescription, QuorumReplica};
pub use reassignments::{OngoingMove, PartitionMove};
pub use topics::{CreatedTopic, NewTopic, TopicListing};
