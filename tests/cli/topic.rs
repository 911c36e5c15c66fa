//! Topics: made, shown, changed, deleted.

use crate::{alone, broker, tidemark};

#[test]
fn a_topic_lives_from_create_to_delete() {
    let broker = broker().start();
    let run = |arguments: &[&str]| tidemark(&broker, arguments);
    let made = run(&["topic", "create", "a", "b", "-p", "3", "--config", "retention.ms=5000"]).fine();
    assert_eq!(
        made,
        "topic a created: partitions 3, replication factor 1\ntopic b created: partitions 3, replication factor 1\n"
    );
    assert!(run(&["topic", "create", "a"]).failed().contains("TOPIC_ALREADY_EXISTS"));
    assert_eq!(run(&["topic", "create", "a", "--if-not-exists"]).fine(), "topic a exists already\n");
    assert!(run(&["topic", "create", "c", "--dry-run"]).fine().contains("could be created"));
    assert_eq!(run(&["topic", "list"]).fine(), "TOPIC  PARTITIONS\na      3\nb      3\n");

    run(&["topic", "config", "set", "a", "segment.bytes=1048576"]).fine();
    run(&["topic", "config", "unset", "a", "retention.ms"]).fine();
    assert_eq!(run(&["topic", "config", "get", "a"]).fine(), "segment.bytes=1048576  (topic)\n");
    assert_eq!(run(&["topic", "config", "get", "a", "retention.ms"]).fine(), "retention.ms=604800000  (default)\n");
    assert!(run(&["topic", "config", "get", "a", "no.such"]).failed().contains("no setting no.such"));
    assert!(run(&["topic", "config", "set", "a", "no.such=1"]).failed().contains("no.such"));

    run(&["topic", "alter", "a", "-p", "4"]).fine();
    let described = run(&["topic", "describe", "a", "--json"]).fine();
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["partitions"].as_array().unwrap().len(), 4);
    assert_eq!(described["configs"]["segment.bytes"], "1048576");

    let half = run(&["topic", "delete", "a", "nope"]);
    assert_eq!((half.code, half.out.as_str()), (Some(1), "topic a deleted\n"));
    assert!(half.err.contains("nope") && half.err.contains("topic list"), "{half:?}");
    assert_eq!(run(&["topic", "list"]).fine(), "TOPIC  PARTITIONS\nb      3\n");
}

#[test]
fn without_a_broker_the_next_step_is_named() {
    // nobody listens on port 1
    let said = alone(&["topic", "list", "--bootstrap", "127.0.0.1:1"]).failed();
    assert!(said.contains("cannot connect to 127.0.0.1:1") && said.contains("`tidemark server`"), "{said}");
}
