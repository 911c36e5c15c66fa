//! What is known of one key's log: which value stands at which offset, from every poll and every acknowledged send.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    ops::Bound::Excluded,
};

/// Offsets shown on either side of a case.
const AROUND: usize = 3;

/// One key's log.
#[derive(Debug)]
pub(super) struct KeyLog {
    pub(super) name: String,
    values: BTreeMap<i64, u64>,
    /// Further values that were told of an offset.
    others: HashMap<i64, Vec<u64>>,
    /// Offsets below may be gone by a declared rule.
    pub(super) start: i64,
    /// Acknowledged offsets above all before them, with their times: how far a consumer may lag.
    acked: Vec<(i64, u64)>,
}

/// What an observation says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Observed {
    /// Known already.
    Known,
    /// The first value at this offset.
    New,
    /// Another value stands there.
    Conflict(u64),
}

impl KeyLog {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), values: BTreeMap::new(), others: HashMap::new(), start: 0, acked: Vec::new() }
    }

    pub(super) fn observe(&mut self, offset: i64, value: u64) -> Observed {
        let first = match self.values.entry(offset) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
                return Observed::New;
            }
            Entry::Occupied(occupied) => *occupied.get(),
        };
        if first == value {
            return Observed::Known;
        }
        let others = self.others.entry(offset).or_default();
        if others.contains(&value) {
            return Observed::Known;
        }
        others.push(value);
        Observed::Conflict(first)
    }

    /// Whether a value stands strictly between two offsets, and may still be expected there.
    pub(super) fn between(&self, from: i64, to: i64) -> Option<(i64, u64)> {
        let from = from.max(self.start - 1);
        if to <= from + 1 {
            return None;
        }
        self.values.range((Excluded(from), Excluded(to))).next().map(|(offset, value)| (*offset, *value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.values.iter().map(|(offset, value)| (*offset, *value))
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn on_acked(&mut self, offset: i64, time_ns: u64) {
        if self.acked.last().is_none_or(|(last, _)| *last < offset) {
            self.acked.push((offset, time_ns));
        }
    }

    /// When an offset above this one was first acknowledged.
    pub(super) fn acked_above(&self, offset: i64) -> Option<u64> {
        let place = self.acked.partition_point(|(acked, _)| *acked <= offset);
        self.acked.get(place).map(|(_, time_ns)| *time_ns)
    }

    /// The values on both sides of an offset, and at it.
    pub(super) fn around(&self, offset: i64) -> Vec<(i64, Vec<u64>)> {
        let mut below: Vec<_> = self.values.range(..offset).rev().take(AROUND).collect();
        below.reverse();
        let from_here = self.values.range(offset..).take(AROUND + 1);
        let all = below.into_iter().chain(from_here);
        all.map(|(at, value)| (*at, self.at(*at, *value))).collect()
    }

    fn at(&self, offset: i64, first: u64) -> Vec<u64> {
        std::iter::once(first).chain(self.others.get(&offset).into_iter().flatten().copied()).collect()
    }
}

/// All keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    ids: HashMap<String, u32>,
    pub(super) logs: Vec<KeyLog>,
}

impl Keys {
    pub(super) fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.logs.len() as u32;
        self.logs.push(KeyLog::new(name));
        self.ids.insert(name.to_owned(), id);
        id
    }

    pub(super) fn log(&mut self, id: u32) -> &mut KeyLog {
        &mut self.logs[id as usize]
    }

    pub(super) fn name(&self, id: u32) -> &str {
        &self.logs[id as usize].name
    }
}
