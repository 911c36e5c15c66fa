//! Sends, polls and offsets.

use super::history::{History, assert_found, both_ways, polled, send};
use crate::checker::{Anomaly, Event, Function, Kind, MicroOp, Polled, Settings, State, Verdict};

#[test]
fn inconsistent_offsets() {
    both_ways(&[Anomaly::InconsistentOffsets], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        history.send(1, "a-0", 2, i64::from(!anomalous));
        history.poll(2, "a-0", &[(0, 1)]);
        history.poll(3, "a-0", &[(i64::from(!anomalous), 2)]);
    });
}

#[test]
fn duplicate() {
    both_ways(&[Anomaly::Duplicate], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        history.send_ends(1, Kind::Info, "a-0", 2);
        history.poll(2, "a-0", &[(0, 1), (1, if anomalous { 1 } else { 2 })]);
    });
    // counted only, where a producer may repeat
    let mut history = History::default();
    history.send(0, "a-0", 1, 0);
    history.poll(2, "a-0", &[(0, 1), (1, 1)]);
    history.finals();
    let settings = Settings { idempotent: false, ..Settings::default() };
    assert_found(&history.judge_with(settings), &[Anomaly::Duplicate]);
}

#[test]
fn lost_write() {
    both_ways(&[Anomaly::LostWrite, Anomaly::Unseen], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        history.send(0, "a-0", 2, 1);
        // who begins behind it skips nothing, so only the log as a whole tells
        if !anomalous {
            history.poll(1, "a-0", &[(0, 1)]);
        }
        history.poll(2, "a-0", &[(1, 2)]);
    });
}

/// What was given to a consumer is a promise, even if its poll failed afterwards.
#[test]
fn lost_write_that_only_a_failed_poll_showed() {
    both_ways(&[Anomaly::LostWrite, Anomaly::Unseen], |anomalous, history| {
        history.whole(0, Kind::Ok, Function::Send, vec![send("a-0", 1)]);
        history.send(0, "a-0", 2, 1);
        history.whole(1, Kind::Fail, Function::Poll, vec![polled("a-0", &[(0, 1)])]);
        history.poll(2, "a-0", if anomalous { &[(1, 2)] } else { &[(0, 1), (1, 2)] });
    });
}

#[test]
fn unseen() {
    both_ways(&[Anomaly::Unseen], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        history.send(0, "a-0", 2, 1);
        history.poll(1, "a-0", if anomalous { &[(0, 1)] } else { &[(0, 1), (1, 2)] });
    });
    // a value whose fate nobody knows may be gone, and deleted ones are
    let mut history = History::default();
    history.send_ends(0, Kind::Info, "a-0", 1);
    history.send(1, "a-0", 2, 0);
    history.whole(2, Kind::Ok, Function::Delete, vec![MicroOp::LogStart(vec![("a-0".to_owned(), 1)])]);
    history.send(1, "a-0", 3, 1);
    history.poll(2, "a-0", &[(1, 3)]);
    history.finals();
    assert_found(&history.judge(), &[]);
}

/// A consumer saw the end of the log, which was then cut off: no later value tells, only the final phase does.
#[test]
fn unseen_although_it_was_seen_before() {
    for anomalous in [true, false] {
        let mut history = History::default();
        history.send(0, "a-0", 1, 0);
        history.send_ends(0, Kind::Info, "a-0", 2);
        history.poll(1, "a-0", &[(0, 1), (1, 2)]);
        history.event(Event::Final(State::Begin));
        history.poll(2, "a-0", if anomalous { &[(0, 1)] } else { &[(0, 1), (1, 2)] });
        history.event(Event::Final(State::End));
        assert_found(&history.judge(), if anomalous { &[Anomaly::Unseen] } else { &[] });
    }
}

#[test]
fn phantom() {
    both_ways(&[Anomaly::Phantom], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        if !anomalous {
            history.send_ends(0, Kind::Info, "a-0", 9);
        }
        history.poll(1, "a-0", &[(0, 1), (1, 9)]);
    });
    // sent, but to another key
    both_ways(&[Anomaly::Phantom], |anomalous, history| {
        history.send_ends(0, Kind::Info, "a-0", 1);
        history.poll(1, if anomalous { "b-0" } else { "a-0" }, &[(0, 1)]);
    });
    // sent, but not with these bytes
    both_ways(&[Anomaly::Phantom], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        let flaw = anomalous.then(|| "header missing".to_owned());
        let record = Polled { offset: 0, value: 1, flaw };
        history.whole(1, Kind::Ok, Function::Poll, vec![MicroOp::Poll(vec![("a-0".to_owned(), vec![record])])]);
    });
}

