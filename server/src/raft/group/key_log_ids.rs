//! The last log id of each leader, which openraft asks for at a start: from the log's leader epochs, not by a search through it.
//! Those lack epochs that wrote no record, and may name a later frame than the first; what is read of the log around each makes up
//! for that. Not here: reading.

use std::io;

use super::{
    config::LogId,
    member::{epoch_of, log_id},
};

/// Frames without a record in a row, at most, before a search is cheaper.
const WALK_MAX: u64 = 1000;

/// From `first` to `last`, both in the log; `epochs` are epochs and the Raft indexes where they are thought to begin, rising.
pub(super) fn last_of_each_leader(
    ends: (LogId, LogId),
    epochs: impl Iterator<Item = (i32, u64)>,
    mut epoch_at: impl FnMut(u64) -> io::Result<i32>,
) -> io::Result<Vec<LogId>> {
    match by_epochs(ends, epochs, &mut epoch_at)? {
        Some(found) => Ok(found),
        None => search(ends, epoch_at),
    }
}

/// Looks for the end of one epoch after the other.
fn search((first, last): (LogId, LogId), mut epoch_at: impl FnMut(u64) -> io::Result<i32>) -> io::Result<Vec<LogId>> {
    let (mut found, mut from) = (Vec::new(), (epoch_of(&first), first.index));
    while from.0 != epoch_of(&last) {
        let (mut low, mut high) = (from.1, last.index);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if epoch_at(middle)? == from.0 { low = middle } else { high = middle }
        }
        found.push(log_id(from.0, low));
        from = (if high == last.index { epoch_of(&last) } else { epoch_at(high)? }, high);
    }
    found.push(last);
    Ok(found)
}

/// `None` if the epochs are of no use.
fn by_epochs(
    (first, last): (LogId, LogId),
    epochs: impl Iterator<Item = (i32, u64)>,
    mut epoch_at: impl FnMut(u64) -> io::Result<i32>,
) -> io::Result<Option<Vec<LogId>>> {
    let mut starts = vec![(epoch_of(&first), first.index)];
    let inside = epochs.filter(|(_, index)| (first.index + 1..=last.index).contains(index));
    for (epoch, index) in inside.chain([(epoch_of(&last), last.index)]) {
        let newest = starts.last().map_or(0, |(epoch, _)| *epoch);
        if epoch == newest {
            continue;
        }
        let named = index == last.index && epoch == epoch_of(&last);
        if epoch < newest || !named && epoch_at(index)? != epoch {
            return Ok(None);
        }
        let (mut current, mut at, mut found) = ((epoch, index), index, Vec::new());
        // the first frame's epoch is known: the walk ends there
        while current.0 != newest {
            at -= 1;
            let before = if at == first.index { epoch_of(&first) } else { epoch_at(at)? };
            if before != current.0 {
                found.push(current);
            }
            if before < newest || before > current.0 || index - at > WALK_MAX {
                return Ok(None);
            }
            current = (before, at);
        }
        starts.extend(found.into_iter().rev());
    }
    let ends = starts.iter().skip(1).map(|(_, index)| index - 1).chain([last.index]);
    Ok(Some(starts.iter().zip(ends).map(|((epoch, _), end)| log_id(*epoch, end)).collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the epochs say, the answer is right.
        #[test]
        fn the_answer_is_what_the_log_says(
            runs in proptest::collection::vec((1..4, 1..6_u64), 1..8),
            first in 0..5_u64,
            known in proptest::collection::vec((0..100_usize, 0..3_u64, 0..20), 0..8),
        ) {
            let (mut log, mut epoch, mut starts) = (Vec::new(), 0, Vec::new());
            for (step, len) in runs {
                epoch += step;
                starts.push((epoch, first + log.len() as u64));
                log.extend((0..len).map(|_| epoch));
            }
            let of = |index: u64| log[(index - first) as usize];
            let last = first + log.len() as u64 - 1;
            let mut expected: Vec<LogId> = Vec::new();
            for index in first..=last {
                if expected.last().is_some_and(|id| epoch_of(id) == of(index)) {
                    expected.pop();
                }
                expected.push(log_id(of(index), index));
            }
            let ends = (log_id(of(first), first), log_id(of(last), last));
            let mut lying = false;
            let mut hints: Vec<(i32, u64)> = known.iter().map(|(place, late, wrong)| {
                let (epoch, start) = starts[place % starts.len()];
                lying |= *wrong == 0 || start + late > last || of(start + late) != epoch;
                (epoch + i32::from(*wrong == 0), start + late)
            }).collect();
            hints.sort_by_key(|(_, index)| *index);
            let known = by_epochs(ends, hints.iter().copied(), |index| Ok(of(index))).unwrap();
            prop_assert!(known.is_some() || lying, "what lacks something only is good for an answer");
            let found = last_of_each_leader(ends, hints.into_iter(), |index| Ok(of(index))).unwrap();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(search(ends, |index| Ok(of(index))).unwrap(), expected);
        }
    }

    #[test]
    fn a_long_log_is_not_read() {
        let (mut reads, len) = (0, 1_000_000);
        let at = |index| {
            reads += 1;
            Ok(if index < 500_000 { 1 } else { 4 })
        };
        let ends = (log_id(1, 0), log_id(4, len));
        let found = last_of_each_leader(ends, [(1, 0), (4, 500_000)].into_iter(), at).unwrap();
        assert_eq!(found, [log_id(1, 499_999), log_id(4, len)]);
        assert_eq!(reads, 2);
    }
}
