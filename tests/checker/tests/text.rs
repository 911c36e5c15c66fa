//! Lines as text: they read back, and hostile ones are named by their numbers.

use super::history::{History, operation, polled, sent};
use crate::checker::{BadLine, Event, Function, Kind, Line, MicroOp, Polled, Settings, State, check, parse};

fn every_event() -> Vec<Event> {
    let offsets = || vec![("a-0".to_owned(), Some(7)), ("b-0".to_owned(), None)];
    let flawed = Polled { offset: 3, value: u64::MAX, flaw: Some("key \"k\"\u{1} \\ differs\n".to_owned()) };
    let ops = vec![
        MicroOp::Send { key: "a\"\\-0".to_owned(), value: 1, offset: None },
        sent("a-0", 2, i64::MAX),
        polled("a-0", &[(0, 1), (1, 2)]),
        MicroOp::Poll(vec![("a-0".to_owned(), vec![]), ("b-0".to_owned(), vec![flawed])]),
        MicroOp::HighWatermark(vec![("a-0".to_owned(), 2)]),
        MicroOp::Latest(offsets()),
        MicroOp::LastStable(offsets()),
        MicroOp::Commit("g".to_owned(), vec![("a-0".to_owned(), 5)]),
        MicroOp::Committed("g".to_owned(), offsets()),
        MicroOp::LogStart(vec![("a-0".to_owned(), 4)]),
    ];
    let mut full = operation(7, Kind::Info, Function::Txn, ops);
    full.client = "librdkafka 2.12.1".to_owned();
    full.error = Some("timed out".to_owned());
    full.invoke = Some(3);
    full.rebalances = vec!["revoked a-0".to_owned()];
    let mut events = vec![
        Event::Run(Settings { acks: 1, idempotent: false, read_committed: true }),
        Event::Fault { kind: "cut".to_owned(), state: State::Begin, detail: "1 → 2".to_owned() },
        Event::Final(State::End),
        Event::Divergence { key: "a-0".to_owned(), detail: "at offset 3".to_owned() },
        Event::Operation(full),
    ];
    for function in Function::ALL {
        for kind in [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info] {
            events.push(Event::Operation(operation(0, kind, function, vec![])));
        }
    }
    events
}

#[test]
fn every_line_reads_back() {
    for event in every_event() {
        let line = Line { index: 4, time_ns: 9, event };
        assert_eq!(parse(&line.to_string()), Ok(line.clone()), "{line}");
    }
}

fn bad(text: &str) -> BadLine {
    check(text.as_bytes()).expect_err(text)
}

#[test]
fn hostile_lines_are_named_by_number() {
    let good = r#"{"index":0,"time_ns":5,"process":0,"type":"invoke","f":"send","ops":[["s","a-0",1]]}"#;
    let deep = "[".repeat(100_000);
    let cases = [
        ("{", "EOF"),
        ("7", "not an object"),
        ("\u{0}", "expected value"),
        (deep.as_str(), "recursion limit"),
        (r#"{"index":1,"time_ns":6}"#, "type is missing"),
        (r#"{"index":1,"time_ns":6,"type":"explode"}"#, "unknown type"),
        (r#"{"index":1,"time_ns":6,"type":"final","state":"middle"}"#, "unknown state"),
        (r#"{"index":-1,"time_ns":6,"type":"final","state":"end"}"#, "index is missing"),
        (r#"{"index":0,"time_ns":6,"type":"final","state":"end"}"#, "index 0 follows 0"),
        (r#"{"index":1,"time_ns":4,"type":"final","state":"end"}"#, "time_ns 4 follows 5"),
        (r#"{"index":1,"time_ns":6,"process":4294967296,"type":"ok","f":"send"}"#, "process is out of range"),
        (r#"{"index":1,"time_ns":6,"process":0,"type":"ok","f":"seek"}"#, "unknown f"),
        (r#"{"index":1,"time_ns":6,"process":0,"type":"ok","f":"send","ops":[["s","a-0",1.5]]}"#, "1.5 is no value"),
        (r#"{"index":1,"time_ns":6,"process":0,"type":"ok","f":"send","ops":[["s","a-0",1,-4]]}"#, "-4 is no offset"),
        (r#"{"index":1,"time_ns":6,"process":0,"type":"ok","f":"send","ops":[["z",1]]}"#, "unknown micro-op"),
        (r#"{"index":1,"time_ns":6,"process":0,"type":"ok","f":"send","ops":["s"]}"#, "no list that begins"),
        (
            r#"{"index":1,"time_ns":6,"process":0,"type":"ok","f":"poll","ops":[["p",{"a-0":[[1]]}]]}"#,
            "[offset, value]",
        ),
        (r#"{"index":1,"time_ns":6,"process":1,"type":"ok","f":"send"}"#, "did not begin"),
        (r#"{"index":1,"time_ns":6,"process":0,"type":"ok","f":"poll"}"#, "a send ends as a poll"),
        (r#"{"index":1,"time_ns":6,"process":0,"type":"ok","f":"send","ops":[["s","a-0",2]]}"#, "not part of"),
        (r#"{"index":1,"time_ns":6,"process":1,"type":"invoke","f":"send","ops":[["s","a-0",1]]}"#, "a second time"),
    ];
    for (text, cause) in cases {
        let found = bad(&format!("{good}\n\n{text}\n"));
        assert_eq!(found.number, 3, "{text}: {found}");
        assert!(found.cause.contains(cause), "{text}: {found}");
    }
    let found = check(&b"{}\n\xff\xfe\n"[..]).expect_err("not UTF-8");
    assert_eq!(found.number, 1);
}

#[test]
fn a_line_that_has_no_end_is_refused_before_it_fills_the_memory() {
    let endless = std::io::BufReader::new(std::io::repeat(b'a'));
    let found = check(endless).expect_err("no end");
    assert!(found.number == 1 && found.cause.contains("longer than"), "{found}");
}

#[test]
fn an_end_must_say_of_what_where_two_are_under_way() {
    let mut history = History::default();
    for value in [1, 2] {
        history.line(0, Kind::Invoke, Function::Send, vec![super::history::send("a-0", value)]);
    }
    history.line(0, Kind::Ok, Function::Send, vec![sent("a-0", 1, 0)]);
    let text: Vec<_> = history.lines.iter().map(Line::to_string).collect();
    assert!(bad(&text.join("\n")).cause.contains("does not say which"));
}
