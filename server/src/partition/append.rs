//! What an append takes and gives: acks, origin, and the errors a produce answer is made of. Not here: the checks
//! themselves (`validate`) and the write (`raft::replica`).

use super::{
    min_insync::Spread,
    validate::RecordErrors,
    waiters::{CommitError, Committed},
};
use crate::raft::{Appending, Proposal};

/// When an append counts as done for the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckLevel {
    /// acks=0: nobody waits.
    None,
    /// acks=1: the leader has it in its log.
    Leader,
    /// acks=-1: committed; survives what the topic promises to survive.
    All,
}

impl AckLevel {
    /// From the wire's number; `None` for anything but -1, 0 and 1.
    pub fn from_acks(acks: i16) -> Option<Self> {
        match acks {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// Who sends the batch: it decides which checks apply (Kafka `AppendOrigin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: all checks.
    Client,
    /// A coordinator or the controller of this broker: control batches and any size allowed, no rewriting.
    Coordinator,
}

/// How to append.
#[derive(Debug, Clone, Copy)]
pub struct AppendOptions {
    /// See [`AckLevel`].
    pub acks: AckLevel,
    /// See [`AppendOrigin`].
    pub origin: AppendOrigin,
    /// Whether the request's version may carry zstd (Produce v7 and later).
    pub zstd_allowed: bool,
    /// Whether the request carries a transactional id.
    pub transactional: bool,
}

impl AppendOptions {
    /// A producer's append over a current version.
    pub fn client(acks: AckLevel) -> Self {
        Self { acks, origin: AppendOrigin::Client, zstd_allowed: true, transactional: false }
    }

    /// An append of this broker's own, answered when it is committed.
    pub fn coordinator() -> Self {
        Self { acks: AckLevel::All, origin: AppendOrigin::Coordinator, zstd_allowed: true, transactional: false }
    }
}

/// Where a batch lies (a duplicate gives the first one's place).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the batch's first record.
    pub base_offset: i64,
    /// Offset of its last.
    pub last_offset: i64,
    /// Milliseconds since 1970 under `message.timestamp.type=LogAppendTime`, else -1.
    pub log_append_time_ms: i64,
    /// The log's start at that moment.
    pub log_start_offset: i64,
    /// The epoch in which it was (first) written.
    pub leader_epoch: i32,
}

/// An append that was taken. Dropping it costs nothing, and takes nothing back.
#[derive(Debug)]
pub enum Append {
    /// It is in the log of a partition with one replica, and waits for the commit with [`AckLevel::All`].
    Placed(Appended, Option<Committed>),
    /// A group has committed it before; the answer waits until enough replicas have what the log has, up to this Raft index.
    Repeated(Appended, Box<Spread>, u64),
    /// It is on its way through the partition's group.
    Proposed(Box<Proposing>),
}

/// A batch on its way through a group.
#[derive(Debug)]
pub struct Proposing {
    pub(super) proposal: Proposal,
    pub(super) acks: AckLevel,
    /// What acks=all waits for behind the commit.
    pub(super) spread: Option<Spread>,
    /// Milliseconds since 1970 under `message.timestamp.type=LogAppendTime`, else -1.
    pub(super) log_append_time_ms: i64,
    /// The epoch in which it was proposed.
    pub(super) leader_epoch: i32,
}

impl Append {
    /// Where the batch lies, if that is known already.
    pub fn placed(&self) -> Option<&Appended> {
        match self {
            Self::Placed(placed, _) | Self::Repeated(placed, ..) => Some(placed),
            Self::Proposed(_) => None,
        }
    }

    /// Whether [`Self::done`] has something to wait for.
    pub fn is_waiting(&self) -> bool {
        !matches!(self, Self::Placed(_, None))
    }

