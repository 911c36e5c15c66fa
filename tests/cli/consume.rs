//! Records out: ranges by offset and time, both ways, several partitions, following, and a reader that goes away.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::Stdio,
};

use harness::Broker;
use serde_json::Value;

use crate::{broker, command, tidemark, tidemark_with};

/// Ten records, a minute apart, in the one partition of `t`.
fn ten() -> Broker {
    let broker = broker().start();
    let lines: String =
        (0..10).map(|i| format!("{{\"value\":\"v{i}\",\"timestamp\":{}}}\n", 1_000_000 + i * 60_000)).collect();
    tidemark_with(&broker, &["produce", "t", "--json"], &lines).fine();
    broker
}

fn values(broker: &Broker, options: &[&str]) -> String {
    tidemark(broker, &[&["consume", "t"], options].concat()).fine().trim_end().replace('\n', " ")
}

#[test]
fn ranges_are_cut_by_offset_and_by_time() {
    let broker = ten();
    assert_eq!(values(&broker, &["--from", "2", "--to", "5"]), "v2 v3 v4");
    assert_eq!(values(&broker, &["--from", "8", "--to", "50"]), "v8 v9");
    assert_eq!(values(&broker, &["--from", "@1060000", "--to", "@1180001"]), "v1 v2 v3");
    assert_eq!(values(&broker, &["--from", "@1060001", "--max", "1"]), "v2");
    assert_eq!(values(&broker, &["--from", "-1h"]), "", "they are from 1970");
    assert_eq!(values(&broker, &["--to", "-1h", "--from", "7"]), "v7 v8 v9", "nothing is that young: up to the end");
    assert_eq!(values(&broker, &["--from", "latest"]), "");
    assert_eq!(values(&broker, &["--from", "5", "--to", "2"]), "");
    assert_eq!(values(&broker, &["--max", "0"]), "");
}

#[test]
fn backwards_is_the_same_range_turned_round() {
    let broker = ten();
    assert_eq!(values(&broker, &["--reverse", "--max", "3"]), "v9 v8 v7");
    assert_eq!(values(&broker, &["-r", "--from", "2", "--to", "5"]), "v4 v3 v2");
    let forwards = values(&broker, &[]);
    let backwards: Vec<_> = forwards.split(' ').rev().collect();
    assert_eq!(values(&broker, &["-r"]), backwards.join(" "));
}

#[test]
fn several_partitions_are_merged_by_time_and_none_is_skipped_or_repeated() {
    let broker = broker().start();
    tidemark(&broker, &["topic", "create", "t", "-p", "3"]).fine();
    for partition in 0..3 {
        let line = |i: i64| {
            format!("{{\"value\":\"{partition}-{i}\",\"timestamp\":{}}}\n", 1_000_000 + i * 30 + partition * 10)
        };
        let lines: String = (0..2000).map(line).collect();
        tidemark_with(&broker, &["produce", "t", "--json", "-p", &partition.to_string()], &lines).fine();
    }
    let expected: Vec<_> = (0..2000).flat_map(|i| (0..3).map(move |partition| format!("{partition}-{i}"))).collect();
    let read = tidemark(&broker, &["consume", "t"]).fine();
    assert!(read.lines().eq(expected.iter()), "forwards");
    let read = tidemark(&broker, &["consume", "t", "--reverse"]).fine();
    assert!(read.lines().eq(expected.iter().rev()), "backwards");
    let one = tidemark(&broker, &["consume", "t", "-p", "1", "--from", "1990"]).fine();
    assert!(one.lines().eq((1990..2000).map(|i| format!("1-{i}"))), "{one}");
}

#[test]
fn following_shows_what_is_there_and_what_comes() {
    let broker = broker().start();
    tidemark(&broker, &["topic", "create", "t", "-p", "2"]).fine();
    tidemark_with(&broker, &["produce", "t", "-p", "0"], "old\n").fine();
    let mut follower = command(&["consume", "t", "--from", "earliest", "--follow", "--max", "3", "--json"]);
    let mut follower = follower.env("TIDEMARK_BOOTSTRAP", broker.kafka().to_string()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["value"], "old");
    tidemark_with(&broker, &["produce", "t", "-p", "1"], "new\n").fine();
    assert_eq!(next()["value"], "new", "long before the broker's wait is over");
    tidemark_with(&broker, &["produce", "t", "-p", "0"], "newer\n").fine();
    let last = next();
    assert_eq!((&last["value"], &last["offset"]), (&Value::from("newer"), &Value::from(1)));
    assert!(follower.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let broker = broker().start();
    let lines: String = (0..100_000).map(|i| format!("{i}\n")).collect();
    tidemark_with(&broker, &["produce", "t"], &lines).fine();
    let mut consumer = command(&["consume", "t"]);
    consumer.env("TIDEMARK_BOOTSTRAP", broker.kafka().to_string()).stderr(Stdio::piped());
    let mut consumer = consumer.spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, consumer.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "0\n");
    let output = consumer.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn what_cannot_be_read_is_told() {
    let broker = ten();
    let run = |options: &[&str]| tidemark(&broker, &[&["consume", "t"], options].concat()).failed();
    assert!(run(&["--from", "yesterday"]).contains("@2026-11-23T10:00:00Z"));
    assert!(run(&["-p", "4"]).contains("no partition 4"));
    assert!(run(&["--follow", "--reverse"]).contains("cannot be used with"));
    assert!(run(&["--follow", "--to", "latest"]).contains("--to must be"));
    assert!(tidemark(&broker, &["consume", "nope"]).failed().contains("topic list"));
    let gone = tidemark(&broker, &["consume", "t", "--from", "50"]);
    assert!(gone.err.contains("ends at offset 10"), "{gone:?}");
    assert_eq!(gone.fine(), "");
}

#[test]
fn a_template_says_what_is_shown() {
    let broker = ten();
    let shown = values(&broker, &["-o", r"{topic}/{partition}@{offset}\t{time}", "--max", "1"]);
    assert_eq!(shown, "t/0@0\t1970-01-01T00:16:40.000Z");
    let counted: BTreeMap<_, _> =
        values(&broker, &["-o", "{value}"]).split(' ').map(|value| (value.to_owned(), ())).collect();
    assert_eq!(counted.len(), 10);
}
