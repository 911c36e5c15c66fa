//! The scrub: reads all sealed segments in the background, so slowly that nobody notices, and so often that rot is found
//! before the last copy of a record has it. On the checkpoint thread, between its checkpoints. Not here: what is bad and what
//! becomes of it (`log`).

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    replica::Replica,
    storage::{ReplicaKey, Storage},
};
use crate::{
    journal::ReplicaId,
    log::{BadStretch, ScrubMark, SegmentScrub},
};

/// Bytes read at once.
const STEP_BYTES: u64 = 4 << 20;
/// Never faster than 32 MiB a second, however much there is.
const PAUSE_MIN: Duration = Duration::from_millis(125);
/// With little to read, a step an hour is enough; an idle broker wakes no oftener.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// A start has other things to do first.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// Passes over all sealed segments, step by step.
#[derive(Debug)]
pub(super) struct Scrubber {
    /// How long one pass takes.
    interval: Duration,
    due: Instant,
    pause: Duration,
    pass_ends: Instant,
    /// What this pass has not read.
    ahead: VecDeque<(ReplicaId, ScrubMark)>,
}

impl Scrubber {
    pub fn new(interval: Duration) -> Self {
        let due = Instant::now() + interval.min(FIRST_PAUSE);
        Self { interval, due, pause: PAUSE_MAX, pass_ends: due, ahead: VecDeque::new() }
    }

    /// When the next step is.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Reads one step's bytes, and says when the next is.
    pub fn step(&mut self, storage: &Storage) {
        if self.is_through() {
            self.begin_pass(storage);
        }
        self.read_on(storage);
        let now = Instant::now();
        self.due = if self.is_through() { self.pass_ends.max(now + PAUSE_MIN) } else { now + self.pause };
        self.due = self.due.min(now + PAUSE_MAX.min(self.interval.max(PAUSE_MIN)));
    }

    /// Whether this pass has read all.
    pub fn is_through(&self) -> bool {
        self.ahead.is_empty()
    }

    fn begin_pass(&mut self, storage: &Storage) {
        let now = Instant::now();
        if now < self.pass_ends {
            return;
        }
        let mut bytes = 0;
        let replicas: Vec<(ReplicaId, Arc<Replica>)> =
            storage.list().by_id.iter().map(|(id, entry)| (*id, entry.replica.clone())).collect();
        for (id, replica) in replicas {
            let sealed = replica.look(|log| log.sealed_segments().collect::<Vec<_>>()).unwrap_or_default();
            bytes += sealed.iter().map(|(_, size)| u64::from(*size)).sum::<u64>();
            self.ahead.extend(sealed.into_iter().map(|(base_offset, _)| (id, ScrubMark::start(base_offset))));
        }
        // a broker that is started anew every day would else read the same segments every time
        if !self.ahead.is_empty() {
            let first = (storage.boot_epoch as usize).wrapping_mul(0x9e37_79b1) % self.ahead.len();
            self.ahead.rotate_left(first);
        }
        let steps = u32::try_from(bytes / STEP_BYTES + 1).unwrap_or(u32::MAX);
        self.pause = (self.interval / steps).max(PAUSE_MIN);
        self.pass_ends = now + self.interval;
    }

    fn read_on(&mut self, storage: &Storage) {
        let mut left = STEP_BYTES;
        while left > 0 {
            let Some((id, scrub)) = self.open_next(storage) else { return };
            match scrub.read_on(left) {
                Ok(scrubbed) => {
                    storage.shared.keeper.scrubbed.fetch_add(scrubbed.bytes, Relaxed);
                    left = left.saturating_sub(scrubbed.bytes);
                    scrubbed.bad.iter().for_each(|bad| storage.set_aside_stretch(id, bad));
                    if let Some(mark) = scrubbed.rest {
                        self.ahead.push_front((id, mark));
                    }
                }
                Err(error) => tracing::warn!(%error, "an index cannot be read: its segment is not checked"),
            }
        }
    }

    fn open_next(&mut self, storage: &Storage) -> Option<(ReplicaId, SegmentScrub)> {
        while let Some((id, mark)) = self.ahead.pop_front() {
            let replica = storage.list().by_id.get(&id).map(|entry| entry.replica.clone());
            match replica.map(|replica| replica.look(|log| log.scrub(mark))) {
                Some(Ok(Ok(Some(scrub)))) => return Some((id, scrub)),
                Some(Ok(Err(error))) if error.lacks_descriptors() => {
                    // the next step tries again
                    self.ahead.push_front((id, mark));
                    return None;
                }
                Some(Ok(Err(error))) => tracing::warn!(%error, "a segment cannot be checked"),
                // deleted meanwhile, or nothing to hold it against
                _ => {}
            }
        }
        None
    }
}

impl Storage {
    /// Bytes of sealed segments that were read to look for rot since the start.
    pub fn scrubbed_bytes(&self) -> u64 {
        self.shared.keeper.scrubbed.load(Relaxed)
    }

    /// Journaled replicas that cannot serve: offset ranges that are set aside, and logs that cannot be served at all.
    pub fn damage_count(&self) -> usize {
        let of = |(_, replica): &(ReplicaKey, Arc<Replica>)| replica.look(|log| log.quarantined().len()).unwrap_or(1);
        self.replicas().iter().map(of).sum()
    }

    fn set_aside_stretch(&self, id: ReplicaId, bad: &BadStretch) {
        let Some((replica, log)) = self.list().by_id.get(&id).map(|entry| (entry.replica.clone(), entry.dir.clone()))
        else {
            return;
        };
        let (segment, (from, to)) = (bad.segment, bad.offsets);
        if replica.set_aside(bad) {
            tracing::error!(log, segment, from, to, "rot in a sealed segment: reads of these offsets are refused");
            // a start must know it too
            self.shared.keeper.ask();
        } else if from == to {
            tracing::error!(log, segment, offset = from, "rot in a sealed segment, in what is not for readers");
        }
    }
}
