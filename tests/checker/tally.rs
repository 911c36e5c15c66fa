//! What was found so far: numbers, and the first cases of each anomaly.

use std::collections::BTreeMap;

use super::{anomaly::Anomaly, settings::Settings};

/// Cases kept per anomaly.
pub const CASES_MAX: usize = 8;

/// One case, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Index of the history's line where it shows, if it shows at one.
    pub index: Option<u64>,
    /// What is wrong.
    pub text: String,
    /// The key and offset that it is about, if it is about one.
    pub place: Option<(String, i64)>,
    /// What the key's log holds around it.
    pub around: Vec<(i64, Vec<u64>)>,
}

/// All of one anomaly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How often.
    pub count: u64,
    /// How often where the run's settings forbid it.
    pub forbidden: u64,
    /// The first of them.
    pub cases: Vec<Case>,
}

/// A case before the log around it is known.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) index: Option<u64>,
    pub(super) text: String,
    pub(super) place: Option<(u32, i64)>,
}

#[derive(Debug, Default)]
struct Entry {
    count: u64,
    forbidden: u64,
    sightings: Vec<Sighting>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) settings: Settings,
    entries: BTreeMap<Anomaly, Entry>,
}

impl Tally {
    /// Notes a case; the text is made only for those that are kept.
    pub(super) fn found(
        &mut self,
        anomaly: Anomaly,
        index: Option<u64>,
        place: Option<(u32, i64)>,
        text: impl FnOnce() -> String,
    ) {
        let forbidden = anomaly.is_forbidden(self.settings);
        self.note(anomaly, forbidden, || Sighting { index, text: text(), place });
    }

    /// The same where the case itself decides whether it is forbidden.
    pub(super) fn note(&mut self, anomaly: Anomaly, forbidden: bool, sighting: impl FnOnce() -> Sighting) {
        let entry = self.entries.entry(anomaly).or_default();
        entry.count += 1;
        entry.forbidden += u64::from(forbidden);
        if entry.sightings.len() < CASES_MAX {
            entry.sightings.push(sighting());
        }
    }

    /// All that was found; `describe` adds the log around a place.
    pub(super) fn into_found(self, describe: impl Fn(Sighting) -> Case) -> BTreeMap<Anomaly, Found> {
        let found = |(anomaly, entry): (Anomaly, Entry)| {
            let cases = entry.sightings.into_iter().map(&describe).collect();
            (anomaly, Found { count: entry.count, forbidden: entry.forbidden, cases })
        };
        self.entries.into_iter().map(found).collect()
    }
}
