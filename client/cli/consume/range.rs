//! `--from` and `--to` as offsets of every partition, fixed when the command starts.

use tidemark_client::{
    Admin,
    admin::{ListedOffset, OffsetSpec},
};

use crate::{failure::Failure, position::Position};

/// What is read of one partition: records at or above `from`, below `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub partition: i32,
    /// Where fetching starts; inside the log.
    pub start: i64,
    /// Records below this are not wanted; above `start` only where the offset asked for is not there yet.
    pub from: i64,
    /// Exclusive.
    pub end: i64,
    /// The first offset there was.
    pub earliest: i64,
    /// The offset that the next record would have got.
    pub latest: i64,
}

impl Range {
    /// Offsets in it; records are at most as many.
    pub(super) fn offsets(&self) -> u64 {
        self.end.saturating_sub(self.start.max(self.from)).max(0) as u64
    }

    fn new(partition: i32, log: (i64, i64), from: Option<i64>, to: Option<i64>) -> Self {
        let (earliest, latest) = log;
        let from = from.unwrap_or(latest);
        Self {
            partition,
            start: from.clamp(earliest, latest.max(earliest)),
            from,
            end: to.unwrap_or(latest).min(latest),
            earliest,
            latest,
        }
    }
}

/// Asks where the partitions start and end, and where the two positions are in each. Without `to`, a range ends where the
/// partition does now.
pub(super) async fn resolve(
    admin: &Admin,
    topic: &str,
    partitions: &[i32],
    from: Position,
    to: Position,
    now_ms: i64,
) -> Result<Vec<Range>, Failure> {
    let ask = async |spec: OffsetSpec| -> Result<Vec<ListedOffset>, Failure> {
        let asked: Vec<_> = partitions.iter().map(|partition| (topic, *partition, spec)).collect();
        let answers = admin.list_offsets(&asked).await;
        answers.into_iter().map(|(_, _, offset)| offset.map_err(Failure::from)).collect()
    };
    let earliest = ask(OffsetSpec::Earliest).await?;
    let latest = ask(OffsetSpec::Latest).await?;
    let place = async |position: Position| -> Result<Vec<Option<i64>>, Failure> {
        let offset = |found: &ListedOffset| found.offset;
        Ok(match position {
            Position::Earliest => earliest.iter().map(offset).collect(),
            Position::Latest => latest.iter().map(offset).collect(),
            Position::Offset(offset) => vec![Some(offset); partitions.len()],
            Position::Time(moment) => {
                ask(OffsetSpec::Timestamp(moment.resolve(now_ms))).await?.iter().map(offset).collect()
            }
        })
    };
    let (from, to) = (place(from).await?, place(to).await?);
    let known = |offsets: &[ListedOffset], place: usize| offsets.get(place).and_then(|found| found.offset).unwrap_or(0);
    let range = |(place, partition): (usize, &i32)| {
        Range::new(*partition, (known(&earliest, place), known(&latest, place)), from[place], to[place])
    };
    Ok(partitions.iter().enumerate().map(range).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stay_inside_the_log() {
        let range = Range::new(0, (10, 20), Some(5), Some(25));
        assert_eq!((range.start, range.end, range.offsets()), (10, 20, 10));
        let range = Range::new(0, (10, 20), Some(12), Some(15));
        assert_eq!((range.start, range.end, range.offsets()), (12, 15, 3));
        let empty = Range::new(0, (10, 20), Some(15), Some(12));
        assert_eq!(empty.offsets(), 0);
    }

    #[test]
    fn a_time_without_a_record_is_the_end() {
        let range = Range::new(0, (10, 20), None, None);
        assert_eq!((range.start, range.end), (20, 20));
    }

    #[test]
    fn an_offset_that_is_not_there_yet_is_waited_for_and_not_undercut() {
        let range = Range::new(0, (10, 20), Some(30), None);
        assert_eq!((range.start, range.from, range.offsets()), (20, 30, 0));
    }
}
