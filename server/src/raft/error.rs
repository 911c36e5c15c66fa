//! What can go wrong with the data directory, and with one replica.

use std::{io, path::PathBuf};

use super::node_id::NodeId;
use crate::{
    journal::JournalError,
    log::{LogError, SequenceError},
    os::disk::lacks_descriptors,
};

/// The data directory cannot be used. The text tells the operator what to do.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another process holds its lock.
    #[error(
        "data directory {path} is in use by another process; stop that one, or give this broker its own with --data"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("data directory {path}: {cause}; check that it exists, can be written and has room")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the machine said.
        cause: io::Error,
    },
    /// Written by a newer Tidemark.
    #[error("{path} has format {found}, this program reads up to {known}; start the version that wrote it")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// In it.
        found: u32,
        /// Understood here.
        known: u32,
    },
    /// Written by a Tidemark from before the first release.
    #[error(
        "{path} has format {found} of an unreleased Tidemark, this program reads {known}; move the directory away, or start the version that wrote it"
    )]
    OlderFormat {
        /// The file.
        path: PathBuf,
        /// In it.
        found: u32,
        /// Understood here.
        known: u32,
    },
    /// It belongs to another broker.
    #[error(
        "{path} belongs to node {found}, and this broker is node {expected}; give it its own --data or the right --node-id"
    )]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// In it.
        found: i32,
        /// This broker's.
        expected: i32,
    },
    /// `meta.properties` cannot be read as such.
    #[error("{path} is damaged: {what}; restore it from a copy: the logs beside it are untouched")]
    Properties {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Recovering the cluster was interrupted.
    #[error(
        "{path} says that a recovery of its cluster has begun and not ended; run `tidemark cluster recover` again, with the same directories"
    )]
    Recovering {
        /// The file.
        path: PathBuf,
    },
    /// A log's file is there and the system does not let it be read.
    #[error(
        "{path}: {cause}; nothing is lost yet: check the disk, the file's owner and the limit of open files, then start again"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        cause: io::Error,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A log cannot be read, in a way that concerns the whole broker.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl StorageError {
    /// Only a file descriptor was lacking: what was asked for can be tried again.
    pub(super) fn lacks_descriptors(&self) -> bool {
        match self {
            Self::Io { cause, .. } => lacks_descriptors(cause),
            Self::Journal(error) => error.lacks_descriptors(),
            Self::Log(error) => error.lacks_descriptors(),
            _ => false,
        }
    }

    pub(super) fn at<T>(path: &std::path::Path, result: io::Result<T>) -> Result<T, Self> {
        result.map_err(|cause| Self::Io { path: path.to_path_buf(), cause })
    }
}

/// A replica refused. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The producer's batch does not follow its last one.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// Compare-and-append found another end.
    #[error("the log ends at offset {end}, not at {expected}")]
    WrongEnd {
        /// Where it ends.
        end: i64,
        /// Where the caller thought it ends.
        expected: i64,
    },
    /// The replica does not lead its partition, or lost that while the batch was on its way: whether the batch is committed
    /// is then unknown.
    #[error("this replica does not lead in epoch {epoch}")]
    NotLeader {
        /// Who leads, if that is known.
        leader: Option<NodeId>,
        /// The newest epoch known.
        epoch: i32,
    },
    /// More is on its way already than may be at once.
    #[error("too much waits for the group's members already")]
    Busy,
    /// The replica was deleted.
    #[error("the replica was deleted")]
    Deleted,
    /// The disk is full, failed or damaged.
    #[error("{0}")]
    Storage(String),
}
