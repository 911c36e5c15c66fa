//! One group as the directories show it, and what becomes of it. Pure.

use std::cmp::Reverse;

use crate::raft::{NodeId, Remains, ReplicaKey};

/// One of a group's logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose directory it is in.
    pub broker_id: i32,
    /// How it stands.
    pub remains: Remains,
}

/// What becomes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It can elect a leader, or needs none: it stays as it is.
    Well,
    /// The log of this broker becomes its only voter.
    Survives {
        /// Whose.
        broker_id: i32,
        /// From this epoch on.
        epoch: i32,
    },
    /// None of its logs is left, or can be read.
    Gone,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub key: ReplicaKey,
    /// Its topic's name.
    pub topic: String,
    /// Brokers that hold it, as far as is known.
    pub brokers: Vec<i32>,
    /// Its logs, by broker.
    pub found: Vec<Found>,
    /// What becomes of it.
    pub fate: Fate,
}

impl Group {
    /// The log that survives alone.
    pub fn survivor(&self) -> Option<&Found> {
        let Fate::Survives { broker_id, .. } = self.fate else { return None };
        self.found.iter().find(|found| found.broker_id == broker_id)
    }

    /// Offsets that are known to have been committed, and lie in no log that is left: the first, and the first behind.
    pub fn lost(&self) -> Option<(i64, i64)> {
        let end = longest(&self.found).map_or(0, |longest| longest.remains.log_end_offset);
        let known = self.found.iter().map(|found| found.remains.high_watermark).max()?;
        (self.fate != Fate::Well && known > end).then_some((end, known))
    }
}

/// The log with the newest last frame; of equal ones one that votes and keeps its name, then one without damage.
pub(super) fn longest(found: &[Found]) -> Option<&Found> {
    let usable = found.iter().filter(|found| found.remains.failure.is_none() && found.remains.last.is_some());
    usable.max_by_key(|found| {
        let Remains { node, last, voters, damages, given_up, .. } = &found.remains;
        let votes = node.is_some_and(|node| voters.iter().flatten().any(|voter| *voter == node));
        (*last, votes && !given_up, Reverse(*damages), Reverse(found.broker_id))
    })
}

/// Judges a group by its logs. `stays` says of one whether its broker will go on with it; `known_epoch` is what the metadata know
/// of the group.
pub(super) fn judge(found: &[Found], stays: impl Fn(&Found) -> bool, known_epoch: i32) -> Fate {
    let Some(longest) = longest(found) else { return Fate::Gone };
    if longest.remains.node.is_none() && stays(longest) {
        return Fate::Well;
    }
    let votes = |voter: &NodeId| {
        let is_it = |Found { remains, .. }: &Found| {
            remains.node == Some(*voter) && remains.failure.is_none() && !remains.given_up
        };
        found.iter().any(|found| is_it(found) && stays(found))
    };
    let voters = &longest.remains.voters;
    let has_majority = |list: &Vec<NodeId>| list.iter().filter(|voter| votes(voter)).count() * 2 > list.len();
    if !voters.is_empty() && voters.iter().all(has_majority) {
        return Fate::Well;
    }
    Fate::Survives { broker_id: longest.broker_id, epoch: epoch_above(found, known_epoch) }
}

/// An epoch that no member of the group has seen, as far as is known; those that are lost may have tried a few more.
pub(super) fn epoch_above(found: &[Found], known_epoch: i32) -> i32 {
    let seen = found.iter().map(|found| found.remains.epoch).fold(known_epoch.max(0), i32::max);
    seen.saturating_add(EPOCHS_APART)
}

/// More elections than a member can have held in vain while others did not hear of them.
const EPOCHS_APART: i32 = 100;
