//! One partition led here: the handle that the APIs hold. Not here: bytes on disk, who leads what.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::{
    append::{Append, AppendError, AppendOptions},
    delete_records::{DeleteRecordsError, DeletedRecords},
    fetch::{FetchError, FetchParams, Fetched},
    offsets::{FoundOffset, OffsetError, OffsetSpec},
    waiters::FetchWaiter,
};

/// A producer's state on a partition (DescribeProducers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerDescription {
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of its last record; -1 if none.
    pub last_sequence: i32,
    /// Timestamp of its last batch, milliseconds since 1970.
    pub last_timestamp: i64,
    /// -1 without one.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction; -1 if none.
    pub current_txn_start_offset: i64,
}

/// One partition with its replica on this broker. Shared as `Arc<Partition>`.
#[derive(Debug)]
pub struct Partition {}

impl Partition {
    /// Checks a batch and writes it to the log, in the caller's own time: a page-cache write, no disk sync. With
    /// [`super::AckLevel::All`] the answer waits for [`Append::committed`].
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was written.
    pub fn append(&self, _batch: Bytes, _options: &AppendOptions) -> Result<Append, AppendError> {
        todo!("partition: append")
    }

    /// Compare-and-append: writes whole batches at the offsets they carry, if the log ends at `expected_end` and every
    /// base offset is at or above it. The mirror stands on this.
    ///
    /// # Errors
    /// [`AppendError::UnexpectedEnd`], [`AppendError::NotLeader`] for another topic id, or those of an append.
    pub fn append_at(
        &self,
        _topic_id: Uuid,
        _link_epoch: i32,
        _expected_end: i64,
        _batch: Bytes,
    ) -> Result<Append, AppendError> {
        todo!("partition: append_at")
    }

    /// Committed records from an offset.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch(&self, _params: &FetchParams) -> Result<Fetched, FetchError> {
        todo!("partition: fetch")
    }

    /// Lets `waiter` count what becomes visible from now on. `seen` is the [`Fetched::high_watermark`] of the read that
    /// found too little: if more is visible already, the waiter fires at once.
    pub fn watch(&self, _waiter: &Arc<FetchWaiter>, _seen: i64) {
        todo!("partition: watch")
    }

    /// Offset after the last committed record.
    pub fn high_watermark(&self) -> i64 {
        todo!("partition: high_watermark")
    }

    /// Below it no transaction is open.
    pub fn last_stable_offset(&self) -> i64 {
        todo!("partition: last_stable_offset")
    }

    /// First offset there is.
    pub fn log_start_offset(&self) -> i64 {
        todo!("partition: log_start_offset")
    }

    /// Offset after the last record, committed or not.
    pub fn log_end_offset(&self) -> i64 {
        todo!("partition: log_end_offset")
    }

    /// The epoch in which this broker leads.
    pub fn leader_epoch(&self) -> i32 {
        todo!("partition: leader_epoch")
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        todo!("partition: size_bytes")
    }

    /// The topic's id.
    pub fn topic_id(&self) -> Uuid {
        todo!("partition: topic_id")
    }

    /// The partition's number.
    pub fn partition_index(&self) -> i32 {
        todo!("partition: partition_index")
    }

    /// Producers with state here, by id.
    pub fn producers(&self) -> Vec<ProducerDescription> {
        todo!("partition: producers")
    }

    /// ListOffsets. `current_leader_epoch` -1: no check.
    ///
    /// # Errors
    /// See [`OffsetError`].
    pub fn offset_for(
        &self,
        _spec: OffsetSpec,
        _read_committed: bool,
        _current_leader_epoch: i32,
    ) -> Result<FoundOffset, OffsetError> {
        todo!("partition: offset_for")
    }

    /// OffsetForLeaderEpoch: the largest epoch at or below `epoch` and its end offset; (-1, -1) if there is none.
    ///
    /// # Errors
    /// See [`OffsetError`].
    pub fn end_offset_for_epoch(&self, _epoch: i32, _current_leader_epoch: i32) -> Result<(i32, i64), OffsetError> {
        todo!("partition: end_offset_for_epoch")
    }

    /// Moves the log start up to `offset` (-1: the high watermark). Await the result's
    /// [`DeletedRecords::low_watermark`] before answering.
    ///
    /// # Errors
    /// See [`DeleteRecordsError`].
    pub fn delete_records(&self, _offset: i64) -> Result<DeletedRecords, DeleteRecordsError> {
        todo!("partition: delete_records")
    }
}
