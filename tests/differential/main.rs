//! The same requests, byte for byte, to Tidemark and to Apache Kafka; the decoded answers compared field by field.
//!
//! Needs Java and `shared/kafka`, so it is no part of a plain `cargo test`: `.ci/run` and `just differential` run it with
//! `--features differential`. Stories hold the requests, `allowed` the differences that may be, `apart` the requests
//! that are answered otherwise on purpose.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod allowed;
mod apart;
mod compare;
mod peer;
mod stories;
mod tree;

use std::path::Path;

use harness::{Apache, BrokerOptions};

use crate::peer::Peer;

/// Kafka's shipped defaults where `kafka.sh` has its own, and the retries of its housekeeping short.
const KAFKA_SETTINGS: &[(&str, &str)] = &[("num.partitions", "1"), ("delete.topic.enable", "true")];

fn kafka() -> Apache {
    Apache::start(Path::new(env!("CARGO_MANIFEST_DIR")), KAFKA_SETTINGS)
}

/// Two peers at one Kafka, told apart by their topics: the comparer must find nothing, and a planted difference at once.
#[test]
fn kafka_agrees_with_itself_and_a_planted_difference_is_found() {
    let kafka = kafka();
    let (mut one, mut two) = (Peer::new(kafka.kafka(), &unique("a-")), Peer::new(kafka.kafka(), &unique("b-")));
    let mut cases = 0;
    for story in stories::ALL.iter().filter(|story| story.repeatable) {
        (story.tell)(&mut one);
        (story.tell)(&mut two);
        cases = one.answers.len();
    }
    let found = compare::differences(&one, &two);
    assert!(found.is_empty(), "{} differences between Kafka and itself:\n{}", found.len(), lines(&found));
    println!("{cases} cases, no difference");
    stories::plant(&mut one, &mut two);
    let planted = compare::differences(&one, &two);
    assert_eq!(planted.len(), 1, "one record more in one of two answers:\n{}", lines(&planted));
}

#[test]
fn tidemark_answers_as_kafka_does() {
    let kafka = kafka();
    let broker = BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"))
        .argument("--node-id")
        .argument("1")
        .set("num.partitions", "1")
        .start();
    let prefix = unique("d-");
    let (mut ours, mut theirs) = (Peer::new(broker.kafka(), &prefix), Peer::new(kafka.kafka(), &prefix));
    let only = std::env::var("STORY").unwrap_or_default();
    for story in stories::ALL.iter().filter(|story| story.name.contains(&only)) {
        (story.tell)(&mut theirs);
        (story.tell)(&mut ours);
    }
    let found = compare::differences(&ours, &theirs);
    let (left, unused) = compare::judge(&found, allowed::ALLOWED);
    println!(
        "{} cases, {} differences, {} of them allowed",
        theirs.answers.len(),
        found.len(),
        found.len() - left.len()
    );
    assert!(left.is_empty(), "{} differences that no row allows:\n{}", left.len(), lines(&left));
    assert!(!only.is_empty() || unused.is_empty(), "these rows allow nothing any more, remove them: {unused:#?}");
    if "apart".contains(&only) {
        let prefix = unique("e-");
        let (mut ours, mut theirs) = (Peer::new(broker.kafka(), &prefix), Peer::new(kafka.kafka(), &prefix));
        let found = apart::differences(&mut ours, &mut theirs);
        println!("{} cases apart", apart::APART.len());
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn the_list_of_differences_stays_short() {
    assert!(allowed::ALLOWED.len() <= 15);
    for row in allowed::ALLOWED {
        assert!(!row.path.contains("error_code"), "an error code may never differ: {row:?}");
        assert!(row.reason.len() > 20, "a reason is owed: {row:?}");
    }
    assert!(apart::APART.len() <= 20);
    for row in apart::APART {
        assert!(row.kafka != row.ours && !row.rule.is_empty(), "not apart, or without a rule: {}", row.case);
    }
}

/// Kafka may have run before: names must be new. Shell, process id and time would do; the id is enough for a machine.
fn unique(kind: &str) -> String {
    format!("{kind}{:06}-", std::process::id() % 1_000_000)
}

fn lines(found: &[compare::Difference]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
