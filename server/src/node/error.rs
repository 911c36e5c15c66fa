//! Why a broker did not start, or could not go on.

use std::sync::Arc;

use crate::{
    controller::ControllerError,
    raft::{GroupError, StorageError},
};

/// The broker did not start. Nothing was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The metadata's log holds what this program cannot read.
    #[error("the metadata log cannot be read: {0}")]
    Metadata(String),
    /// The metadata's log takes no records.
    #[error("this broker could not register itself: {0}")]
    Register(#[from] ControllerError),
    /// The brokers of the cluster do not fit together.
    #[error("{0}")]
    Cluster(String),
    /// Another process has this broker's id.
    #[error(
        "another process runs as broker {broker_id}, as broker {said_by} says; give one of the two another --node-id and a directory of its own"
    )]
    IdTaken {
        /// This broker.
        broker_id: i32,
        /// Who has a connection of the other process.
        said_by: i32,
    },
    /// A port that was free at first is not any more.
    #[error("connections cannot be taken: {0}")]
    Listen(std::io::Error),
    /// A Raft group could not be started.
    #[error("the metadata's group could not be started: {0}")]
    Group(#[from] GroupError),
}

/// The broker could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A write or a sync failed. Nothing is retried; the next start recovers what was acknowledged.
    #[error("{0}")]
    Disk(Arc<str>),
    /// The last checkpoint could not be written; the next start replays the journal instead.
    #[error("stopped without a last checkpoint: {0}; what was acknowledged is recovered at the next start")]
    Close(#[from] StorageError),
    /// Another process has this broker's id.
    #[error(
        "another process runs as broker {broker_id}, as broker {said_by} says; give one of the two another --node-id and a directory of its own"
    )]
    IdTaken {
        /// This broker.
        broker_id: i32,
        /// Who has a connection of the other process.
        said_by: i32,
    },
}
