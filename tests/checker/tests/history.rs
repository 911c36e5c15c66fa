//! Histories in few words.

use crate::checker::{
    Anomaly, Checker, Event, Function, Kind, Line, MicroOp, Operation, Polled, Report, Settings, State, Verdict,
};

/// Lines, with indices and times of their own.
#[derive(Default)]
pub struct History {
    pub lines: Vec<Line>,
    /// Of the next line.
    pub time_ns: u64,
}

pub fn send(key: &str, value: u64) -> MicroOp {
    MicroOp::Send { key: key.to_owned(), value, offset: None }
}

pub fn sent(key: &str, value: u64, offset: i64) -> MicroOp {
    MicroOp::Send { key: key.to_owned(), value, offset: Some(offset) }
}

pub fn polled(key: &str, records: &[(i64, u64)]) -> MicroOp {
    let polled = |(offset, value): &(i64, u64)| Polled { offset: *offset, value: *value, flaw: None };
    MicroOp::Poll(vec![(key.to_owned(), records.iter().map(polled).collect())])
}

pub fn operation(process: u32, kind: Kind, function: Function, ops: Vec<MicroOp>) -> Operation {
    Operation { process, client: String::new(), kind, function, ops, error: None, invoke: None, rebalances: Vec::new() }
}

impl History {
    pub fn event(&mut self, event: Event) -> u64 {
        let index = self.lines.len() as u64;
        self.time_ns += 1000;
        self.lines.push(Line { index, time_ns: self.time_ns, event });
        index
    }

    pub fn line(&mut self, process: u32, kind: Kind, function: Function, ops: Vec<MicroOp>) -> u64 {
        self.event(Event::Operation(operation(process, kind, function, ops)))
    }

    /// An operation that ends at once; what it asks is `ops` of its end without offsets.
    pub fn whole(&mut self, process: u32, kind: Kind, function: Function, ops: Vec<MicroOp>) {
        let asked = ops.iter().map(|op| match op {
            MicroOp::Send { key, value, .. } => send(key, *value),
            MicroOp::Poll(_) => MicroOp::Poll(vec![]),
            MicroOp::Latest(answers) => MicroOp::Latest(unknown(answers)),
            MicroOp::LastStable(answers) => MicroOp::LastStable(unknown(answers)),
            MicroOp::Committed(group, answers) => MicroOp::Committed(group.clone(), unknown(answers)),
            other => other.clone(),
        });
        let asked = asked.collect();
        self.line(process, Kind::Invoke, function, asked);
        self.line(process, kind, function, ops);
    }

    /// Sends a value, which is stored.
    pub fn send(&mut self, process: u32, key: &str, value: u64, offset: i64) {
        self.whole(process, Kind::Ok, Function::Send, vec![sent(key, value, offset)]);
    }

    /// Sends a value with another outcome.
    pub fn send_ends(&mut self, process: u32, kind: Kind, key: &str, value: u64) {
        self.whole(process, kind, Function::Send, vec![send(key, value)]);
    }

    pub fn poll(&mut self, process: u32, key: &str, records: &[(i64, u64)]) {
        self.whole(process, Kind::Ok, Function::Poll, vec![polled(key, records)]);
    }

    pub fn txn(&mut self, process: u32, kind: Kind, ops: Vec<MicroOp>) {
        self.whole(process, kind, Function::Txn, ops);
    }

    pub fn assign(&mut self, process: u32) {
        self.whole(process, Kind::Ok, Function::Assign, vec![]);
    }

    pub fn finals(&mut self) {
        self.event(Event::Final(State::Begin));
        self.event(Event::Final(State::End));
    }

    pub fn judge(self) -> Report {
        self.judge_with(Settings::default())
    }

    pub fn judge_with(self, settings: Settings) -> Report {
        let mut checker = Checker::default();
        let run = Line { index: 0, time_ns: 0, event: Event::Run(settings) };
        checker.take(run).unwrap();
        for mut line in self.lines {
            line.index += 1;
            if let Event::Operation(operation) = &mut line.event {
                operation.invoke = operation.invoke.map(|invoke| invoke + 1);
            }
            checker.take(line).unwrap_or_else(|contradiction| panic!("{contradiction:?}"));
        }
        checker.finish()
    }
}

fn unknown(answers: &[(String, Option<i64>)]) -> Vec<(String, Option<i64>)> {
    answers.iter().map(|(key, _)| (key.clone(), None)).collect()
}

/// Exactly these anomalies are found, and they make the verdict.
pub fn assert_found(report: &Report, expected: &[Anomaly]) {
    let found: Vec<_> = report.found.keys().copied().collect();
    assert_eq!(found, expected, "{report}");
    let forbidden = expected.iter().any(|anomaly| anomaly.is_forbidden(report.settings));
    assert_eq!(report.verdict, if forbidden { Verdict::Violated } else { Verdict::Valid }, "{report}");
}

/// The history that `build` makes when told whether to make it anomalous, judged both ways.
pub fn both_ways(expected: &[Anomaly], build: impl Fn(bool, &mut History)) {
    for anomalous in [true, false] {
        let mut history = History::default();
        build(anomalous, &mut history);
        history.finals();
        assert_found(&history.judge(), if anomalous { expected } else { &[] });
    }
}
