//! Where new replicas go (Kafka `StripedReplicaPlacer`), and the check of replicas that a client chose. Pure.
//!
//! Partitions are dealt out rack by rack: the leader's rack and, within a rack, the broker change from partition to partition,
//! and a partition's replicas lie on as many racks as there are. A broker that is fenced or stops takes part only where the
//! factor cannot be reached without it, never as the preferred leader, and never in the majority.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::error::ControllerError::{self, InvalidAssignment, InvalidReplicationFactor};
use crate::metadata::Image;

/// Brokers by rack; those without one are a rack together.
type Racks = Vec<Vec<i32>>;

/// The brokers that replicas can be placed on.
#[derive(Debug)]
pub(super) struct Placer {
    usable: Racks,
    fenced: Racks,
}

impl Placer {
    pub(super) fn new(image: &Image, leaving: &BTreeSet<i32>) -> Self {
        let racks = |fenced: bool| {
            let mut racks: BTreeMap<Option<&str>, Vec<i32>> = BTreeMap::new();
            for broker in image.brokers().filter(|broker| (broker.fenced || leaving.contains(&broker.id)) == fenced) {
                racks.entry(broker.rack.as_deref()).or_default().push(broker.id);
            }
            racks.into_values().collect()
        };
        Self { usable: racks(false), fenced: racks(true) }
    }

    /// Replicas for each of `partitions` partitions. `start` says where in the dealing the first of them comes.
    ///
    /// # Errors
    /// INVALID_REPLICATION_FACTOR: there are not enough brokers.
    pub(super) fn place(&self, partitions: usize, factor: i16, start: usize) -> Result<Vec<Vec<i32>>, ControllerError> {
        let factor = usize::try_from(factor).unwrap_or(0);
        let count = |racks: &Racks| racks.iter().map(Vec::len).sum::<usize>();
        let (usable, fenced) = (count(&self.usable), count(&self.fenced));
        let refuse = |what: String| {
            Err(InvalidReplicationFactor(format!("Unable to replicate the partition {factor} time(s): {what}")))
        };
        if factor > usable + fenced {
            return refuse(format!(
                "The target replication factor of {factor} cannot be reached because only {} broker(s) are registered or \
                 some brokers have all their log directories cordoned.",
                usable + fenced
            ));
        }
        if usable == 0 {
            return refuse("All brokers are currently fenced.".into());
        }
        // Kafka would go on with one broker; a Raft group without a majority never takes a record
        if usable < factor / 2 + 1 {
            return refuse(format!(
                "only {usable} broker(s) are not fenced, and a majority of the replicas must not be."
            ));
        }
        let replicas = |turn: usize| {
            let fallback = deal(&self.fenced, turn);
            deal(&self.usable, turn).into_iter().chain(fallback).take(factor).collect()
        };
        Ok((start..start + partitions).map(replicas).collect())
    }
}

/// All brokers of the racks in the order for this turn: one of each rack, then the next of each.
fn deal(racks: &Racks, turn: usize) -> Vec<i32> {
    if racks.is_empty() {
        return Vec::new();
    }
    // who leads changes with each turn; who follows whom changes once all have led
    let (first, round) = (turn % racks.len(), turn / racks.len());
    let hands: Vec<Vec<i32>> = (0..racks.len())
        .map(|place| {
            let rack = &racks[(first + place) % racks.len()];
            let (led, shift) = (round % rack.len(), (round / rack.len()) % rack.len().saturating_sub(1).max(1));
            let others = rack.iter().cycle().skip(led + 1).take(rack.len() - 1).copied().collect::<Vec<_>>();
            let shifted = others.iter().cycle().skip(shift).take(others.len()).copied();
            std::iter::once(rack[led]).chain(shifted).collect()
        })
        .collect();
    let longest = hands.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|place| hands.iter().filter_map(move |hand| hand.get(place).copied())).collect()
}

/// Checks the replicas that a client chose for one partition (Kafka `validateManualPartitionAssignment`).
pub(super) fn check_assignment(image: &Image, replicas: &[i32], factor: Option<usize>) -> Result<(), ControllerError> {
    if replicas.is_empty() {
        return Err(InvalidAssignment("The manual partition assignment includes an empty replica list.".into()));
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut before = None;
    for id in sorted {
        if image.broker(id).is_none() {
            let what =
                format!("The manual partition assignment includes broker {id}, but no such broker is registered.");
            return Err(InvalidAssignment(what));
        }
        if before.replace(id) == Some(id) {
            let what = format!("The manual partition assignment includes the broker {id} more than once.");
            return Err(InvalidAssignment(what));
        }
    }
    match factor {
        Some(factor) if factor != replicas.len() => Err(InvalidAssignment(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {factor} replica(s).",
            replicas.len()
        ))),
        _ => Ok(()),
    }
}

/// Whether any of these brokers could lead a partition now.
pub(super) fn check_available(
    image: &Image,
    leaving: &BTreeSet<i32>,
    partition: i32,
    replicas: &[i32],
) -> Result<(), ControllerError> {
    if replicas.iter().any(|id| image.is_available(*id) && !leaving.contains(id)) {
        return Ok(());
    }
    Err(InvalidAssignment(format!(
        "All brokers specified in the manual partition assignment for partition {partition} are fenced or in controlled \
         shutdown."
    )))
}

/// Checks the replicas of all partitions of a new topic: partitions 0, 1, 2, …
pub(super) fn manual(
    image: &Image,
    leaving: &BTreeSet<i32>,
    assignments: &[(i32, Vec<i32>)],
) -> Result<Vec<Vec<i32>>, ControllerError> {
    let (mut seen, mut factor) = (HashSet::new(), None);
    for (partition, replicas) in assignments {
        if !seen.insert(partition) {
            let what = format!("Found multiple manual partition assignments for partition {partition}");
            return Err(InvalidAssignment(what));
        }
        check_assignment(image, replicas, factor)?;
        factor = Some(replicas.len());
        check_available(image, leaving, *partition, replicas)?;
    }
    let sorted: BTreeMap<i32, &Vec<i32>> =
        assignments.iter().map(|(partition, replicas)| (*partition, replicas)).collect();
    if !sorted.keys().copied().eq(0..assignments.len() as i32) {
        return Err(InvalidAssignment("partitions should be a consecutive 0-based integer sequence".into()));
    }
    Ok(sorted.into_values().cloned().collect())
}

#[cfg(test)]
mod tests;