    /// Waits for what the [`AckLevel`] asks for.
    ///
    /// # Errors
    /// The disk failed, or the leadership was lost meanwhile: then it is unknown whether the batch stays. A batch that loses a
    /// check against one before it is not in the log.
    pub async fn done(self) -> Result<Appended, AppendError> {
        match self {
            Self::Placed(placed, None) => Ok(placed),
            Self::Placed(placed, Some(committed)) => {
                committed.await?;
                Ok(placed)
            }
            Self::Repeated(placed, spread, index) => {
                spread.reach(index).await?;
                Ok(placed)
            }
            Self::Proposed(proposing) => proposing.done().await,
        }
    }
}

impl Proposing {
    async fn done(mut self: Box<Self>) -> Result<Appended, AppendError> {
        let appending = match self.acks {
            AckLevel::All => {
                let (appending, index) = self.proposal.committed_at().await?;
                if let Some(spread) = self.spread {
                    spread.reach(index).await?;
                }
                appending
            }
            AckLevel::Leader | AckLevel::None => self.proposal.appended().await?,
        };
        Ok(appended(&appending, self.log_append_time_ms, self.leader_epoch))
    }
}

/// A place as it is answered: a duplicate has the time at which it was first appended.
pub(super) fn appended(appending: &Appending, log_append_time_ms: i64, leader_epoch: i32) -> Appended {
    let log_append_time_ms = match appending.duplicate_of {
        Some(timestamp) if log_append_time_ms >= 0 => timestamp,
        _ => log_append_time_ms,
    };
    Appended {
        base_offset: appending.base_offset,
        last_offset: appending.last_offset,
        log_append_time_ms,
        log_start_offset: appending.log_start_offset,
        leader_epoch,
    }
}

impl From<CommitError> for AppendError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage => Self::Storage(error.to_string()),
            CommitError::NotLeader => Self::NotLeader,
        }
    }
}

/// Why a batch is not acknowledged. Nothing of it is in the log, unless a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Checksum or length wrong: Kafka's CORRUPT_MESSAGE (2).
    #[error("corrupt batch: {0}")]
    CorruptMessage(String),
    /// A rule for batches or records is broken: INVALID_RECORD (87).
    #[error("{}", .0.message)]
    InvalidRecord(RecordErrors),
    /// INVALID_TIMESTAMP (32).
    #[error("{}", .0.message)]
    InvalidTimestamp(RecordErrors),
    /// Above `max.message.bytes`: MESSAGE_TOO_LARGE (10).
    #[error("the batch has {size} bytes, above max.message.bytes {max}")]
    MessageTooLarge {
        /// Bytes of the batch.
        size: usize,
        /// The topic's limit.
        max: usize,
    },
    /// UNSUPPORTED_COMPRESSION_TYPE (76).
    #[error("{0}")]
    UnsupportedCompression(String),
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45).
    #[error("{0}")]
    OutOfOrderSequence(String),
    /// INVALID_PRODUCER_EPOCH (47).
    #[error("{0}")]
    InvalidProducerEpoch(String),
    /// A transactional batch outside a transaction: INVALID_TXN_STATE (48).
    #[error("{0}")]
    InvalidTxnState(String),
    /// The compare-and-append's expected end is not the log's end. Only [`super::Partition::append_at`].
    #[error("the log ends at {log_end_offset}, not at {expected_end}")]
    UnexpectedEnd {
        /// Where it was expected.
        expected_end: i64,
        /// Where it is.
        log_end_offset: i64,
    },
    /// NOT_ENOUGH_REPLICAS (19).
    #[error("{in_sync} replicas in sync, {needed} needed")]
    NotEnoughReplicas {
        /// Replicas in sync.
        in_sync: usize,
        /// `min.insync.replicas`.
        needed: usize,
    },
    /// The log has it, and too few replicas are in sync to take it: NOT_ENOUGH_REPLICAS_AFTER_APPEND (20).
    #[error("{in_sync} replicas in sync, {needed} needed; the batch may stay")]
    NotEnoughReplicasAfterAppend {
        /// Replicas in sync.
        in_sync: usize,
        /// `min.insync.replicas`.
        needed: usize,
    },
    /// Deleted, or led elsewhere: NOT_LEADER_OR_FOLLOWER (6).
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// The disk is full, damaged or failed: KAFKA_STORAGE_ERROR (56).
    #[error("storage: {0}")]
    Storage(String),
}
