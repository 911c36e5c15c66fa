//! Every value that was sent: by whom, with what outcome, where it was found.

use std::collections::HashMap;

use super::line::Kind;

/// The transaction of a value that is in none.
pub(super) const NO_TXN: u32 = u32::MAX;
/// The offset of a value whose place is not known.
pub(super) const NOWHERE: i64 = -1;

/// One value.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) value: u64,
    /// Index of the line that began it.
    pub(super) invoke: u64,
    /// The lowest that was told of it; [`NOWHERE`] if none was.
    pub(super) offset: i64,
    pub(super) key: u32,
    pub(super) process: u32,
    pub(super) txn: u32,
    /// Info until its operation ends.
    pub(super) outcome: Kind,
    /// In an ok poll.
    pub(super) seen: bool,
    /// In an ok poll of the final phase.
    pub(super) seen_at_end: bool,
}

/// Values in the order of their sends.
#[derive(Debug, Default)]
pub(super) struct Sends {
    pub(super) all: Vec<Sent>,
    by_value: HashMap<u64, u32>,
    /// Highest offset of values that were found at more than one.
    again: HashMap<u64, i64>,
}

impl Sends {
    /// The place of a new value; None if it was sent before.
    pub(super) fn add(&mut self, sent: Sent) -> Option<u32> {
        let place = self.all.len() as u32;
        if self.by_value.contains_key(&sent.value) {
            return None;
        }
        self.by_value.insert(sent.value, place);
        self.all.push(sent);
        Some(place)
    }

    pub(super) fn find(&mut self, value: u64) -> Option<&mut Sent> {
        let place = *self.by_value.get(&value)?;
        self.all.get_mut(place as usize)
    }

    pub(super) fn get(&self, value: u64) -> Option<&Sent> {
        self.all.get(*self.by_value.get(&value)? as usize)
    }

    /// Notes where a value is; gives the place where it is as well, if it is at two.
    pub(super) fn found_at(&mut self, value: u64, offset: i64) -> Option<i64> {
        let sent = self.find(value)?;
        let known = sent.offset;
        if known == NOWHERE || known == offset {
            sent.offset = offset;
            return None;
        }
        sent.offset = known.min(offset);
        let highest = self.again.entry(value).or_insert(known);
        *highest = (*highest).max(offset).max(known);
        Some(known)
    }

    /// The highest offset that was told of a value.
    pub(super) fn last_offset(&self, sent: &Sent) -> i64 {
        self.again.get(&sent.value).copied().unwrap_or(sent.offset)
    }
}
