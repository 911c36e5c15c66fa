//! Reading committed records as file ranges. Not here: waiting (`waiters`), request-wide limits (the fetch API).

use std::{io, sync::Arc};

use bytes::Bytes;

use super::partition::Partition;
use crate::{
    log::{FileSlice, ReadError},
    os::disk::SharedFile,
    raft::ReplicaError,
};

/// What one partition of a fetch asks for.
#[derive(Debug, Clone, Copy)]
pub struct FetchParams {
    /// First offset wanted; the answer begins with the batch that holds it.
    pub offset: i64,
    /// Bytes at most; the last batch may be cut there.
    pub max_bytes: usize,
    /// Give the first batch whole even when it is larger than `max_bytes`.
    pub min_one: bool,
    /// Stop at the last stable offset instead of the high watermark.
    pub read_committed: bool,
    /// The leader epoch the client knows; -1: no check.
    pub current_leader_epoch: i32,
    /// A replica that follows may answer, too (KIP-392): it gives what it knows to be committed.
    pub follower_may_serve: bool,
}

/// A piece of an answer's records.
#[derive(Debug, Clone)]
pub enum RecordSlice {
    /// A range of a segment file, to be sent from the page cache. Immutable while it is held.
    File {
        /// The segment.
        file: SharedFile,
        /// First byte.
        position: u64,
        /// Bytes.
        len: usize,
    },
    /// Bytes of a volatile log.
    Memory(Bytes),
}

impl RecordSlice {
    /// Bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::File { len, .. } => *len,
            Self::Memory(bytes) => bytes.len(),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Record batches of an answer, in offset order.
#[derive(Debug, Clone, Default)]
pub struct FetchedRecords {
    /// One behind the other on the wire.
    pub slices: Vec<RecordSlice>,
    /// Bytes of all slices.
    pub bytes: usize,
}

impl FetchedRecords {
    /// All bytes in memory: for readers inside the broker; a network answer sends the slices.
    ///
    /// # Errors
    /// The disk's.
    pub fn read_all(&self) -> io::Result<Bytes> {
        if let [RecordSlice::Memory(bytes)] = self.slices.as_slice() {
            return Ok(bytes.clone());
        }
        let mut all = vec![0; self.bytes];
        let mut rest = all.as_mut_slice();
        for slice in &self.slices {
            let (part, after) = rest.split_at_mut_checked(slice.len()).ok_or(io::ErrorKind::InvalidData)?;
            match slice {
                RecordSlice::File { file, position, .. } => file.read_exact_at(part, *position)?,
                RecordSlice::Memory(bytes) => part.copy_from_slice(bytes),
            }
            rest = after;
        }
        Ok(all.into())
    }
}

/// One partition's part of a fetch answer.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Records below it are committed. Hand it to [`super::Partition::watch`] when there is too little yet.
    pub high_watermark: i64,
    /// Below it no transaction is open.
    pub last_stable_offset: i64,
    /// First offset there is.
    pub log_start_offset: i64,
    /// Aborted transactions in the range, as (producer id, first offset): `Some` for read_committed.
    pub aborted: Option<Vec<(i64, i64)>>,
    /// May be empty.
    pub records: FetchedRecords,
}

/// Why a fetch was refused.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Below the log start or above the log end: OFFSET_OUT_OF_RANGE (1).
    #[error("offset is outside {log_start_offset}..={log_end_offset}")]
    OffsetOutOfRange {
        /// First offset there is.
        log_start_offset: i64,
        /// Offset after the last.
        log_end_offset: i64,
        /// Records below it are committed.
        high_watermark: i64,
    },
    /// The client's epoch is older than ours: FENCED_LEADER_EPOCH (74).
    #[error("leader epoch is older than {leader_epoch}")]
    FencedLeaderEpoch {
        /// Ours.
        leader_epoch: i32,
    },
    /// The client's epoch is newer than ours: UNKNOWN_LEADER_EPOCH (75).
    #[error("leader epoch is newer than {leader_epoch}")]
    UnknownLeaderEpoch {
        /// Ours.
        leader_epoch: i32,
    },
    /// Deleted, or led elsewhere: NOT_LEADER_OR_FOLLOWER (6).
    #[error("this broker does not lead the partition")]
    NotLeader,
    /// Damaged here, or the disk failed: KAFKA_STORAGE_ERROR (56).
    #[error("storage: {0}")]
    Storage(Arc<str>),
}

