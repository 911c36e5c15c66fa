//! One ordered stream, per broker, of everything that must survive: entries of all partitions, truncations, purge
//! points, votes, the boot epoch, the making and removing of replicas.
//!
//! Files `<sequence>.journal` of 1 to 16 MiB, zeroed before use and reused after a checkpoint. A file is a 64-byte
//! header and records; a record is a 72-byte header, its payload, and zeros up to a multiple of 8. A position in the
//! stream ([`Lsn`]) counts record bytes only, so it goes on from file to file.
//!
//! ```text
//! checkpoint.replay_from ≤ synced ≤ written         a record below `synced` survives a power cut,
//!         |                  |         |            one below `written` survives kill -9
//! --------[ replayed at start ........ ]--> next
//! ```
//!
//! Old bytes in a reused file are never taken for new ones: each record carries its own position, the epoch of the
//! process that wrote it, and the checksum of the record before it. Each also carries the position known synced when it was
//! written: a bad record below such a mark is damage, a bad one above every mark is a torn tail.
//!
//! Not here: what a partition is, segments, Raft. Synchronous: no `.await`. One thread, `journal-sync`, groups the syncs:
//! everything that was written while the last sync ran is made durable by the next. It sleeps while nothing is written.

mod checkpoint;
mod error;
mod file;
mod record;
mod recovery;
mod salvage;
mod scan;
mod writer;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, LogEnd, MemberCheckpoint, ReplicaCheckpoint};
pub use error::{JournalError, JournalFailed};
pub use record::{Installed, Lsn, OwnedRecord, Record, ReplicaId, fuzz_journal_record};
pub use recovery::{Recovery, recover};
pub use scan::Damage;
pub use writer::{Completion, Journal, JournalConfig};
