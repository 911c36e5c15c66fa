//! Offsets of partitions: look up by kind or time, and delete the records below one.

use super::Admin;
use crate::ClientError;

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first there is.
    Earliest,
    /// The one that the next record will get.
    Latest,
    /// That of the record with the largest timestamp.
    MaxTimestamp,
    /// That of the first record at or after this time, in milliseconds since 1970.
    Timestamp(i64),
}

/// An offset that a partition answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// None where no record fits the question.
    pub offset: Option<i64>,
    /// The record's timestamp, where the question was about one.
    pub timestamp_ms: Option<i64>,
    /// The leader's epoch; None if the broker does not say.
    pub leader_epoch: Option<i32>,
}

/// One result per partition asked for, in the order asked.
pub type PartitionOutcomes<T> = Vec<(String, i32, Result<T, ClientError>)>;

impl Admin {
    /// Offsets of many partitions, each from its leader.
    ///
    /// # Errors
    /// What any request may meet; each partition has its own result.
    pub async fn list_offsets(
        &self,
        partitions: &[(&str, i32, OffsetSpec)],
    ) -> Result<PartitionOutcomes<ListedOffset>, ClientError> {
        let _ = partitions;
        todo!()
    }

    /// Deletes the records below an offset of each partition, -1: all there are. Answers the new log start offsets.
    ///
    /// # Errors
    /// What any request may meet; each partition has its own result.
    pub async fn delete_records(&self, partitions: &[(&str, i32, i64)]) -> Result<PartitionOutcomes<i64>, ClientError> {
        let _ = partitions;
        todo!()
    }
}
