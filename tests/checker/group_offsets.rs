//! Committed group offsets: an acknowledged commit must be there for whoever asks later, until another replaces it.

use std::collections::{HashMap, VecDeque};

use super::{anomaly::Anomaly, line::Kind};

/// Entries kept per group and key; older ones are no longer judged by.
const ENTRIES_MAX: usize = 64;

/// A commit, or an answer that somebody was given.
#[derive(Debug)]
struct Entry {
    number: u64,
    offset: i64,
    invoke: u64,
    /// Index of the line that ended it; None while it is under way or if nobody knows.
    end: Option<u64>,
    is_commit: bool,
    /// It was acknowledged, or was an answer.
    is_promise: bool,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct GroupOffsets {
    entries: HashMap<(String, u32), VecDeque<Entry>>,
    places: HashMap<u64, (String, u32)>,
    next_number: u64,
}

impl GroupOffsets {
    fn push(&mut self, group: &str, key: u32, entry: Entry) {
        let entries = self.entries.entry((group.to_owned(), key)).or_default();
        if entries.len() == ENTRIES_MAX
            && let Some(old) = entries.pop_front()
        {
            self.places.remove(&old.number);
        }
        entries.push_back(entry);
    }

    /// A commit begins; gives its number.
    pub(super) fn begin_commit(&mut self, group: &str, key: u32, offset: i64, invoke: u64) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.places.insert(number, (group.to_owned(), key));
        self.push(group, key, Entry { number, offset, invoke, end: None, is_commit: true, is_promise: false });
        number
    }

    /// A commit ends.
    pub(super) fn end_commit(&mut self, number: u64, kind: Kind, end: u64) {
        let Some(place) = self.places.remove(&number) else { return };
        let Some(entries) = self.entries.get_mut(&place) else { return };
        if kind == Kind::Fail {
            entries.retain(|entry| !(entry.is_commit && entry.number == number));
        } else if kind == Kind::Ok
            && let Some(entry) = entries.iter_mut().find(|entry| entry.is_commit && entry.number == number)
        {
            (entry.end, entry.is_promise) = (Some(end), true);
        }
    }

    /// An answer, asked for at `invoke`; gives what it breaks.
    pub(super) fn fetched(
        &mut self,
        (group, key): (&str, u32),
        offset: Option<i64>,
        invoke: u64,
        end: u64,
    ) -> Option<(Anomaly, i64)> {
        let told = offset.unwrap_or(-1);
        let entries = self.entries.get(&(group.to_owned(), key));
        let broken = entries.into_iter().flatten().find(|promise| {
            let before = promise.is_promise && promise.end.is_some_and(|end| end < invoke) && promise.offset > told;
            let replaced = || {
                entries.into_iter().flatten().any(|commit| {
                    commit.is_commit
                        && commit.number != promise.number
                        && commit.offset == told
                        && commit.end.is_none_or(|end| end > promise.invoke)
                })
            };
            before && !replaced()
        });
        let broken = broken.map(|promise| {
            let anomaly = if promise.is_commit { Anomaly::GroupOffsetLoss } else { Anomaly::OffsetRegression };
            (anomaly, promise.offset)
        });
        if let Some(offset) = offset {
            let answer = Entry { number: u64::MAX, offset, invoke, end: Some(end), is_commit: false, is_promise: true };
            self.push(group, key, answer);
        }
        broken
    }

    /// The key's offsets may go back from here.
    pub(super) fn forget(&mut self, key: u32) {
        self.entries.retain(|(_, of), _| *of != key);
    }
}
