//! What a completion says: offsets of sends, polled records, answers about offsets.

use super::{
    anomaly::Anomaly,
    checker::{Checker, FinalPhase, Gap},
    key_log::Observed,
    line::{Kind, MicroOp, Operation, Polled},
    process::{Marks, Open},
    sends::NO_TXN,
    tally::Sighting,
};

/// Where and when a completion is.
#[derive(Debug, Clone, Copy)]
struct At<'a> {
    operation: &'a Operation,
    open: &'a Open,
    index: u64,
    time_ns: u64,
}

/// The two answers that must not go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Latest,
    LastStable,
}

impl Asked {
    fn name(self) -> &'static str {
        match self {
            Self::Latest => "LATEST",
            Self::LastStable => "the last stable offset",
        }
    }

    fn of(self, marks: &mut Marks) -> &mut Option<i64> {
        match self {
            Self::Latest => &mut marks.latest,
            Self::LastStable => &mut marks.last_stable,
        }
    }
}

impl Checker {
    pub(super) fn on_completion(
        &mut self,
        operation: &Operation,
        open: &Open,
        index: u64,
        time_ns: u64,
    ) -> Result<(), String> {
        let at = At { operation, open, index, time_ns };
        let (first, count) = (open.sends.0 as usize, open.sends.1 as usize);
        for sent in &mut self.sends.all[first..first + count] {
            sent.outcome = operation.kind;
        }
        if let Some(txn) = self.txns.get_mut(open.txn as usize) {
            txn.outcome = operation.kind;
        }
        for number in &open.commits {
            self.groups.end_commit(*number, operation.kind, index);
        }
        // where each key's last record of this operation was
        let mut inside = Vec::new();
        for op in &operation.ops {
            match op {
                MicroOp::Send { key, value, offset } => self.on_sent(at, key, *value, *offset)?,
                MicroOp::Poll(polled) => {
                    for (key, records) in polled {
                        let key = self.keys.id(key);
                        self.on_polled(at, key, records, &mut inside);
                    }
                }
                MicroOp::HighWatermark(offsets) => self.on_high_watermarks(at, offsets),
                MicroOp::Latest(answers) => self.on_answers(at, Asked::Latest, answers),
                MicroOp::LastStable(answers) => self.on_answers(at, Asked::LastStable, answers),
                MicroOp::Committed(group, answers) => self.on_committed(at, group, answers),
                MicroOp::LogStart(starts) => self.on_log_starts(at, starts),
                MicroOp::Commit(..) => {}
            }
        }
        Ok(())
    }

    fn on_sent(&mut self, at: At<'_>, key: &str, value: u64, offset: Option<i64>) -> Result<(), String> {
        let key = self.keys.id(key);
        let own = self.sends.get(value).filter(|sent| sent.invoke == at.open.invoke && sent.key == key);
        if own.is_none() {
            return Err(format!("value {value} was not part of what line {} began", at.open.invoke));
        }
        if self.final_phase == FinalPhase::Missing {
            self.timeline.on_send_end(key, at.operation.kind == Kind::Ok, at.time_ns);
        }
        if let Some(offset) = offset.filter(|_| at.operation.kind == Kind::Ok) {
            self.observe(at.index, key, offset, value);
            self.keys.log(key).on_acked(offset, at.time_ns);
            let process = self.processes.entry(at.operation.process).or_default();
            let marks = process.marks.entry(key).or_default();
            marks.acked = marks.acked.max(Some(offset));
        }
        Ok(())
    }

    /// A value stands at an offset: somebody was told so.
    fn observe(&mut self, index: u64, key: u32, offset: i64, value: u64) {
        let observed = self.keys.log(key).observe(offset, value);
        if observed == Observed::Known {
            return;
        }
        if let Observed::Conflict(other) = observed {
            self.tally.found(Anomaly::InconsistentOffsets, Some(index), Some((key, offset)), || {
                format!("offset {offset} holds both {other} and {value}")
            });
        }
        if self.sends.get(value).is_none_or(|sent| sent.key != key) {
            self.tally.found(Anomaly::Phantom, Some(index), Some((key, offset)), || {
                format!("value {value} was never sent to this key")
            });
        } else if let Some(other) = self.sends.found_at(value, offset) {
            self.tally.found(Anomaly::Duplicate, Some(index), Some((key, offset)), || {
                format!("value {value} is at {other} and at {offset}")
            });
        }
    }

    fn on_polled(&mut self, at: At<'_>, key: u32, records: &[Polled], inside: &mut Vec<(u32, i64)>) {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        let ok = at.operation.kind == Kind::Ok;
        self.polled += records.len() as u64;
        if self.final_phase != FinalPhase::Missing {
            self.polled_at_end += records.len() as u64;
        }
        for record in records {
            self.observe(at.index, key, record.offset, record.value);
            if let Some(flaw) = &record.flaw {
                self.tally.found(Anomaly::Phantom, Some(at.index), Some((key, record.offset)), || {
                    format!("value {} is not as it was sent: {flaw}", record.value)
                });
            }
            self.on_value(at, key, record, ok);
        }
        if ok {
            self.judge_positions(at, key, records, inside);
            let positions = &mut self.processes.entry(at.operation.process).or_default().positions;
            let before = positions.insert(key, last.offset);
            inside.retain(|(of, _)| *of != key);
            inside.push((key, last.offset));
            let acked = before.filter(|before| first.offset > *before).and_then(|before| {
                let log = self.keys.log(key);
                log.acked_above(before)
            });
            if let Some(acked_ns) = acked.filter(|_| self.final_phase == FinalPhase::Missing) {
                self.lag_ns_max = self.lag_ns_max.max(at.time_ns.saturating_sub(acked_ns));
            }
        }
    }

