//! Why a broker did not start, or could not go on.

use std::sync::Arc;

use crate::{controller::ControllerError, raft::StorageError};

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
}
