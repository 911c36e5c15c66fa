//! What makes a replica's log survive a power cut: captures of what is unsynced, their syncs, `write.caching` on and off.
//! Not here: when a checkpoint is made (`checkpoint`), the journal's syncs.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use super::{
    captured::{Captured, Capturing},
    error::ReplicaError,
    group::Member,
    replica::{Durability, Held, Replica, State},
};
use crate::log::LogError;

impl Replica {
    /// `flush.messages` and `flush.ms`: a sync now, or one in time.
    pub(super) fn count_unflushed(self: &Arc<Self>, records: i64) -> Result<(), ReplicaError> {
        let before = self.unflushed.fetch_add(records, Ordering::AcqRel);
        if before.saturating_add(records) >= self.flush_messages.load(Ordering::Relaxed) {
            return self.flush();
        }
        let flush_ms = self.flush_ms.load(Ordering::Relaxed);
        if before == 0 && flush_ms != i64::MAX {
            self.shared.flush_later(self, u64::try_from(flush_ms).unwrap_or(0));
        }
        Ok(())
    }

    /// Makes everything that was appended survive a power cut. Blocks.
    pub(super) fn flush(&self) -> Result<(), ReplicaError> {
        self.unflushed.store(0, Ordering::Release);
        let synced = self.capture().and_then(|capturing| match capturing {
            Some(capturing) => capturing.sync().inspect_err(|error| {
                if error.lacks_descriptors() {
                    self.take_back(&capturing);
                }
            }),
            None => Ok(()),
        });
        synced.map_err(|error| match error.lacks_descriptors() {
            true => ReplicaError::Storage(format!("{error}; what was written is not flushed yet")),
            false => self.fail(&mut self.write().state, &error.to_string()),
        })
    }

    /// Takes back what was captured and could not be synced, for want of descriptors alone.
    pub(super) fn take_back(&self, capturing: &Capturing<'_>) {
        if let State::Open(log) = &mut self.write().state {
            log.take_back(&capturing.capture);
        }
    }

    /// Takes what has to be synced of the log, and what a checkpoint may say once it is. `None` for a replica without a log.
    pub(super) fn capture(&self) -> Result<Option<Capturing<'_>>, LogError> {
        let syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.write();
        let Held { state, member } = &mut *held;
        let State::Open(log) = state else { return Ok(None) };
        let idle = !log.is_dirty();
        let capture = log.capture()?;
        if idle {
            log.close_files();
        }
        // told under the same lock as the end: entries between a capture and a switch are in segments only
        let unjournaled = self.is_unjournaled();
        let member = member.as_deref().map(Member::captured);
        let lsn = self.shared.journal.written();
        Ok(Some(Capturing { capture, lsn, unjournaled, member, _syncing: syncing }))
    }

    /// What a checkpoint says of a replica without a log: what the last one said, and what it has promised since.
    pub(super) fn not_captured(&self, last: &Captured) -> Captured {
        let member = self.read().member.as_deref().map(Member::captured);
        Captured { member: member.or_else(|| last.member.clone()), ..last.clone() }
    }

    /// Whether a checkpoint must say that entries bypass the journal.
    fn is_unjournaled(&self) -> bool {
        self.announced.load(Ordering::Acquire) || self.durability() == Durability::WriteCaching
    }

    /// From now on entries may bypass the journal. A checkpoint that says so must lie on the disk.
    pub(super) fn leave_journal(&self) {
        self.durability.store(Durability::WriteCaching as u8, Ordering::Release);
    }

    /// Lets the next checkpoint say that entries bypass the journal, or not any more. From then on a start takes what lies
    /// behind a checkpoint, so that one must lie on the disk as it is read here.
    pub(super) fn announce_write_caching(&self, on: bool) -> Result<(), ReplicaError> {
        let mut held = self.write();
        if let (true, State::Open(log)) = (on, &mut held.state) {
            log.distrust_cache().map_err(|error| ReplicaError::Storage(error.to_string()))?;
        }
        self.announced.store(on, Ordering::Release);
        Ok(())
    }

    /// From now on entries go through the journal. What lies before the first of them is synced, or replay could find a
    /// gap; nobody appends meanwhile.
    pub(super) fn enter_journal(&self) -> Result<(), ReplicaError> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.write();
        let synced = match &mut held.state {
            State::Open(log) => log.capture().and_then(|capture| {
                capture.sync().inspect_err(|error| {
                    if error.lacks_descriptors() {
                        log.take_back(&capture);
                    }
                })
            }),
            _ => Ok(()),
        };
        if let Err(error) = synced {
            if error.lacks_descriptors() {
                return Err(ReplicaError::Storage(error.to_string()));
            }
            return Err(self.fail(&mut held.state, &error.to_string()));
        }
        self.durability.store(Durability::Journaled as u8, Ordering::Release);
        Ok(())
    }
}