    fn on_value(&mut self, at: At<'_>, key: u32, record: &Polled, ok: bool) {
        let Some(sent) = self.sends.find(record.value).filter(|sent| sent.key == key) else { return };
        sent.seen |= ok;
        sent.seen_at_end |= ok && self.final_phase != FinalPhase::Missing;
        let writer = sent.txn;
        if writer == NO_TXN || at.open.txn == NO_TXN {
            return;
        }
        if writer == at.open.txn {
            self.tally.found(Anomaly::PrecommittedRead, Some(at.index), Some((key, record.offset)), || {
                format!("a transaction polled its own value {}", record.value)
            });
        } else if let Some(reader) = self.txns.get_mut(at.open.txn as usize)
            && reader.read_from.last() != Some(&writer)
        {
            reader.read_from.push(writer);
        }
    }

    /// Whether records follow each other, and the process's earlier ones. What lies between is known at the end.
    fn judge_positions(&mut self, at: At<'_>, key: u32, records: &[Polled], inside: &[(u32, i64)]) {
        let same_op = inside.iter().find(|(of, _)| *of == key).map(|(_, offset)| *offset);
        let position = self.processes.entry(at.operation.process).or_default().positions.get(&key).copied();
        // inside an operation that saw a rebalance, a jump is one across it
        let forbidden = at.operation.rebalances.is_empty();
        let mut before = same_op.or(position).map(|offset| (offset, same_op.is_some()));
        for record in records {
            if let Some((from, is_inside)) = before {
                let to = record.offset;
                let (skip, back) = match is_inside {
                    true => (Anomaly::IntPollSkip, Anomaly::IntNonmonotonicPoll),
                    false => (Anomaly::PollSkip, Anomaly::NonmonotonicPoll),
                };
                let process = at.operation.process;
                if to <= from {
                    self.tally.note(back, forbidden, || Sighting {
                        index: Some(at.index),
                        text: format!("process {process} polled {to} behind {from}"),
                        place: Some((key, to)),
                    });
                } else if to > from.saturating_add(1) {
                    self.gaps.push(Gap { anomaly: skip, forbidden, key, from, to, index: at.index, process });
                }
            }
            before = Some((record.offset, true));
        }
    }

    fn on_high_watermarks(&mut self, at: At<'_>, offsets: &[(String, i64)]) {
        let polled = at.operation.ops.iter().filter_map(|op| match op {
            MicroOp::Poll(polled) => Some(polled),
            _ => None,
        });
        for (key, records) in polled.flatten() {
            let Some((_, high_watermark)) = offsets.iter().find(|(of, _)| of == key) else { continue };
            let id = self.keys.id(key);
            for record in records.iter().filter(|record| record.offset >= *high_watermark) {
                self.tally.found(Anomaly::BeyondHighWatermark, Some(at.index), Some((id, record.offset)), || {
                    format!("offset {} came with high watermark {high_watermark}", record.offset)
                });
            }
        }
    }

    fn on_answers(&mut self, at: At<'_>, asked: Asked, answers: &[(String, Option<i64>)]) {
        if at.operation.kind != Kind::Ok {
            return;
        }
        let process = at.operation.process;
        for (key, told) in answers {
            let Some(told) = *told else { continue };
            let key = self.keys.id(key);
            let known = at.open.known.iter().find(|(of, ..)| *of == key);
            let (mut own, mut anybody) = known.map_or_else(Default::default, |(_, own, anybody)| (*own, *anybody));
            if let Some(acked) = own.acked.filter(|acked| asked == Asked::Latest && told <= *acked) {
                self.tally.found(Anomaly::StaleLeader, Some(at.index), Some((key, acked)), || {
                    format!("process {process} was told that {acked} is stored, then that LATEST is {told}")
                });
            }
            let name = asked.name();
            if let Some(before) = asked.of(&mut own).filter(|before| told < *before) {
                self.tally.found(Anomaly::OffsetRegression, Some(at.index), Some((key, told)), || {
                    format!("{name} went from {before} to {told} before process {process}")
                });
            } else if let Some(before) = asked.of(&mut anybody).filter(|before| told < *before) {
                self.tally.found(Anomaly::StaleOffset, Some(at.index), Some((key, told)), || {
                    format!("process {process} was told that {name} is {told}, another earlier that it is {before}")
                });
            }
            let own = self.processes.entry(process).or_default().marks.entry(key).or_default();
            for marks in [own, self.marks.entry(key).or_default()] {
                let mark = asked.of(marks);
                *mark = (*mark).max(Some(told));
            }
        }
    }

    fn on_committed(&mut self, at: At<'_>, group: &str, answers: &[(String, Option<i64>)]) {
        if at.operation.kind != Kind::Ok {
            return;
        }
        for (key, told) in answers {
            let id = self.keys.id(key);
            if let Some((anomaly, promised)) = self.groups.fetched((group, id), *told, at.open.invoke, at.index) {
                self.tally.found(anomaly, Some(at.index), None, || {
                    format!("group {group} was at {promised} of {key}, and is at {told:?} with no later commit")
                });
            }
        }
    }

    /// Nobody knows whether a delete that failed was done: what it may have moved is not expected either.
    fn on_log_starts(&mut self, at: At<'_>, starts: &[(String, i64)]) {
        if at.operation.kind == Kind::Fail {
            return;
        }
        for (key, start) in starts {
            let key = self.keys.id(key);
            let log = self.keys.log(key);
            log.start = log.start.max(*start);
            self.groups.forget(key);
            self.marks.remove(&key);
            for process in self.processes.values_mut() {
                process.marks.remove(&key);
            }
        }
    }
}
