//! Transactions.

use super::history::{History, assert_found, both_ways, polled, send, sent};
use crate::checker::{Anomaly, Function, Kind, Settings, Verdict};

#[test]
fn a_value_of_an_aborted_transaction() {
    both_ways(&[Anomaly::AbortedRead], |anomalous, history| {
        history.txn(0, if anomalous { Kind::Fail } else { Kind::Ok }, vec![send("a-0", 1)]);
        history.poll(1, "a-0", &[(0, 1)]);
    });
    let mut history = History::default();
    history.txn(0, Kind::Fail, vec![send("a-0", 1)]);
    history.poll(1, "a-0", &[(0, 1)]);
    history.finals();
    let report = history.judge_with(Settings { read_committed: false, ..Settings::default() });
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
}

#[test]
fn a_transaction_that_polls_its_own_value() {
    both_ways(&[Anomaly::PrecommittedRead], |anomalous, history| {
        history.txn(0, Kind::Ok, vec![sent("a-0", 1, 0), polled("a-0", if anomalous { &[(0, 1)] } else { &[] })]);
        history.poll(1, "a-0", &[(0, 1)]);
    });
}

#[test]
fn sends_of_one_transaction_out_of_order() {
    both_ways(&[Anomaly::IntNonmonotonicSend], |anomalous, history| {
        let [first, second] = if anomalous { [1, 0] } else { [0, 1] };
        history.txn(0, Kind::Ok, vec![sent("a-0", 1, first), sent("a-0", 2, second)]);
        history.poll(1, "a-0", if anomalous { &[(0, 2), (1, 1)] } else { &[(0, 1), (1, 2)] });
    });
}

/// Always allowed: Kafka does not isolate writes.
#[test]
fn interleaved_transactions_are_counted() {
    both_ways(&[Anomaly::IntSendSkip], |anomalous, history| {
        let offset = if anomalous { [0, 2, 1] } else { [0, 1, 2] };
        history.txn(0, Kind::Ok, vec![sent("a-0", 1, offset[0]), sent("a-0", 2, offset[1])]);
        history.send(1, "a-0", 3, offset[2]);
        history.poll(2, "a-0", if anomalous { &[(0, 1), (1, 3), (2, 2)] } else { &[(0, 1), (1, 2), (2, 3)] });
    });
    both_ways(&[Anomaly::G0], |anomalous, history| {
        let [first, second] = if anomalous { [1, 0] } else { [0, 1] };
        history.txn(0, Kind::Ok, vec![sent("a-0", 1, 0), sent("b-0", 2, first)]);
        history.txn(1, Kind::Ok, vec![sent("a-0", 3, 1), sent("b-0", 4, second)]);
        history.poll(2, "a-0", &[(0, 1), (1, 3)]);
        history.poll(2, "b-0", if anomalous { &[(0, 4), (1, 2)] } else { &[(0, 2), (1, 4)] });
    });
}

/// Each of two transactions polled what the other had sent: both cannot be second.
#[test]
fn transactions_that_read_from_each_other() {
    both_ways(&[Anomaly::G1c], |anomalous, history| {
        history.line(0, Kind::Invoke, Function::Txn, vec![send("a-0", 1)]);
        history.line(1, Kind::Invoke, Function::Txn, vec![send("b-0", 2)]);
        let read = if anomalous { &[(0, 2)][..] } else { &[] };
        history.line(0, Kind::Ok, Function::Txn, vec![sent("a-0", 1, 0), polled("b-0", read)]);
        history.line(1, Kind::Ok, Function::Txn, vec![sent("b-0", 2, 0), polled("a-0", &[(0, 1)])]);
        history.poll(2, "b-0", &[(0, 2)]);
    });
}

#[test]
fn a_torn_transaction() {
    both_ways(&[Anomaly::TornTxn], |anomalous, history| {
        history.txn(0, Kind::Info, vec![send("a-0", 1), send("b-0", 2)]);
        history.poll(1, "a-0", &[(0, 1)]);
        history.poll(1, "b-0", if anomalous { &[] } else { &[(0, 2)] });
    });
    // nothing of it was seen: it was not committed
    let mut history = History::default();
    history.txn(0, Kind::Info, vec![send("a-0", 1), send("b-0", 2)]);
    history.finals();
    assert_found(&history.judge(), &[]);
}

/// An unknown outcome with a value that was seen is a commit, so its other value must not be lost either.
#[test]
fn an_unknown_transaction_that_was_seen_is_committed() {
    both_ways(&[Anomaly::LostWrite, Anomaly::TornTxn], |anomalous, history| {
        history.txn(0, Kind::Info, vec![send("a-0", 1), send("b-0", 2)]);
        history.send(1, "b-0", 3, 1);
        history.poll(2, "a-0", &[(0, 1)]);
        history.whole(3, Kind::Info, Function::Poll, vec![polled("b-0", &[(0, 2)])]);
        history.poll(2, "b-0", if anomalous { &[(1, 3)] } else { &[(0, 2), (1, 3)] });
    });
}
