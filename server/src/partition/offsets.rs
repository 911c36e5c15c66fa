//! ListOffsets and OffsetForLeaderEpoch on one partition. Not here: the lookup inside segments.

use super::{fetch::check_epoch, partition::Partition};
use crate::{
    log::{ReadError, TimestampOffset},
    raft::{ReplicaError, Role},
};

/// A position asked for by meaning (ListOffsets' special timestamps, KIP-734, KIP-405, KIP-1005).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// -2: the log start.
    Earliest,
    /// -1: the high watermark, or the last stable offset for read_committed.
    Latest,
    /// -3: the record with the largest timestamp.
    MaxTimestamp,
    /// -4: the first offset on this broker's own disk.
    EarliestLocal,
    /// -5: the last offset in remote storage; there is none here.
    LastTiered,
    /// The first record at or after this many milliseconds since 1970.
    Timestamp(i64),
}

impl OffsetSpec {
    /// From the wire's number; `None` below -5.
    pub fn from_timestamp(timestamp: i64) -> Option<Self> {
        Some(match timestamp {
            -1 => Self::Latest,
            -2 => Self::Earliest,
            -3 => Self::MaxTimestamp,
            -4 => Self::EarliestLocal,
            -5 => Self::LastTiered,
            0.. => Self::Timestamp(timestamp),
            _ => return None,
        })
    }
}

/// An answer; -1 in each field that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: i64,
    /// The record's timestamp, for lookups by time.
    pub timestamp: i64,
    /// The epoch that wrote it.
    pub leader_epoch: i32,
}

impl FoundOffset {
    /// Nothing there.
    pub const NONE: Self = Self { offset: -1, timestamp: -1, leader_epoch: -1 };
}

/// Why a lookup was refused.
#[derive(Debug, thiserror::Error)]
pub enum OffsetError {
    /// FENCED_LEADER_EPOCH (74).
    #[error("leader epoch is older than {leader_epoch}")]
    FencedLeaderEpoch {
        /// Ours.
        leader_epoch: i32,
    },
    /// UNKNOWN_LEADER_EPOCH (75).
    #[error("leader epoch is newer than {leader_epoch}")]
    UnknownLeaderEpoch {
        /// Ours.
        leader_epoch: i32,
    },
    /// The high watermark of a new leader has not reached the beginning of its epoch: OFFSET_NOT_AVAILABLE (78).
    #[error("a leader has just been elected: what is committed behind its high watermark is not known yet")]
    OffsetNotAvailable,
    /// Deleted, or led elsewhere: NOT_LEADER_OR_FOLLOWER (6).
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// KAFKA_STORAGE_ERROR (56).
    #[error("storage: {0}")]
    Storage(String),
}

impl Partition {
    /// ListOffsets. `current_leader_epoch` -1: no check.
    ///
    /// # Errors
    /// See [`OffsetError`].
    pub fn offset_for(
        &self,
        spec: OffsetSpec,
        read_committed: bool,
        current_leader_epoch: i32,
    ) -> Result<FoundOffset, OffsetError> {
        self.check_offset_epoch(current_leader_epoch)?;
        let upper = if read_committed { self.last_stable_offset() } else { self.high_watermark() };
        let lags = self.lags_behind_epoch()?;
        match spec {
            OffsetSpec::Latest if lags => Err(OffsetError::OffsetNotAvailable),
            OffsetSpec::Latest => Ok(FoundOffset { offset: upper, timestamp: -1, leader_epoch: self.leader_epoch() }),
            OffsetSpec::Earliest | OffsetSpec::EarliestLocal => Ok(self.replica.look(|log| {
                let offset = log.log_start_offset();
                FoundOffset { offset, timestamp: -1, leader_epoch: log.epoch_at(offset) }
            })?),
            OffsetSpec::LastTiered => Ok(FoundOffset::NONE),
            OffsetSpec::MaxTimestamp | OffsetSpec::Timestamp(_) if lags => {
                // what lies between may be committed: an answer below it is sure, no other is
                let found = self.by_time(spec, i64::MAX)?;
                let sure = (0..upper).contains(&found.offset);
                if sure { Ok(found) } else { Err(OffsetError::OffsetNotAvailable) }
            }
            OffsetSpec::MaxTimestamp | OffsetSpec::Timestamp(_) => self.by_time(spec, upper),
        }
    }

    fn by_time(&self, spec: OffsetSpec, upper: i64) -> Result<FoundOffset, OffsetError> {
        found(self.replica.look(|log| match spec {
            OffsetSpec::Timestamp(target) => log.offset_for_timestamp(target, upper),
            _ => log.max_timestamp_offset(upper),
        })?)
    }

    /// Whether others may have been told of more than this new leader knows to be committed (KIP-207).
    fn lags_behind_epoch(&self) -> Result<bool, OffsetError> {
        match self.role() {
            Role::Leader { epoch } => {
                // in this order: a watermark that moves meanwhile only makes the answer better
                let start = self.replica.look(|log| log.epoch_start(epoch))?;
                Ok(start > self.high_watermark())
            }
            _ => Ok(false),
        }
    }

    /// OffsetForLeaderEpoch: the largest epoch at or below `epoch` and its end offset; (-1, -1) if there is none.
    ///
    /// # Errors
    /// See [`OffsetError`].
    pub fn end_offset_for_epoch(&self, epoch: i32, current_leader_epoch: i32) -> Result<(i32, i64), OffsetError> {
        self.check_offset_epoch(current_leader_epoch)?;
        Ok(self.replica.look(|log| log.end_offset_for_epoch(epoch))?.unwrap_or((-1, -1)))
    }

    fn check_offset_epoch(&self, claimed: i32) -> Result<(), OffsetError> {
        let role = self.role();
        if !role.leads() {
            return Err(OffsetError::NotLeader);
        }
        let leader_epoch = role.epoch();
        check_epoch(
            claimed,
            leader_epoch,
            || OffsetError::FencedLeaderEpoch { leader_epoch },
            || OffsetError::UnknownLeaderEpoch { leader_epoch },
        )
    }
}

fn found(found: Result<Option<TimestampOffset>, ReadError>) -> Result<FoundOffset, OffsetError> {
    match found {
        Ok(Some(TimestampOffset { offset, timestamp, leader_epoch })) => {
            Ok(FoundOffset { offset, timestamp, leader_epoch })
        }
        Ok(None) => Ok(FoundOffset::NONE),
        Err(error) => Err(OffsetError::Storage(error.to_string())),
    }
}

impl From<ReplicaError> for OffsetError {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Deleted | ReplicaError::NotLeader { .. } => Self::NotLeader,
            other => Self::Storage(other.to_string()),
        }
    }
}
