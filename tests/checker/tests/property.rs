//! Histories of a correct log in memory raise nothing; one change of the log is always found.

use proptest::{prelude::*, sample::Index};

use super::history::{History, polled, sent};
use crate::checker::{Anomaly, Event, Function, Kind, Report, State, Verdict};

const KEYS: [&str; 3] = ["a-0", "a-1", "b-0"];

/// What a client does next.
#[derive(Debug, Clone)]
enum Step {
    /// To which key, by which process, and with what outcome: stored and acknowledged, stored and unknown, unknown and not
    /// stored, failed.
    Send { key: usize, process: u32, outcome: u8 },
    /// The next records of a key, at most so many.
    Poll { key: usize, process: u32, records_max: usize },
    /// A control record takes an offset.
    Hole { key: usize },
    /// Begins again at the start of all keys.
    Assign { process: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS.len(), 0..3_u32, 0..8_u8).prop_map(|(key, process, outcome)| Step::Send { key, process, outcome }),
        4 => (0..KEYS.len(), 0..3_u32, 1..6_usize)
            .prop_map(|(key, process, records_max)| Step::Poll { key, process, records_max }),
        1 => (0..KEYS.len()).prop_map(|key| Step::Hole { key }),
        1 => (0..3_u32).prop_map(|process| Step::Assign { process }),
    ]
}

/// What a log that is not correct does to one record that was acknowledged, before the final phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Drop,
    Swap,
    Duplicate,
    Move,
    Alter,
}

#[derive(Default)]
struct Model {
    history: History,
    /// Per key: offset and value; a hole has none.
    logs: [Vec<Option<u64>>; KEYS.len()],
    acked: Vec<(usize, usize)>,
    positions: std::collections::HashMap<(u32, usize), usize>,
    next_value: u64,
}

impl Model {
    fn run(steps: &[Step]) -> Self {
        let mut model = Self::default();
        steps.iter().for_each(|step| model.step(step));
        model
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Hole { key } => self.logs[key].push(None),
            Step::Assign { process } => {
                self.history.assign(process);
                self.positions.retain(|(of, _), _| *of != process);
            }
            Step::Send { key, process, outcome } => {
                self.next_value += 1;
                let (value, offset) = (self.next_value, self.logs[key].len());
                if outcome < 6 {
                    self.logs[key].push(Some(value));
                }
                match outcome {
                    0..5 => {
                        self.history.send(process, KEYS[key], value, offset as i64);
                        self.acked.push((key, offset));
                    }
                    5 | 6 => self.history.send_ends(process, Kind::Info, KEYS[key], value),
                    _ => self.history.send_ends(process, Kind::Fail, KEYS[key], value),
                }
            }
            Step::Poll { key, process, records_max } => {
                let from = self.positions.get(&(process, key)).copied().unwrap_or(0);
                let records = self.records(key, from, records_max);
                if let Some((last, _)) = records.last() {
                    self.positions.insert((process, key), *last as usize + 1);
                }
                self.history.poll(process, KEYS[key], &records);
            }
        }
    }

    fn records(&self, key: usize, from: usize, records_max: usize) -> Vec<(i64, u64)> {
        let all = self.logs[key].iter().enumerate().skip(from);
        all.filter_map(|(offset, value)| Some((offset as i64, (*value)?))).take(records_max).collect()
    }

    /// Changes the log at an acknowledged record; false where there is none, or none to swap with.
    fn change(&mut self, change: Change, index: Index) -> bool {
        if self.acked.is_empty() {
            return false;
        }
        let (key, offset) = self.acked[index.index(self.acked.len())];
        let others: Vec<_> = (0..self.logs[key].len()).filter(|other| *other != offset).collect();
        let log = &mut self.logs[key];
        let other = if others.is_empty() { offset } else { others[index.index(others.len())] };
        match change {
            Change::Drop => log[offset] = None,
            Change::Swap => log.swap(offset, other),
            Change::Duplicate => {
                let value = log[offset];
                log.push(value);
            }
            Change::Move => {
                let value = log.remove(offset);
                log.push(value);
            }
            Change::Alter => log[offset] = Some(u64::MAX),
        }
        // a record that stays where it is was not moved
        match change {
            Change::Swap => other != offset,
            Change::Move => offset + 1 != log.len(),
            _ => true,
        }
    }

    /// A fresh consumer reads everything.
    fn judge(mut self) -> Report {
        self.history.event(Event::Final(State::Begin));
        for (key, name) in KEYS.into_iter().enumerate() {
            let records = self.records(key, 0, usize::MAX);
            self.history.poll(99, name, &records);
        }
        self.history.event(Event::Final(State::End));
        self.history.judge()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_correct_log_raises_nothing(steps in proptest::collection::vec(step(), 0..200)) {
        let report = Model::run(&steps).judge();
        prop_assert!(report.verdict == Verdict::Valid && report.found.is_empty(), "{report}");
    }

    #[test]
    fn one_change_of_the_log_is_found(
        steps in proptest::collection::vec(step(), 20..200),
        change in prop_oneof![
            Just(Change::Drop), Just(Change::Swap), Just(Change::Duplicate), Just(Change::Move), Just(Change::Alter)
        ],
        index in any::<Index>(),
    ) {
        let mut model = Model::run(&steps);
        if model.change(change, index) {
            let report = model.judge();
            prop_assert_eq!(report.verdict, Verdict::Violated, "{:?}: {}", change, report);
            let found = match change {
                Change::Drop => report.found.contains_key(&Anomaly::Unseen),
                Change::Duplicate => report.found.contains_key(&Anomaly::Duplicate),
                Change::Alter => report.found.contains_key(&Anomaly::Phantom),
                Change::Swap | Change::Move => report.found.contains_key(&Anomaly::InconsistentOffsets)
                    || report.found.contains_key(&Anomaly::Duplicate),
            };
            prop_assert!(found, "{change:?}: {report}");
        }
    }

    /// Transactions that take turns, each reading to the end and writing a few values, are serial.
    #[test]
    fn serial_transactions_raise_nothing(
        txns in proptest::collection::vec((0..3_u32, proptest::collection::vec(0..KEYS.len(), 1..4), 0..5_u8), 1..60),
    ) {
        let mut model = Model::default();
        for (process, keys, outcome) in txns {
            let mut ops = Vec::new();
            for (key, name) in KEYS.into_iter().enumerate() {
                let from = model.positions.get(&(process, key)).copied().unwrap_or(0);
                let records = model.records(key, from, usize::MAX);
                if outcome < 4 && let Some((last, _)) = records.last() {
                    model.positions.insert((process, key), *last as usize + 1);
                }
                ops.push(polled(name, &records));
            }
            // an aborted transaction's records lie in the log, where consumers leave them out
            for key in keys.iter().copied() {
                model.next_value += 1;
                ops.push(sent(KEYS[key], model.next_value, model.logs[key].len() as i64));
                model.logs[key].push((outcome < 4).then_some(model.next_value));
            }
            if outcome < 4 {
                // both markers stand behind
                keys.iter().for_each(|key| model.logs[*key].push(None));
            }
            model.history.whole(process, if outcome < 4 { Kind::Ok } else { Kind::Fail }, Function::Txn, ops);
            if outcome >= 4 {
                model.positions.retain(|(of, _), _| *of != process);
            }
        }
        let report = model.judge();
        prop_assert!(report.verdict == Verdict::Valid && report.found.is_empty(), "{report}");
    }
}
