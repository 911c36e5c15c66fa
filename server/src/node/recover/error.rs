//! Why a cluster was not recovered.

use std::path::PathBuf;

use crate::{node::StartError, raft::StorageError};

/// Nothing was changed, unless the disk failed in the middle: then it is to be done again.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It is no data directory.
    #[error("{0} holds no data of a broker")]
    NoData(PathBuf),
    /// It has no cluster that could be recovered.
    #[error("{0} is of a broker that is alone: it has nothing to recover")]
    Alone(PathBuf),
    /// Two directories that do not belong together.
    #[error("{one} is of cluster {cluster_id}, and {other} of {other_id}")]
    OtherCluster {
        /// A directory.
        one: PathBuf,
        /// Its cluster.
        cluster_id: String,
        /// Another one.
        other: PathBuf,
        /// Its cluster.
        other_id: String,
    },
    /// Two directories of one broker.
    #[error("{one} and {other} are both of broker {broker_id}; leave out the older one")]
    SameBroker {
        /// The broker.
        broker_id: i32,
        /// A directory.
        one: PathBuf,
        /// Another one.
        other: PathBuf,
    },
    /// The cluster was recovered without it.
    #[error(
        "{0} was left out when its cluster was recovered: its broker starts with an empty directory, and is filled"
    )]
    LeftOut(PathBuf),
    /// Without it nobody knows which partitions there are.
    #[error("none of these directories has a metadata log that can be read")]
    NoMetadata,
    /// The metadata's log holds what this program cannot read.
    #[error("{0}")]
    Metadata(#[from] StartError),
}
