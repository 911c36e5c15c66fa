//! Void runs, and the windows behind faults.

use super::history::{History, send, sent};
use crate::checker::{Event, Function, Kind, State, Verdict};

const SECOND_NS: u64 = 1_000_000_000;

/// Sends that are all seen, so many per second for so many seconds; the values go on from `value`.
fn busy(history: &mut History, value: &mut u64, per_second: u64, seconds: u64) {
    for _ in 0..per_second * seconds {
        history.send(0, "a-0", *value + 1, *value as i64);
        history.poll(1, "a-0", &[(*value as i64, *value + 1)]);
        *value += 1;
        history.time_ns += SECOND_NS / per_second - 4000;
    }
}

fn fault(history: &mut History, state: State) {
    history.event(Event::Fault { kind: "leader kill".to_owned(), state, detail: "node 2".to_owned() });
}

fn kill(history: &mut History) {
    fault(history, State::Begin);
    fault(history, State::End);
}

/// Acknowledgements that were on their way still come when a fault has begun; the silence behind them is that fault's, even
/// if it lasts until the next.
#[test]
fn a_silence_that_begins_in_a_fault_is_its_own() {
    let (mut history, mut value) = (History::default(), 0);
    busy(&mut history, &mut value, 200, 1);
    history.line(0, Kind::Invoke, Function::Send, vec![send("a-0", 1000)]);
    fault(&mut history, State::Begin);
    history.line(2, Kind::Invoke, Function::Send, vec![send("a-0", 1001)]);
    history.line(2, Kind::Ok, Function::Send, vec![sent("a-0", 1001, 1001)]);
    fault(&mut history, State::End);
    history.time_ns += SECOND_NS;
    kill(&mut history);
    history.time_ns += SECOND_NS;
    history.line(0, Kind::Ok, Function::Send, vec![sent("a-0", 1000, 1002)]);
    history.poll(1, "a-0", &[(1001, 1001), (1002, 1000)]);
    history.finals();
    let report = history.judge();
    let gaps: Vec<_> = report.faults.iter().map(|fault| fault.key_gap_ns / (SECOND_NS / 10)).collect();
    assert_eq!(gaps, [20, 0], "{report}");
}

#[test]
fn a_run_that_was_idle_before_the_first_fault_is_void() {
    for (per_second, verdict) in [(200, Verdict::Valid), (50, Verdict::Void)] {
        let (mut history, mut value) = (History::default(), 0);
        busy(&mut history, &mut value, per_second, 2);
        kill(&mut history);
        busy(&mut history, &mut value, 200, 1);
        history.finals();
        let report = history.judge();
        assert_eq!(report.verdict, verdict, "{report}");
        assert!((report.faults[0].rate_before - per_second as f64).abs() < 5.0, "{report}");
    }
}

#[test]
fn a_history_without_a_final_phase_proves_nothing() {
    let mut history = History::default();
    history.send(0, "a-0", 1, 0);
    let report = history.judge();
    assert_eq!(report.verdict, Verdict::Void, "{report}");
    assert_eq!(report.verdict.exit_code(), 3);
}

/// A send that waits so long.
fn waits(history: &mut History, value: &mut u64, ns: u64) {
    history.line(0, Kind::Invoke, Function::Send, vec![send("a-0", *value + 1)]);
    history.time_ns += ns;
    history.line(0, Kind::Ok, Function::Send, vec![sent("a-0", *value + 1, *value as i64)]);
    history.poll(1, "a-0", &[(*value as i64, *value + 1)]);
    *value += 1;
}

/// A key that nobody writes to is not out of reach.
#[test]
fn idle_time_is_no_outage() {
    let (mut history, mut value) = (History::default(), 0);
    busy(&mut history, &mut value, 200, 1);
    kill(&mut history);
    history.time_ns += 9 * SECOND_NS;
    waits(&mut history, &mut value, SECOND_NS);
    history.finals();
    let report = history.judge();
    assert_eq!(report.faults[0].key_gap_ns / (SECOND_NS / 10), 10, "{report}");
}

/// A client that is dropped does not know what became of its record: nobody waits for that key until the next one writes.
#[test]
fn a_client_that_gave_up_waits_for_nothing() {
    let (mut history, mut value) = (History::default(), 0);
    busy(&mut history, &mut value, 200, 1);
    kill(&mut history);
    history.line(2, Kind::Invoke, Function::Send, vec![send("a-0", 9000)]);
    history.time_ns += SECOND_NS / 2;
    history.line(2, Kind::Info, Function::Send, vec![send("a-0", 9000)]);
    history.time_ns += 6 * SECOND_NS;
    waits(&mut history, &mut value, SECOND_NS / 5);
    history.finals();
    let report = history.judge();
    assert_eq!(report.faults[0].key_gap_ns / (SECOND_NS / 10), 5, "{report}");
}

#[test]
fn windows_belong_to_the_fault_that_they_span() {
    let (mut history, mut value) = (History::default(), 0);
    busy(&mut history, &mut value, 200, 1);
    for outage_ns in [3 * SECOND_NS, SECOND_NS] {
        kill(&mut history);
        waits(&mut history, &mut value, outage_ns);
        busy(&mut history, &mut value, 200, 1);
    }
    history.finals();
    let report = history.judge();
    let gaps: Vec<_> = report.faults.iter().map(|fault| fault.key_gap_ns / (SECOND_NS / 10)).collect();
    assert_eq!(gaps, [30, 10], "{report}");
    assert_eq!(report.fault_keys, [Some("a-0".to_owned()), Some("a-0".to_owned())]);
    assert!(report.to_string().contains("leader kill: 2 times"), "{report}");
}

#[test]
fn the_worst_lag_is_from_acknowledgement_to_poll() {
    let mut history = History::default();
    history.send(0, "a-0", 1, 0);
    history.poll(1, "a-0", &[(0, 1)]);
    history.send(0, "a-0", 2, 1);
    let acked_ns = history.time_ns;
    history.time_ns += SECOND_NS;
    history.send(0, "a-0", 3, 2);
    history.poll(1, "a-0", &[(1, 2), (2, 3)]);
    let lag_ns = history.time_ns - acked_ns;
    history.finals();
    assert_eq!(history.judge().lag_ns_max, lag_ns);
}
