//! The records of one partition's range, in order or in the opposite order. Not here: other partitions.

use std::collections::VecDeque;

use tidemark_client::{ReadError, Record};

use super::{
    fetching::{Ahead, Source},
    range::Range,
};

/// Offsets of the first window that is read backwards.
const WINDOW_FIRST: i64 = 256;
const WINDOW_MAX: i64 = 1 << 20;
/// A window with fewer bytes is followed by a larger one, one with eight times as many by a smaller one.
const WINDOW_BYTES: usize = 512 * 1024;

/// One partition's range as a stream of records.
pub(super) struct Lane {
    source: Source,
    range: Range,
    way: Way,
    records: VecDeque<Record>,
}

enum Way {
    /// Goes on at `next`.
    Forward { next: i64, ahead: Ahead },
    /// Everything at or above `below` was given.
    Backward { below: i64, window: i64 },
}

impl Lane {
    /// From the range's start to its end.
    pub(super) fn forward(source: Source, range: Range) -> Self {
        Self {
            source,
            range,
            way: Way::Forward { next: range.start, ahead: Ahead::default() },
            records: VecDeque::new(),
        }
    }

    /// From the range's end to its start. `wanted` records are likely to be enough.
    pub(super) fn backward(source: Source, range: Range, wanted: Option<u64>) -> Self {
        let window = wanted.map_or(WINDOW_FIRST, |wanted| wanted.clamp(1, WINDOW_FIRST as u64) as i64);
        Self { source, range, way: Way::Backward { below: range.end, window }, records: VecDeque::new() }
    }

    pub(super) fn partition(&self) -> i32 {
        self.range.partition
    }

    /// The timestamp of the next record; `None` when there is none left.
    pub(super) async fn head(&mut self) -> Result<Option<i64>, ReadError> {
        while self.records.is_empty() && !self.is_read() {
            self.refill().await?;
        }
        Ok(self.records.front().map(|record| record.timestamp_ms))
    }

    /// The next record, after [`Self::head`] said that there is one.
    pub(super) fn take(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    fn is_read(&self) -> bool {
        match &self.way {
            Way::Forward { next, .. } => *next >= self.range.end,
            Way::Backward { below, .. } => *below <= self.range.start.max(self.range.from),
        }
    }

    async fn refill(&mut self) -> Result<(), ReadError> {
        let Self { source, range, way, records } = self;
        match way {
            Way::Forward { next, ahead } => {
                let fetched = ahead.take(source, *next).await?;
                *next = fetched.next_offset;
                if *next < range.end {
                    ahead.start(source, *next).await;
                }
                let wanted = range.from..range.end;
                let kept = fetched.into_records()?.into_iter().filter(|record| wanted.contains(&record.offset));
                records.extend(kept);
            }
            Way::Backward { below, window } => {
                let from = below.saturating_sub(*window).max(range.start).max(range.from);
                let (found, bytes) = read_window(source, from, *below).await?;
                records.extend(found.into_iter().rev());
                *below = from;
                *window = next_window(*window, bytes);
            }
        }
        Ok(())
    }
}

/// All records at or above `from` and below `end`, and about how many bytes they are.
async fn read_window(source: &Source, from: i64, end: i64) -> Result<(Vec<Record>, usize), ReadError> {
    let (mut found, mut next) = (Vec::new(), from);
    while next < end {
        let fetched = source.fetch(next).await?;
        next = fetched.next_offset;
        found.extend(fetched.into_records()?.into_iter().filter(|record| record.offset < end));
    }
    let size = |record: &Record| {
        record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len) + 32
    };
    let bytes = found.iter().map(size).sum();
    Ok((found, bytes))
}

fn next_window(window: i64, bytes: usize) -> i64 {
    match bytes {
        0..WINDOW_BYTES => (window * 2).min(WINDOW_MAX),
        _ if bytes > 8 * WINDOW_BYTES => (window / 4).max(1),
        _ => window,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_the_size_of_records() {
        assert_eq!(next_window(256, 1_000), 512);
        assert_eq!(next_window(WINDOW_MAX, 0), WINDOW_MAX);
        assert_eq!(next_window(256, WINDOW_BYTES), 256);
        assert_eq!(next_window(2, 100 << 20), 1);
    }
}
