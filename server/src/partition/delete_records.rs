//! DeleteRecords' answer: a wait for the moved log start. Not here: files; retention deletes them.

use super::waiters::{CommitError, Committed};

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
    pub(super) low_watermark: i64,
    pub(super) committed: Option<Committed>,
}

impl DeletedRecords {
    /// Waits until the move survives a crash; gives the low watermark, the new log start.
    ///
    /// # Errors
    /// The partition failed or went away meanwhile.
    pub async fn low_watermark(self) -> Result<i64, CommitError> {
        if let Some(committed) = self.committed {
            committed.await?;
        }
        Ok(self.low_watermark)
    }
}
