//! What can be judged only when all offsets are known: loss, order of sends, skips, transactions; and the report.

use std::collections::HashMap;

use super::{
    anomaly::Anomaly,
    checker::{Checker, FinalPhase},
    line::Kind,
    report::{Report, Verdict},
    sends::{NO_TXN, NOWHERE, Sent},
    tally::{Case, Sighting},
    timeline::RATE_MIN,
    transactions::{self, place},
};

pub(super) fn finish(mut checker: Checker) -> Report {
    judge_loss(&mut checker);
    judge_order(&mut checker);
    judge_gaps(&mut checker);
    let ended = checker.final_phase == FinalPhase::Ended;
    if checker.final_phase == FinalPhase::Begun {
        let text = || "the final phase did not come to the end of every key".to_owned();
        checker.tally.found(Anomaly::Liveness, None, None, text);
    }
    let Checker { mut tally, keys, sends, txns, outcomes, timeline, final_phase, lag_ns_max, polled, .. } = checker;
    transactions::judge(&txns, &sends, &keys, ended, &mut tally);
    let settings = tally.settings;
    let found = tally.into_found(|Sighting { index, text, place }| Case {
        index,
        text,
        around: place.map(|(key, offset)| keys.logs[key as usize].around(offset)).unwrap_or_default(),
        place: place.map(|(key, offset)| (keys.name(key).to_owned(), offset)),
    });
    let mut void = Vec::new();
    if let Some(first) = timeline.faults.first().filter(|fault| fault.rate_before < RATE_MIN) {
        void.push(format!("{:.0} acknowledged sends/s before the first fault, {RATE_MIN} needed", first.rate_before));
    }
    if final_phase == FinalPhase::Missing {
        void.push("no final phase: a value that nobody saw may be lost or not".to_owned());
    }
    let verdict = if found.values().any(|found| found.forbidden > 0) {
        Verdict::Violated
    } else if void.is_empty() {
        Verdict::Valid
    } else {
        Verdict::Void
    };
    let key_names = |fault: &super::report::FaultSeen| fault.key.map(|key| keys.name(key).to_owned());
    Report {
        verdict,
        void,
        settings,
        found,
        outcomes: outcomes.into_iter().map(|((function, kind), count)| (function, kind, count)).collect(),
        keys: keys.logs.len(),
        stored: keys.logs.iter().map(super::key_log::KeyLog::len).sum(),
        acked: sends.all.iter().filter(|sent| sent.outcome == Kind::Ok).count(),
        polled,
        lag_ns_max,
        fault_keys: timeline.faults.iter().map(key_names).collect(),
        faults: timeline.faults,
    }
}

/// Whether a value may be gone by a declared rule.
fn is_deleted(checker: &Checker, sent: &Sent) -> bool {
    let start = checker.keys.logs[sent.key as usize].start;
    start > 0 && checker.sends.last_offset(sent) < start
}

/// G1a, lost-write, unseen.
fn judge_loss(checker: &mut Checker) {
    let mut tally = std::mem::take(&mut checker.tally);
    let bounds = bounds(checker);
    for sent in &checker.sends.all {
        if sent.seen && sent.outcome == Kind::Fail {
            // outside transactions isolation is no excuse
            let forbidden = sent.txn == NO_TXN || tally.settings.read_committed;
            tally.note(Anomaly::AbortedRead, forbidden, || Sighting {
                index: Some(sent.invoke),
                text: format!("value {} was polled, and its writer failed", sent.value),
                place: place(sent),
            });
        }
        if is_deleted(checker, sent) || !is_committed(checker, sent) {
            continue;
        }
        let bound = bounds
            .get(&sent.key)
            .filter(|(bound, _)| sent.offset != NOWHERE && checker.sends.last_offset(sent) <= *bound);
        if let Some((bound, seen)) = bound.filter(|_| !sent.seen) {
            tally.found(Anomaly::LostWrite, Some(sent.invoke), place(sent), || {
                format!("value {} was never polled, and {seen} at {bound} behind it was", sent.value)
            });
        }
        if let Some(missed) = is_unseen(checker, sent) {
            tally.found(Anomaly::Unseen, Some(sent.invoke), place(sent), || {
                format!("value {} was {missed}", sent.value)
            });
        }
    }
    checker.tally = tally;
}

/// Per key, the highest first offset of a value that was seen, and that value.
fn bounds(checker: &Checker) -> HashMap<u32, (i64, u64)> {
    let mut bounds: HashMap<u32, (i64, u64)> = HashMap::new();
    for sent in checker.sends.all.iter().filter(|sent| sent.seen && sent.offset != NOWHERE) {
        let bound = bounds.entry(sent.key).or_insert((sent.offset, sent.value));
        *bound = (*bound).max((sent.offset, sent.value));
    }
    bounds
}

/// Ok, or unknown and seen.
fn is_committed(checker: &Checker, sent: &Sent) -> bool {
    match checker.txns.get(sent.txn as usize) {
        Some(txn) => txn.is_committed(&checker.sends),
        None => sent.outcome == Kind::Ok || (sent.outcome != Kind::Fail && sent.seen),
    }
}

/// How a committed value is missed at the end. The final phase reads every key from its start, so what somebody saw before
/// must be there once more; a history whose final phase polls nothing is held to earlier polls.
fn is_unseen(checker: &Checker, sent: &Sent) -> Option<&'static str> {
    match checker.final_phase {
        FinalPhase::Missing => None,
        _ if sent.outcome == Kind::Ok && !sent.seen => Some("acknowledged, and nobody saw it to the end"),
        _ if checker.polled_at_end > 0 && sent.seen && !sent.seen_at_end => Some("seen once, and is gone at the end"),
        _ => None,
    }
}

/// A process's committed sends lie in the order in which they were begun.
fn judge_order(checker: &mut Checker) {
    let mut tally = std::mem::take(&mut checker.tally);
    let mut before: HashMap<(u32, u32), &Sent> = HashMap::new();
    for sent in checker.sends.all.iter().filter(|sent| sent.offset != NOWHERE) {
        if !is_committed(checker, sent) {
            continue;
        }
        let Some(earlier) = before.insert((sent.process, sent.key), sent) else { continue };
        let same_txn = sent.txn != NO_TXN && sent.txn == earlier.txn;
        if sent.offset <= earlier.offset && !same_txn {
            tally.found(Anomaly::NonmonotonicSend, Some(sent.invoke), place(sent), || {
                let (process, at) = (sent.process, earlier.offset);
                format!("process {process} sent {} behind {}, which is at {at}", sent.value, earlier.value)
            });
        }
    }
    checker.tally = tally;
}

fn judge_gaps(checker: &mut Checker) {
    for gap in std::mem::take(&mut checker.gaps) {
        let Some((offset, value)) = checker.keys.logs[gap.key as usize].between(gap.from, gap.to) else { continue };
        checker.tally.note(gap.anomaly, gap.forbidden, || Sighting {
            index: Some(gap.index),
            text: format!("process {} polled {} and then {}, without {value}", gap.process, gap.from, gap.to),
            place: Some((gap.key, offset)),
        });
    }
}
