//! What can go wrong with a log, one small enum per operation.

use std::{io, path::PathBuf};

use crate::os::disk::lacks_descriptors;

/// A log could not be opened, synced or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused.
    #[error("{path}: {cause}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the machine said.
        cause: io::Error,
    },
    /// A segment was written by a newer Tidemark.
    #[error("{path} has segment format {found}, this program reads up to {known}; start the version that wrote it")]
    NewerVersion {
        /// The segment.
        path: PathBuf,
        /// In its header.
        found: u16,
        /// Understood here.
        known: u16,
    },
    /// The directory holds another partition than expected.
    #[error("{path} belongs to topic {found}, not to {expected}; move it out of the data directory")]
    WrongTopic {
        /// The directory.
        path: PathBuf,
        /// In the segment.
        found: uuid::Uuid,
        /// By the metadata.
        expected: uuid::Uuid,
    },
    /// The segment in which the log ended at its last checkpoint is gone.
    #[error("{path} is damaged: segment {segment} is missing; the replica is set aside")]
    Missing {
        /// The log's directory.
        path: PathBuf,
        /// The segment's base offset.
        segment: i64,
    },
    /// A file that must be there is not, or is not what it must be.
    #[error("{path} is damaged: {what}; the replica is set aside")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl LogError {
    /// Only a file descriptor was lacking: nothing happened to the file.
    pub fn lacks_descriptors(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if lacks_descriptors(cause))
    }
}

/// A frame was not appended. After `Io` the log is finished: how much was written is unknown.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk refused.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Compare-and-append found another end.
    #[error("the log ends at offset {end}, not at {expected}")]
    WrongEnd {
        /// Where it ends.
        end: i64,
        /// Where the caller thought it ends.
        expected: i64,
    },
    /// Replay gave a frame that is not the next one.
    #[error("frame {index} is not the next one, {next}")]
    WrongIndex {
        /// The frame's.
        index: u64,
        /// The log's.
        next: u64,
    },
    /// The bytes are no frame.
    #[error("not a frame: {0}")]
    Frame(#[from] tidemark_record::BatchError),
}

/// A read was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such offset.
    #[error("offset is outside {log_start_offset}..={log_end_offset}")]
    OutOfRange {
        /// First offset there is.
        log_start_offset: i64,
        /// Offset after the last.
        log_end_offset: i64,
    },
    /// The bytes that hold it are damaged; the rest of the log is served.
    #[error("offsets {from}..{to} are damaged")]
    Damaged {
        /// First damaged offset.
        from: i64,
        /// First good offset behind it.
        to: i64,
    },
    /// The disk refused.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// An idempotent producer's batch does not follow its last one (Kafka `ProducerAppendInfo`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45).
    #[error(
        "out of order sequence number for producer {producer_id}: {sequence} (incoming seq. number), {last} (current end sequence number)"
    )]
    OutOfOrder {
        /// The producer.
        producer_id: i64,
        /// Its batch's base sequence.
        sequence: i32,
        /// The last sequence taken.
        last: i32,
    },
    /// INVALID_PRODUCER_EPOCH (47).
    #[error("epoch of producer {producer_id} is {epoch}, which is smaller than the last seen epoch {current}")]
    InvalidEpoch {
        /// The producer.
        producer_id: i64,
        /// Its batch's epoch.
        epoch: i16,
        /// The epoch known.
        current: i16,
    },
}

/// Attaches the path to a disk's error.
pub(super) fn at<T>(path: &std::path::Path, result: io::Result<T>) -> Result<T, LogError> {
    result.map_err(|cause| LogError::Io { path: path.to_path_buf(), cause })
}
