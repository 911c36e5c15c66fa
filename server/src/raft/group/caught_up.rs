//! When each follower last had all that its leader had committed: who lags for a moment stays in sync, as in Kafka
//! (`ReplicaState.lastCaughtUpTimeMs`). Pure: it is told the time. Not here: who asks.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{super::node_id::NodeId, status::FollowerStatus};

/// What was committed at one moment is held against followers for so long: younger looks would hide who is slow by less.
const SAMPLE_MS: u64 = 500;
/// A count that is enough is looked at again after so long, if nobody did meanwhile.
const ENOUGH_GOOD_MS: u64 = 3000;
/// One that is too low.
const TOO_FEW_GOOD_MS: u64 = 20;

/// What one leader knows of its followers.
#[derive(Debug, Default)]
pub(super) struct CaughtUp {
    /// Of another epoch nothing counts.
    epoch: i32,
    /// When a look was taken, and what was committed then.
    sample: Option<(u64, Option<u64>)>,
    at_ms: BTreeMap<NodeId, u64>,
}

impl CaughtUp {
    /// Takes in how followers stand against what is committed.
    pub fn note(&mut self, (epoch, now_ms): (i32, u64), committed: Option<u64>, followers: &[FollowerStatus]) {
        if epoch != self.epoch {
            *self = Self { epoch, ..Self::default() };
        }
        for follower in followers {
            let reached = match self.sample {
                _ if follower.matched_index >= committed => Some(now_ms),
                Some((then_ms, then)) if follower.matched_index >= then => Some(then_ms),
                _ => None,
            };
            if let Some(reached_ms) = reached {
                let at_ms = self.at_ms.entry(follower.node).or_insert(reached_ms);
                *at_ms = (*at_ms).max(reached_ms);
            }
        }
        if self.sample.is_none_or(|(then_ms, _)| now_ms >= then_ms + SAMPLE_MS) {
            self.sample = Some((now_ms, committed));
        }
    }

    /// How long ago a follower had everything.
    pub fn age_ms(&self, node: NodeId, now_ms: u64) -> Option<u64> {
        self.at_ms.get(&node).map(|at_ms| now_ms.saturating_sub(*at_ms))
    }

    /// Whether a follower had everything within so many milliseconds before now.
    pub fn is_in_sync(&self, node: NodeId, now_ms: u64, within_ms: u64) -> bool {
        self.age_ms(node, now_ms).is_some_and(|age_ms| age_ms <= within_ms)
    }
}

/// How many voters were in sync at the last look: asked at every produce, it must cost nothing.
#[derive(Debug, Default)]
pub(super) struct InSyncCount {
    /// Epoch of the leadership above, count below.
    packed: AtomicU64,
    looked_ms: AtomicU64,
}

impl InSyncCount {
    /// Notes what a look found.
    pub fn note(&self, (epoch, now_ms): (i32, u64), count: usize) {
        self.packed.store(u64::from(epoch.unsigned_abs()) << 32 | count as u64, Ordering::Release);
        self.looked_ms.store(now_ms, Ordering::Release);
    }

    /// The count, if it is good enough to say whether `needed` are in sync. Who has enough is looked at every other second by
    /// whoever reports it; who has too few must not wait for that.
    pub fn for_need(&self, (epoch, now_ms): (i32, u64), needed: usize) -> Option<usize> {
        let (packed, looked_ms) = (self.packed.load(Ordering::Acquire), self.looked_ms.load(Ordering::Acquire));
        let count = (packed & u64::from(u32::MAX)) as usize;
        let good_for_ms = if count >= needed { ENOUGH_GOOD_MS } else { TOO_FEW_GOOD_MS };
        let good = packed >> 32 == u64::from(epoch.unsigned_abs()) && now_ms.saturating_sub(looked_ms) <= good_for_ms;
        good.then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId::new(2, 0);

    fn note(caught_up: &mut CaughtUp, epoch: i32, now_ms: u64, committed: u64, matched: u64) {
        let follower = FollowerStatus { node: NODE, matched_index: Some(matched), last_contact_ms: Some(0) };
        caught_up.note((epoch, now_ms), Some(committed), &[follower]);
    }

    #[test]
    fn who_is_always_a_little_behind_is_in_sync_and_who_stands_still_is_not() {
        let mut caught_up = CaughtUp::default();
        for round in 0..100 {
            // it has what was committed a second ago
            note(&mut caught_up, 1, round * 1000, 10 + round * 10, round * 10);
        }
        assert!(caught_up.is_in_sync(NODE, 99_000, 3_000));
        for round in 100..110 {
            note(&mut caught_up, 1, round * 1000, 10 + round * 10, 990);
        }
        assert!(!caught_up.is_in_sync(NODE, 109_000, 3_000) && caught_up.is_in_sync(NODE, 109_000, 30_000));
    }

    #[test]
    fn a_count_is_good_for_its_epoch_and_for_a_while() {
        let count = InSyncCount::default();
        assert_eq!(count.for_need((3, 0), 2), None);
        count.note((3, 1000), 2);
        assert_eq!((count.for_need((3, 4000), 2), count.for_need((3, 4001), 2)), (Some(2), None));
        assert_eq!(
            (count.for_need((3, 1020), 3), count.for_need((3, 1021), 3)),
            (Some(2), None),
            "too few: looked at again"
        );
        assert_eq!(count.for_need((4, 1000), 2), None, "another leadership");
    }

    #[test]
    fn a_new_leader_knows_nothing_of_who_was_in_sync() {
        let mut caught_up = CaughtUp::default();
        note(&mut caught_up, 1, 0, 5, 5);
        assert!(caught_up.is_in_sync(NODE, 10, 100));
        note(&mut caught_up, 2, 20, 6, 5);
        assert!(!caught_up.is_in_sync(NODE, 20, 100));
    }
}
