//! Takes a history line by line: who began what. Not here: what completions say (`complete`), what can only be judged
//! when all is known (`finish`).

use std::collections::{BTreeMap, HashMap};

use super::{
    anomaly::Anomaly,
    group_offsets::GroupOffsets,
    key_log::Keys,
    line::{Event, Function, Kind, Line, MicroOp, Operation, State},
    process::{Marks, Open, Process},
    report::Report,
    sends::{NO_TXN, NOWHERE, Sends, Sent},
    tally::Tally,
    timeline::Timeline,
    transactions::Txn,
};

/// Why a line cannot follow the lines before it.
#[derive(Debug, PartialEq, Eq)]
pub struct Contradiction(pub String);

/// Two offsets that a consumer took one behind the other, with room between them.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) anomaly: Anomaly,
    pub(super) forbidden: bool,
    pub(super) key: u32,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) index: u64,
    pub(super) process: u32,
}

/// How far the final phase came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum FinalPhase {
    #[default]
    Missing,
    Begun,
    Ended,
}

/// The state of a check.
#[derive(Debug, Default)]
pub struct Checker {
    pub(super) tally: Tally,
    pub(super) keys: Keys,
    pub(super) sends: Sends,
    pub(super) txns: Vec<Txn>,
    pub(super) processes: HashMap<u32, Process>,
    pub(super) groups: GroupOffsets,
    /// What anybody knew of a key.
    pub(super) marks: HashMap<u32, Marks>,
    pub(super) gaps: Vec<Gap>,
    pub(super) timeline: Timeline,
    pub(super) final_phase: FinalPhase,
    pub(super) lag_ns_max: u64,
    pub(super) outcomes: BTreeMap<(&'static str, Kind), u64>,
    pub(super) polled: u64,
    /// The same in the final phase.
    pub(super) polled_at_end: u64,
    last: Option<(u64, u64)>,
}

impl Checker {
    /// The next line.
    ///
    /// # Errors
    /// It contradicts the lines before it; nothing can be said of this history.
    pub fn take(&mut self, line: Line) -> Result<(), Contradiction> {
        self.check_order(&line).map_err(Contradiction)?;
        let Line { index, time_ns, event } = line;
        match event {
            Event::Run(settings) => self.tally.settings = settings,
            Event::Fault { kind, state: State::Begin, detail } => self.timeline.on_fault(kind, detail, time_ns),
            Event::Fault { .. } => self.timeline.on_fault_end(),
            Event::Final(State::Begin) => self.final_phase = FinalPhase::Begun,
            Event::Final(State::End) => self.final_phase = FinalPhase::Ended,
            Event::Divergence { key, detail } => {
                self.tally.found(Anomaly::ReplicaDivergence, Some(index), None, || format!("{key}: {detail}"));
            }
            Event::Operation(operation) => {
                self.timeline.on_operation(time_ns);
                self.on_operation(&operation, index, time_ns).map_err(Contradiction)?;
            }
        }
        Ok(())
    }

    fn check_order(&mut self, line: &Line) -> Result<(), String> {
        if let Some((index, time_ns)) = self.last {
            if line.index <= index {
                return Err(format!("index {} follows {index}", line.index));
            }
            if line.time_ns < time_ns {
                return Err(format!("time_ns {} follows {time_ns}", line.time_ns));
            }
        }
        self.last = Some((line.index, line.time_ns));
        Ok(())
    }

    fn on_operation(&mut self, operation: &Operation, index: u64, time_ns: u64) -> Result<(), String> {
        *self.outcomes.entry((operation.function.name(), operation.kind)).or_default() += 1;
        if !operation.rebalances.is_empty() || moves_positions(operation) {
            self.processes.entry(operation.process).or_default().positions.clear();
        }
        if operation.kind == Kind::Invoke {
            return self.on_invoke(operation, index, time_ns);
        }
        let open = self.processes.entry(operation.process).or_default().end(operation)?;
        self.on_completion(operation, &open, index, time_ns)
    }

    fn on_invoke(&mut self, operation: &Operation, index: u64, time_ns: u64) -> Result<(), String> {
        let txn = if operation.function == Function::Txn { self.txns.len() as u32 } else { NO_TXN };
        let first = self.sends.all.len() as u32;
        let mut open = Open {
            invoke: index,
            function: operation.function,
            sends: (first, 0),
            txn,
            known: Vec::new(),
            commits: Vec::new(),
        };
        for op in &operation.ops {
            match op {
                MicroOp::Send { key, value, .. } => {
                    let sent = Sent {
                        value: *value,
                        invoke: index,
                        offset: NOWHERE,
                        key: self.keys.id(key),
                        process: operation.process,
                        txn,
                        outcome: Kind::Info,
                        seen: false,
                        seen_at_end: false,
                    };
                    self.timeline.on_send(sent.key, time_ns);
                    self.sends.add(sent).ok_or_else(|| format!("value {value} is sent a second time"))?;
                }
                MicroOp::Latest(asked) | MicroOp::LastStable(asked) => {
                    for (key, _) in asked {
                        self.remember(key, operation.process, &mut open);
                    }
                }
                MicroOp::Commit(group, offsets) => {
                    for (key, offset) in offsets {
                        let key = self.keys.id(key);
                        open.commits.push(self.groups.begin_commit(group, key, *offset, index));
                    }
                }
                MicroOp::Poll(_) | MicroOp::HighWatermark(_) | MicroOp::Committed(..) | MicroOp::LogStart(_) => {}
            }
        }
        open.sends.1 = self.sends.all.len() as u32 - first;
        if txn != NO_TXN {
            self.txns.push(Txn { invoke: index, outcome: Kind::Info, sends: open.sends, read_from: Vec::new() });
        }
        self.processes.entry(operation.process).or_default().begin(open);
        Ok(())
    }

    /// What is known of a key when it is asked for.
    fn remember(&mut self, key: &str, process: u32, open: &mut Open) {
        let key = self.keys.id(key);
        let own = self.processes.entry(process).or_default().marks.get(&key).copied().unwrap_or_default();
        open.known.push((key, own, self.marks.get(&key).copied().unwrap_or_default()));
    }

    /// The verdict, when no line is left.
    pub fn finish(self) -> Report {
        super::finish::finish(self)
    }
}

/// Whether the process's next poll may begin anywhere.
fn moves_positions(operation: &Operation) -> bool {
    match operation.function {
        Function::Assign | Function::Subscribe | Function::Crash => true,
        Function::Txn | Function::Poll => matches!(operation.kind, Kind::Fail | Kind::Info),
        Function::Send | Function::Commit | Function::Offsets | Function::Delete => false,
    }
}
