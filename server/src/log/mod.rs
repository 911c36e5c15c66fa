//! One partition's log: segments of Kafka v2 batches as they were sent, and what is derived from them.
//!
//! ```text
//! <topic>-<partition>/
//!   00000000000000000000.log        header frame, batches and rare internal frames, one behind the other
//!   00000000000000000000.index      a row every 4 KiB and for every internal frame: (raft index, offset, largest
//!                                   timestamp before it, position, running CRC); the timestamps make it the time index too
//!   00000000000000000000.snapshot   producer state at a segment's start, or at a checkpoint
//!   leader-epoch-checkpoint         (epoch, first offset)
//!   partition.metadata              topic id
//! ```
//! Positions: `log start offset ≤ first segment's end`, offsets grow from frame to frame, a Raft index is a frame's
//! ordinal. Everything but `.log` can be rebuilt and is checked when it is read.
//!
//! Synchronous and single-writer: callers hold `&mut`. Writes go to the page cache; [`Log::capture`] says what to sync.
//! Not here: commit, journal, Raft, topics, who may write. A volatile log is the same log over a disk in memory.

mod append;
mod by_index;
mod check;
mod config;
mod copy;
mod cut;
mod derived;
mod error;
mod fit;
mod frame;
mod index;
mod leader_epoch;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod log;
mod open;
mod producer_state;
mod read;
mod retention;
mod scan;
mod scrub;
mod sealed;
mod segment;
mod tail;
mod timestamp;
mod truncate;
mod walk;

#[cfg(test)]
mod tests;

pub use append::Appended;
pub use by_index::{FrameBytes, IndexedFrame};
pub use check::{Finding, FindingKind, SegmentCheck, check_segment, rebuild_index, segments_in};
pub use config::{LogConfig, LogIdentity};
pub use copy::PinnedFile;
pub use error::{AppendError, LogError, ReadError, SequenceError};
pub use frame::{InternalKind, SegmentHeader};
pub use leader_epoch::EpochEntry;
pub use log::{Capture, Log};
pub use open::{Extent, OpenReport};
pub use producer_state::{ProducerInfo, SequenceCheck};
pub use read::{FileSlice, ReadSlices};
pub use scan::{FrameScan, Scanned};
pub use scrub::{BadStretch, ScrubMark, Scrubbed, SegmentScrub};
pub use timestamp::TimestampOffset;
pub use walk::{FrameWalk, WalkedFrame};

pub use crate::journal::LogEnd;
