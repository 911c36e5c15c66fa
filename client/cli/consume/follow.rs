//! `--follow`: every partition is read at the same time, and records are printed as they come.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tidemark_client::{Fetched, ReadError, Reader, Record};

use super::print::Printer;
use crate::failure::Failure;

/// How long the broker waits for more before it answers with nothing.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// One partition that is followed.
pub(super) struct Followed {
    pub reader: Reader,
    /// Records below this are not wanted.
    pub from: i64,
    pub until: Until,
}

/// Where following a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Never.
    Forever,
    /// At this offset.
    Offset(i64),
    /// At the first record of this time or later.
    Time(i64),
}

impl Until {
    fn is_reached(self, next: i64) -> bool {
        matches!(self, Self::Offset(offset) if next >= offset)
    }

    fn ends_before(self, record: &Record) -> bool {
        match self {
            Self::Forever => false,
            Self::Offset(offset) => record.offset >= offset,
            Self::Time(timestamp_ms) => record.timestamp_ms >= timestamp_ms,
        }
    }
}

/// Follows until every partition's end is reached or enough is printed; without either, for ever.
pub(super) async fn follow(followed: Vec<Followed>, printer: &mut Printer) -> Result<(), Failure> {
    let open = followed.into_iter().filter(|one| !one.until.is_reached(one.reader.position()));
    let mut running: FuturesUnordered<_> = open.map(next_records).collect();
    while let Some((one, records)) = running.next().await {
        let mut ended = false;
        for record in records? {
            ended = one.until.ends_before(&record);
            if ended {
                break;
            }
            if record.offset >= one.from {
                printer.print(one.reader.partition(), &record)?;
            }
        }
        printer.flush()?;
        if printer.is_full() {
            return Ok(());
        }
        if !ended && !one.until.is_reached(one.reader.position()) {
            running.push(next_records(one));
        }
    }
    Ok(())
}

async fn next_records(mut one: Followed) -> (Followed, Result<Vec<Record>, ReadError>) {
    let records = one.reader.fetch(WAIT_MAX).await.and_then(Fetched::into_records);
    (one, records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_exclusive() {
        let record =
            |offset, timestamp_ms| Record { offset, timestamp_ms, key: None, value: None, headers: Vec::new() };
        assert!(!Until::Offset(5).ends_before(&record(4, 0)) && Until::Offset(5).ends_before(&record(5, 0)));
        assert!(Until::Offset(5).is_reached(5) && !Until::Offset(5).is_reached(4));
        assert!(!Until::Time(9).ends_before(&record(0, 8)) && Until::Time(9).ends_before(&record(0, 9)));
        assert!(!Until::Forever.is_reached(i64::MAX));
    }
}
