//! DeleteRecords: moves the log start, and deletes the segments below once the move is durable. Not here: retention by
//! time and size.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{partition::Partition, waiters::CommitError};
use crate::raft::{Replica, ReplicaError};

/// Why records were not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteRecordsError {
    /// Negative, or above the high watermark: OFFSET_OUT_OF_RANGE (1).
    #[error("offset {offset} is outside 0..={high_watermark}")]
    OffsetOutOfRange {
        /// Asked for.
        offset: i64,
        /// The most that can be.
        high_watermark: i64,
    },
    /// `cleanup.policy` has no `delete`: POLICY_VIOLATION (44).
    #[error("cleanup.policy is not delete")]
    PolicyViolation,
    /// Deleted, or led elsewhere: NOT_LEADER_OR_FOLLOWER (6).
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// KAFKA_STORAGE_ERROR (56).
    #[error("storage: {0}")]
    Storage(String),
}

/// A log start that was moved and is on its way to the disk.
#[derive(Debug)]
pub struct DeletedRecords {
    low_watermark: i64,
    durable: oneshot::Receiver<()>,
    replica: Arc<Replica>,
}

impl DeletedRecords {
    /// Waits until the move survives a crash, and deletes the segments below; gives the low watermark, the new log start.
    ///
    /// # Errors
    /// The partition failed or went away meanwhile.
    pub async fn low_watermark(self) -> Result<i64, CommitError> {
        self.durable.await.map_err(|_| CommitError::Storage)?;
        match self.replica.delete_old_segments() {
            Ok(_) | Err(ReplicaError::Deleted) => Ok(self.low_watermark),
            Err(_) => Err(CommitError::Storage),
        }
    }
}

impl Partition {
    /// Moves the log start up to `offset` (-1: the high watermark). Await the result's
    /// [`DeletedRecords::low_watermark`] before answering.
    ///
    /// # Errors
    /// See [`DeleteRecordsError`].
    pub fn delete_records(&self, offset: i64) -> Result<DeletedRecords, DeleteRecordsError> {
        if !self.settings.load().deletes {
            return Err(DeleteRecordsError::PolicyViolation);
        }
        let high_watermark = self.high_watermark();
        let offset = if offset == -1 { high_watermark } else { offset };
        if !(0..=high_watermark).contains(&offset) {
            return Err(DeleteRecordsError::OffsetOutOfRange { offset, high_watermark });
        }
        Ok(self.move_log_start(offset)?)
    }

    /// Lets records below an offset go, whatever the settings say; waits until the move survives a crash.
    ///
    /// # Errors
    /// See [`DeleteRecordsError`].
    pub async fn start_at(&self, offset: i64) -> Result<(), DeleteRecordsError> {
        let moved = self.move_log_start(offset)?.low_watermark().await;
        moved.map(drop).map_err(|error| DeleteRecordsError::Storage(error.to_string()))
    }

    /// Moves the log start; long polls below it look again.
    pub(super) fn move_log_start(&self, offset: i64) -> Result<DeletedRecords, ReplicaError> {
        let (low_watermark, durable) = self.replica.move_log_start(offset)?;
        self.waiters.disturb();
        Ok(DeletedRecords { low_watermark, durable, replica: Arc::clone(&self.replica) })
    }
}

impl From<ReplicaError> for DeleteRecordsError {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Deleted | ReplicaError::NotLeader { .. } => Self::NotLeader,
            other => Self::Storage(other.to_string()),
        }
    }
}
