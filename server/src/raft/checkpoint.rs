//! Checkpoints: syncs every log, writes down where each ends, and so frees the journal. One thread does it, and the syncs
//! that `flush.ms` asks for.
//!
//! Not here: the checkpoint's bytes and which journal files it frees (`journal`).

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    captured::{Captured, Capturing},
    error::StorageError,
    replica::Replica,
    scrub::Scrubber,
    storage::{Entry, Storage},
};
use crate::journal::{Checkpoint, ReplicaCheckpoint, ReplicaId};

/// Files and directories that a checkpoint syncs one by one; more go with their whole file system.
const SINGLE_SYNCS_MAX: usize = 16;

/// What the thread waits for.
#[derive(Debug)]
pub(super) struct Keeper {
    checkpoint_bytes: u64,
    /// Appended since the last checkpoint.
    written: AtomicU64,
    /// Read by the scrub.
    pub scrubbed: AtomicU64,
    work: Mutex<Work>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    checkpoint: bool,
    closing: bool,
    /// Replicas to be synced, and when.
    flushes: Vec<(Instant, Weak<Replica>)>,
}

impl Keeper {
    pub fn new(checkpoint_bytes: u64) -> Self {
        let (written, scrubbed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { checkpoint_bytes, written, scrubbed, work: Mutex::default(), wake: Condvar::new() }
    }

    /// Counts appended bytes; asks for a checkpoint once there are enough.
    pub fn note_written(&self, bytes: u64) {
        let before = self.written.fetch_add(bytes, Relaxed);
        if before < self.checkpoint_bytes && before + bytes >= self.checkpoint_bytes {
            self.ask();
        }
    }

    /// Asks for a checkpoint.
    pub fn ask(&self) {
        self.lock().checkpoint = true;
        self.wake.notify_one();
    }

    /// Asks for a checkpoint once an eighth of what lies between two was appended.
    fn ask_soon(&self) {
        self.written.store(self.checkpoint_bytes - self.checkpoint_bytes / 8, Relaxed);
    }

    /// Asks for a sync of one replica's log in a while.
    pub fn flush_later(&self, replica: &Arc<Replica>, after_ms: u64) {
        let due = Instant::now() + Duration::from_millis(after_ms);
        self.lock().flushes.push((due, Arc::downgrade(replica)));
        self.wake.notify_one();
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for work, or until `scrub`; `None` once closed.
    fn next(&self, scrub: Instant) -> Option<Due> {
        let mut work = self.lock();
        loop {
            if work.closing {
                return None;
            }
            if std::mem::take(&mut work.checkpoint) {
                return Some(Due::Checkpoint);
            }
            let now = Instant::now();
            if let Some(place) = work.flushes.iter().position(|(due, _)| *due <= now) {
                return Some(Due::Flush(work.flushes.swap_remove(place).1));
            }
            if scrub <= now {
                return Some(Due::Scrub);
            }
            let first = work.flushes.iter().map(|(due, _)| *due).fold(scrub, Instant::min);
            work = self.wake.wait_timeout(work, first - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

enum Due {
    Checkpoint,
    Flush(Weak<Replica>),
    Scrub,
}

/// The thread `checkpoint`: asleep while nothing is due; with nothing to scrub it wakes once an hour.
pub(super) fn run(storage: &Storage, scrub_interval: Duration) {
    let mut scrubber = Scrubber::new(scrub_interval);
    while let Some(due) = storage.shared.keeper.next(scrubber.due()) {
        match due {
            Due::Scrub => scrubber.step(storage),
            Due::Checkpoint => {
                if let Err(error) = storage.checkpoint() {
                    if error.lacks_descriptors() {
                        tracing::warn!(%error, "no checkpoint now: the journal keeps its files until the next");
                        storage.shared.keeper.ask_soon();
                        continue;
                    }
                    storage.shared.fail(&error.to_string());
                    return;
                }
            }
            Due::Flush(replica) => {
                // a failed one has told the broker itself
                let _ = replica.upgrade().map(|replica| replica.flush());
            }
        }
    }
}

impl Storage {
    /// Syncs every log and writes a checkpoint. Blocks; appends go on meanwhile.
    ///
    /// # Errors
    /// The disk's: nothing may be retried.
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        let _one = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &self.shared;
        shared.keeper.written.store(0, Relaxed);
        let (replay_from, unsynced_names, entries): (_, _, Vec<(ReplicaId, Entry)>) = {
            let mut list = self.list();
            // every record before this place is about a replica in the list, whose log is captured after it
            let replay_from = shared.journal.mark();
            let entries = list.by_id.iter().map(|(id, entry)| (*id, entry.clone())).collect();
            (replay_from, std::mem::take(&mut list.unsynced_names), entries)
        };
        if unsynced_names && let Err(error) = StorageError::at(&shared.dir, shared.disk.sync_dir(&shared.dir)) {
            self.list().unsynced_names = true;
            return Err(error);
        }
        let captured = self.sync_logs(&entries)?;
        let mut replicas = Vec::with_capacity(entries.len());
        let mut list = self.list();
        for ((id, entry), captured) in entries.into_iter().zip(captured) {
            // deleted meanwhile: the journal says so behind the mark
            let Some(known) = list.by_id.get_mut(&id) else { continue };
            known.last = captured.clone();
            let (topic_id, partition) = entry.key;
            let (vote, member) = captured.member.map_or((None, None), |member| (member.vote, Some(member.kept)));
            replicas.push(ReplicaCheckpoint {
                replica: id,
                topic_id: *topic_id.as_bytes(),
                partition,
                dir: entry.dir,
                captured: captured.lsn,
                unjournaled: captured.unjournaled,
                log_start_offset: captured.log_start_offset,
                vote,
                end: captured.end,
                quarantined: captured.quarantined,
                member,
            });
        }
        let next_replica_id = list.next_id;
        drop(list);
        let boot_epoch = self.boot_epoch;
        let checkpoint = Checkpoint { replay_from, previous: 0, boot_epoch, next_replica_id, replicas };
        Ok(shared.journal.checkpoint(&checkpoint)?)
    }

    /// Makes every log survive a power cut, and says where each then ends. Many files at once go with their whole file
    /// system: each sync of its own waits for the device (measured: 4,000 files 3.9 s, their file system 0.02 s).
    fn sync_logs(&self, entries: &[(ReplicaId, Entry)]) -> Result<Vec<Captured>, StorageError> {
        let mut capturing = Vec::with_capacity(entries.len());
        if let Err(error) = self.capture_and_sync(entries, &mut capturing) {
            if error.lacks_descriptors() {
                // the next checkpoint must not take them for synced
                for (capturing, (_, entry)) in capturing.iter().zip(entries) {
                    capturing.iter().for_each(|capturing| entry.replica.take_back(capturing));
                }
            }
            return Err(error);
        }
        let of = |(capturing, (_, entry)): (&Option<Capturing<'_>>, &(ReplicaId, Entry))| {
            capturing.as_ref().map_or_else(|| entry.replica.not_captured(&entry.last), Capturing::captured)
        };
        Ok(capturing.iter().zip(entries).map(of).collect())
    }

    fn capture_and_sync<'a>(
        &self,
        entries: &'a [(ReplicaId, Entry)],
        capturing: &mut Vec<Option<Capturing<'a>>>,
    ) -> Result<(), StorageError> {
        for (_, entry) in entries {
            capturing.push(entry.replica.capture()?);
        }
        let syncs: usize = capturing.iter().flatten().map(Capturing::sync_count).sum();
        match &self.shared.file_system {
            Some(file_system) if syncs > SINGLE_SYNCS_MAX => StorageError::at(&self.shared.dir, file_system.sync()),
            file_system => match (capturing.iter().flatten().try_for_each(Capturing::sync), file_system) {
                // it is open already
                (Err(error), Some(file_system)) if error.lacks_descriptors() => {
                    StorageError::at(&self.shared.dir, file_system.sync())
                }
                (synced, _) => Ok(synced?),
            },
        }
    }
}