#[test]
fn aborted_read() {
    both_ways(&[Anomaly::AbortedRead], |anomalous, history| {
        history.send_ends(0, if anomalous { Kind::Fail } else { Kind::Info }, "a-0", 1);
        history.poll(1, "a-0", &[(0, 1)]);
    });
}

#[test]
fn poll_skip() {
    both_ways(&[Anomaly::PollSkip], |anomalous, history| {
        // a hole at 1, where a control record stands, is skipped by all
        (0..3).for_each(|n| history.send(0, "a-0", n + 1, 2 * n as i64));
        history.poll(1, "a-0", &[(0, 1)]);
        if !anomalous {
            history.assign(1);
        }
        history.poll(1, "a-0", &[(4, 3)]);
        history.poll(2, "a-0", &[(0, 1), (2, 2), (4, 3)]);
    });
}

#[test]
fn nonmonotonic_poll() {
    both_ways(&[Anomaly::NonmonotonicPoll], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        history.send(0, "a-0", 2, 1);
        history.poll(1, "a-0", &[(0, 1), (1, 2)]);
        if !anomalous {
            // a transaction that fails rewinds
            history.txn(1, Kind::Fail, vec![polled("a-0", &[])]);
        }
        history.poll(1, "a-0", &[(1, 2)]);
    });
}

#[test]
fn int_poll_skip() {
    both_ways(&[Anomaly::IntPollSkip], |anomalous, history| {
        (0..3).for_each(|n| history.send(0, "a-0", n + 1, n as i64));
        history.poll(1, "a-0", if anomalous { &[(0, 1), (2, 3)] } else { &[(0, 1), (1, 2), (2, 3)] });
        history.poll(2, "a-0", &[(0, 1), (1, 2), (2, 3)]);
    });
}

#[test]
fn int_nonmonotonic_poll() {
    both_ways(&[Anomaly::IntNonmonotonicPoll], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        history.send(0, "a-0", 2, 1);
        history.poll(1, "a-0", if anomalous { &[(1, 2), (0, 1)] } else { &[(0, 1), (1, 2)] });
    });
}

/// The same jump inside a poll that saw a rebalance is counted, not forbidden.
#[test]
fn a_jump_across_a_rebalance_inside_a_poll_is_allowed() {
    let mut history = History::default();
    history.send(0, "a-0", 1, 0);
    history.send(0, "a-0", 2, 1);
    history.line(1, Kind::Invoke, Function::Poll, vec![]);
    let mut operation = super::history::operation(1, Kind::Ok, Function::Poll, vec![polled("a-0", &[(1, 2), (0, 1)])]);
    operation.rebalances = vec!["assigned a-0".to_owned()];
    history.event(Event::Operation(operation));
    history.finals();
    let report = history.judge();
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    assert_eq!(report.found[&Anomaly::IntNonmonotonicPoll].forbidden, 0);
}

#[test]
fn nonmonotonic_send() {
    both_ways(&[Anomaly::NonmonotonicSend], |anomalous, history| {
        let first = history.line(0, Kind::Invoke, Function::Send, vec![send("a-0", 1)]);
        let second = history.line(0, Kind::Invoke, Function::Send, vec![send("a-0", 2)]);
        let offsets = if anomalous { [1, 0] } else { [0, 1] };
        for (value, (invoke, offset)) in [first, second].into_iter().zip(offsets).enumerate() {
            let ops = vec![super::history::sent("a-0", value as u64 + 1, offset)];
            let mut operation = super::history::operation(0, Kind::Ok, Function::Send, ops);
            operation.invoke = Some(invoke);
            history.event(Event::Operation(operation));
        }
        history.poll(1, "a-0", if anomalous { &[(0, 2), (1, 1)] } else { &[(0, 1), (1, 2)] });
    });
}

fn asked(anomalous: bool, wrap: impl Fn(Vec<(String, Option<i64>)>) -> MicroOp, history: &mut History) {
    for told in [5, if anomalous { 4 } else { 5 }] {
        history.whole(0, Kind::Ok, Function::Offsets, vec![wrap(vec![("a-0".to_owned(), Some(told))])]);
    }
}

