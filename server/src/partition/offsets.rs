//! ListOffsets and OffsetForLeaderEpoch on one partition: what can be asked, what comes back. Not here: the lookup
//! inside segments.

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
    /// A new leader has not committed in its own epoch yet: OFFSET_NOT_AVAILABLE (78).
    #[error("the end is not known yet")]
    OffsetNotAvailable,
    /// Deleted, or led elsewhere: NOT_LEADER_OR_FOLLOWER (6).
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// KAFKA_STORAGE_ERROR (56).
    #[error("storage: {0}")]
    Storage(String),
}
