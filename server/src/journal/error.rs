//! What can go wrong with the journal, worded for the operator who must act.

use std::{io, path::PathBuf, sync::Arc};

use crate::os::disk::lacks_descriptors;

/// Why the journal could not be opened or went on no further.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("journal {path}: {cause}")]
    Io {
        /// What was being used.
        path: PathBuf,
        /// What the machine said.
        cause: io::Error,
    },
    /// Written by a newer Tidemark.
    #[error("{path} has format version {found}, this program reads up to {known}; start the version that wrote it")]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// In the file.
        found: u32,
        /// Understood here.
        known: u32,
    },
    /// Written by a Tidemark from before the first release.
    #[error(
        "{path} has format version {found} of an unreleased Tidemark, this program reads {known}; move the data directory away, or start the version that wrote it"
    )]
    OlderVersion {
        /// The file.
        path: PathBuf,
        /// In the file.
        found: u32,
        /// Understood here.
        known: u32,
    },
    /// No checkpoint file can be read.
    #[error("the checkpoint files in {path} are damaged; `tidemark log verify` shows what the segments still hold")]
    Checkpoints {
        /// The journal's directory.
        path: PathBuf,
    },
    /// Files that recovery needs are not there.
    #[error(
        "journal {path} lacks the bytes from position {from} on; restore the missing files, or run `tidemark log verify`"
    )]
    Missing {
        /// The journal's directory.
        path: PathBuf,
        /// Where replay had to start.
        from: u64,
    },
    /// A file ends inside its header.
    #[error("journal file {path} is cut off after {len} bytes; restore it, or run `tidemark log verify`")]
    CutOff {
        /// The file.
        path: PathBuf,
        /// Bytes that are left.
        len: u64,
    },
    /// The disk has no room, or the system no file descriptor. Nothing of the record counts as written, and the journal goes
    /// on.
    #[error("journal {path}: {cause}; nothing was written")]
    Full {
        /// The file that could not be made.
        path: PathBuf,
        /// What the machine said.
        cause: io::Error,
    },
    /// An earlier write or sync failed; nothing is retried.
    #[error(transparent)]
    Failed(#[from] JournalFailed),
}

impl JournalError {
    /// Only a file descriptor was lacking: nothing happened to the file.
    pub fn lacks_descriptors(&self) -> bool {
        matches!(self, Self::Io { cause, .. } | Self::Full { cause, .. } if lacks_descriptors(cause))
    }
}

/// A write or a sync of the journal failed. The kernel may have dropped the pages, so nothing is retried: the process ends,
/// and recovery decides at the next start.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the journal could not {action}: {cause}; nothing more is acknowledged. Check the disk, then start again: what was acknowledged is recovered"
)]
pub struct JournalFailed {
    /// `write` or `sync`.
    pub action: &'static str,
    /// What the machine said.
    pub cause: Arc<io::Error>,
}
