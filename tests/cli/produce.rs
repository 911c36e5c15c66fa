//! Lines in: what becomes of them, and what is refused.

use crate::{broker, tidemark, tidemark_with};

#[test]
fn lines_of_every_codec_come_back_byte_for_byte() {
    let broker = broker().start();
    let lines: String = (0..3000).map(|i| format!("größe {i} \t{}\n", "x".repeat(i % 70))).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let said = tidemark_with(&broker, &["produce", codec, "--compression", codec], &lines).fine();
        assert_eq!(said, format!("3000 records written to {codec}\n  partition 0: offsets 0 to 2999\n"));
        assert!(tidemark(&broker, &["consume", codec]).fine() == lines, "{codec}");
    }
}

#[test]
fn keys_tombstones_headers_and_times_are_kept_in_a_copy() {
    let broker = broker().start();
    let options =
        ["produce", "state", "-k", ":", "--null-value", "-", "-H", "unit=C", "--timestamp", "2026-11-23T10:00:00Z"];
    tidemark_with(&broker, &options, "roof:21.5\nroof:-\n:\n").fine();
    let shown = tidemark(&broker, &["consume", "state", "--json"]).fine();
    let first: serde_json::Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    let expected = serde_json::json!({
        "topic": "state", "partition": 0, "offset": 0,
        "timestamp": 1_795_428_000_000_i64, "time": "2026-11-23T10:00:00.000Z",
        "key": "roof", "value": "21.5", "headers": [{ "name": "unit", "value": "C" }],
    });
    assert_eq!(first, expected);
    tidemark_with(&broker, &["produce", "copy", "--json"], &shown).fine();
    let copied = tidemark(&broker, &["consume", "copy", "--json"]).fine();
    assert_eq!(copied.replace("\"copy\"", "\"state\""), shown);
    assert_eq!(tidemark(&broker, &["consume", "copy", "-k", "=", "--null", "NIL"]).fine(), "roof=21.5\nroof=NIL\n=\n");
}

#[test]
fn a_bad_line_stops_it_and_the_lines_before_are_written() {
    let broker = broker().start();
    let said = tidemark_with(&broker, &["produce", "t", "-k", ":"], "a:1\nb:2\nc\nd:4\n");
    assert!(said.out.starts_with("2 records written to t\n"), "{said:?}");
    assert!(said.failed().contains("line 3"));
    assert_eq!(tidemark(&broker, &["consume", "t"]).fine(), "1\n2\n");
}

#[test]
fn what_the_broker_refuses_is_told_with_its_line() {
    let broker = broker().start();
    tidemark(&broker, &["topic", "create", "small", "--config", "max.message.bytes=100"]).fine();
    let said = tidemark_with(&broker, &["produce", "small"], &"x".repeat(500)).failed();
    assert!(said.contains("line 1") && said.contains("MESSAGE_TOO_LARGE"), "{said}");
    let said = tidemark_with(&broker, &["produce", "small", "-p", "7"], "x\n").failed();
    assert!(said.contains("no partition 7"), "{said}");
    let said = tidemark_with(&broker, &["produce", "nope", "--no-create"], "x\n").failed();
    assert!(said.contains("nope") && said.contains("topic list"), "{said}");
}