/// A client's epoch against ours (Kafka `Partition.checkCurrentLeaderEpoch`); -1 is no claim.
pub(super) fn check_epoch<E>(
    claimed: i32,
    ours: i32,
    fenced: impl FnOnce() -> E,
    unknown: impl FnOnce() -> E,
) -> Result<(), E> {
    match claimed {
        -1 => Ok(()),
        claimed if claimed < ours => Err(fenced()),
        claimed if claimed > ours => Err(unknown()),
        _ => Ok(()),
    }
}

fn check_fetch_epoch(claimed: i32, leader_epoch: i32) -> Result<(), FetchError> {
    let fenced = || FetchError::FencedLeaderEpoch { leader_epoch };
    check_epoch(claimed, leader_epoch, fenced, || FetchError::UnknownLeaderEpoch { leader_epoch })
}

impl Partition {
    /// What a fetch finds, but for the records: they are read elsewhere.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch_nothing(&self, current_leader_epoch: i32) -> Result<Fetched, FetchError> {
        check_fetch_epoch(current_leader_epoch, self.leader_epoch())?;
        let (high_watermark, last_stable_offset) = (self.high_watermark(), self.last_stable_offset());
        let log_start_offset = self.replica.look(crate::log::Log::log_start_offset)?;
        let records = FetchedRecords::default();
        Ok(Fetched { high_watermark, last_stable_offset, log_start_offset, aborted: None, records })
    }

    /// Committed records from an offset.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch(&self, params: &FetchParams) -> Result<Fetched, FetchError> {
        let role = self.role();
        if !role.leads() && !params.follower_may_serve {
            return Err(FetchError::NotLeader);
        }
        check_fetch_epoch(params.current_leader_epoch, role.epoch())?;
        let high_watermark = self.high_watermark();
        let last_stable_offset = self.last_stable_offset();
        let upper = if params.read_committed { last_stable_offset } else { high_watermark };
        let (read, log_start_offset) = self
            .replica
            .look(|log| (log.read(params.offset, params.max_bytes, params.min_one, upper), log.log_start_offset()))?;
        let slices = match read {
            Ok(slices) => slices,
            Err(ReadError::OutOfRange { log_start_offset, log_end_offset }) => {
                return Err(FetchError::OffsetOutOfRange { log_start_offset, log_end_offset, high_watermark });
            }
            Err(error) => return Err(FetchError::Storage(error.to_string().into())),
        };
        let pieces: io::Result<Vec<RecordSlice>> = slices.slices.into_iter().map(record_slice).collect();
        let pieces = pieces.map_err(|error| FetchError::Storage(error.to_string().into()))?;
        let records = FetchedRecords { slices: pieces, bytes: slices.bytes };
        let aborted = params.read_committed.then(Vec::new);
        Ok(Fetched { high_watermark, last_stable_offset, log_start_offset, aborted, records })
    }
}

/// A file without a descriptor cannot be sent from the page cache: its bytes are taken along.
fn record_slice(slice: FileSlice) -> io::Result<RecordSlice> {
    let FileSlice { file, position, len } = slice;
    if file.as_fd().is_some() {
        return Ok(RecordSlice::File { file, position, len });
    }
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, position)?;
    Ok(RecordSlice::Memory(bytes.into()))
}

impl From<ReplicaError> for FetchError {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Deleted | ReplicaError::NotLeader { .. } => Self::NotLeader,
            other => Self::Storage(other.to_string().into()),
        }
    }
}