#[test]
fn offset_regression() {
    both_ways(&[Anomaly::OffsetRegression], |anomalous, history| asked(anomalous, MicroOp::Latest, history));
    both_ways(&[Anomaly::OffsetRegression], |anomalous, history| asked(anomalous, MicroOp::LastStable, history));
    let committed = |answers| MicroOp::Committed("g".to_owned(), answers);
    both_ways(&[Anomaly::OffsetRegression], |anomalous, history| asked(anomalous, committed, history));
}

/// Two answers under way at the same time may come in any order; between processes the same is counted.
#[test]
fn answers_that_overlap_do_not_regress() {
    let latest = |told| vec![MicroOp::Latest(vec![("a-0".to_owned(), told)])];
    let mut history = History::default();
    history.line(0, Kind::Invoke, Function::Offsets, latest(None));
    history.line(1, Kind::Invoke, Function::Offsets, latest(None));
    history.line(0, Kind::Ok, Function::Offsets, latest(Some(5)));
    history.line(1, Kind::Ok, Function::Offsets, latest(Some(4)));
    history.finals();
    assert_found(&history.judge(), &[]);
    let mut history = History::default();
    history.whole(0, Kind::Ok, Function::Offsets, latest(Some(5)));
    history.whole(1, Kind::Ok, Function::Offsets, latest(Some(4)));
    history.finals();
    assert_found(&history.judge(), &[Anomaly::StaleOffset]);
}

#[test]
fn beyond_high_watermark() {
    both_ways(&[Anomaly::BeyondHighWatermark], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        let high_watermark = MicroOp::HighWatermark(vec![("a-0".to_owned(), i64::from(!anomalous))]);
        history.whole(1, Kind::Ok, Function::Poll, vec![polled("a-0", &[(0, 1)]), high_watermark]);
    });
}

#[test]
fn group_offset_loss() {
    let commit = |offset| vec![MicroOp::Commit("g".to_owned(), vec![("a-0".to_owned(), offset)])];
    both_ways(&[Anomaly::GroupOffsetLoss], |anomalous, history| {
        history.whole(0, Kind::Ok, Function::Commit, commit(5));
        history.whole(0, if anomalous { Kind::Fail } else { Kind::Info }, Function::Commit, commit(3));
        let told = MicroOp::Committed("g".to_owned(), vec![("a-0".to_owned(), Some(3))]);
        history.whole(1, Kind::Ok, Function::Offsets, vec![told]);
    });
    both_ways(&[Anomaly::GroupOffsetLoss], |anomalous, history| {
        history.whole(0, if anomalous { Kind::Ok } else { Kind::Info }, Function::Commit, commit(5));
        let told = MicroOp::Committed("g".to_owned(), vec![("a-0".to_owned(), None)]);
        history.whole(1, Kind::Ok, Function::Offsets, vec![told]);
    });
}

#[test]
fn stale_leader() {
    both_ways(&[Anomaly::StaleLeader], |anomalous, history| {
        history.send(0, "a-0", 1, 0);
        let told = MicroOp::Latest(vec![("a-0".to_owned(), Some(i64::from(!anomalous)))]);
        history.whole(0, Kind::Ok, Function::Offsets, vec![told]);
        history.poll(1, "a-0", &[(0, 1)]);
    });
}

#[test]
fn replica_divergence() {
    both_ways(&[Anomaly::ReplicaDivergence], |anomalous, history| {
        if anomalous {
            history.event(Event::Divergence { key: "a-0".to_owned(), detail: "at offset 3".to_owned() });
        }
    });
}

#[test]
fn liveness() {
    let mut history = History::default();
    history.send(0, "a-0", 1, 0);
    history.poll(0, "a-0", &[(0, 1)]);
    history.event(Event::Final(State::Begin));
    assert_found(&history.judge(), &[Anomaly::Liveness]);
}

#[test]
fn cases_show_the_log_around_them_and_stop_at_eight() {
    let mut history = History::default();
    (0..20).for_each(|n| history.send(0, "a-0", n + 1, n as i64));
    history.poll(1, "a-0", &(0..10).map(|n| (n, n as u64 + 1)).collect::<Vec<_>>());
    history.finals();
    let report = history.judge();
    let unseen = &report.found[&Anomaly::Unseen];
    assert_eq!((unseen.count, unseen.cases.len()), (10, 8));
    let offsets: Vec<_> = unseen.cases[0].around.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [7, 8, 9, 10, 11, 12, 13]);
    assert!(report.to_string().contains("unseen: 10"), "{report}");
    assert!(report.to_string().contains("*10:[11]"), "{report}");
}
