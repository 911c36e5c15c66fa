//! A cluster that lost a majority comes back on what survives, and only because an operator says so.

use std::path::Path;

use harness::{copy_dir, eventually, wait::PATIENCE};
use kafka_protocol::{
    messages::{
        FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};

use crate::{
    brokers::{Said, Three, command},
    power::{cut_power, damaged},
};

/// `tidemark cluster recover` over these brokers' directories.
fn recover(three: &Three, brokers: &[usize], more: &[&str]) -> Said {
    let dirs: Vec<String> = brokers.iter().map(|id| three.data(*id).display().to_string()).collect();
    let dirs = dirs.iter().flat_map(|dir| ["--data", dir]);
    let mut arguments = vec!["cluster", "recover"];
    arguments.extend(dirs);
    arguments.extend(more);
    Said::of(command(&arguments).output().expect("the binary"))
}

/// Waits until a broker knows of so many records of a topic's three partitions that they are committed.
fn holds(three: &Three, broker: usize, topic: &'static str, records: i64) {
    let mut connection = three.broker(broker).connect();
    eventually("the broker has all records", PATIENCE, || {
        let partition = |index| FetchPartition::default().with_partition(index).with_partition_max_bytes(1);
        let asked = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_static_str(topic)))
            .with_partitions((0..3).map(partition).collect());
        let answer = connection.ask(&FetchRequest::default().with_topics(vec![asked]).with_max_bytes(1), 11);
        let known: i64 =
            answer.responses.iter().flat_map(|topic| &topic.partitions).map(|one| one.high_watermark).sum();
        (known == records).then_some(())
    });
}

/// Waits until every partition of a topic has so many replicas in sync.
fn filled(three: &Three, topic: &str, replicas: usize) {
    eventually("all replicas are filled again", PATIENCE * 2, || {
        let partitions = three.partitions(topic);
        let full = |row: &serde_json::Value| row["isr"].as_array().is_some_and(|isr| isr.len() == replicas);
        (!partitions.is_empty() && partitions.iter().all(full)).then_some(())
    });
}

#[test]
fn what_one_of_three_has_left_is_put_back_to_three_replicas() {
    let mut three = Three::start();
    three.run(&["topic", "create", "orders", "-p", "3", "--replication-factor", "3"]).fine();
    three.write(1, "orders", 0..300);
    holds(&three, 1, "orders", 300);
    three.kill(1);
    three.write(2, "orders", 300..350);
    (2..=3).for_each(|id| three.kill(id));
    let old = three.home.path().join("old copy of 2");
    copy_dir(&three.data(2), &old);
    for lost in [2, 3] {
        std::fs::remove_dir_all(three.data(lost)).unwrap();
    }

    // nothing is elected by itself, and the broker says what to do
    let waiting = three.begin(1);
    let others = [three.begin(2), three.begin(3)];
    waiting.says("tidemark cluster recover");
    assert!(recover(&three, &[1], &[]).failed().contains("in use by another process"));
    drop((waiting, others));
    for lost in [2, 3] {
        std::fs::remove_dir_all(three.data(lost)).unwrap();
    }

    let shown = recover(&three, &[1], &[]);
    assert_eq!(shown.code, Some(2), "{shown:?}");
    assert!(shown.out.contains("__cluster_metadata-0") && shown.out.contains("orders-2"), "{}", shown.out);
    assert!(shown.out.contains("without the directories of brokers 2,3"), "{}", shown.out);
    assert!(shown.out.contains("nothing was changed"), "{}", shown.out);
    let json = recover(&three, &[1], &["--json"]).out;
    let groups: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(groups.len(), 4, "{json}");
    assert!(groups.iter().all(|group| group["survivor"] == 1 && group["may_lack_records"] == true), "{json}");
    let ends: i64 = groups[1..].iter().map(|group| group["logs"][0]["log_end_offset"].as_i64().unwrap()).sum();
    assert_eq!(ends, 300, "{json}");

    let done = recover(&three, &[1], &["--yes"]).fine();
    assert!(done.contains("start all brokers as before"), "{done}");
    assert!(recover(&three, &[1], &[]).fine().contains("nothing to do"));
    three.start_again(&[1]);
    assert_eq!(three.read(1, "orders"), (0..300).collect::<Vec<_>>(), "all that it has, and no more");
    three.write(1, "orders", 300..400);
    three.start_again(&[2, 3]);
    filled(&three, "orders", 3);
    assert!(done.contains("tidemark cluster voters 1,2,3"), "{done}");
    three.run(&["cluster", "voters", "1,2,3"]).fine();
    three.write(2, "orders", 400..500);
    three.kill(1);
    assert_eq!(three.read(2, "orders"), (0..500).collect::<Vec<_>>(), "without the one that survived");

    // what was thought lost does not come back
    three.kill(2);
    std::fs::rename(three.data(2), three.home.path().join("new 2")).unwrap();
    copy_dir(&old, &three.data(2));
    three.start_again(&[1]);
    let refused = three.begin(2).listening().expect_err("it must not start");
    assert!(refused.contains("was recovered without this directory"), "{refused}");
    let left_out = recover_stopped(&three.data(2), &three.home.path().join("new 2"));
    assert!(left_out.contains("was left out when its cluster was recovered"), "{left_out}");
    three.write(3, "orders", 500..600);
    assert_eq!(three.read(1, "orders"), (0..600).collect::<Vec<_>>());
}

#[test]
fn partitions_without_a_majority_are_recovered_while_the_metadata_have_one() {
    let mut three = Three::start();
    three.run(&["topic", "create", "pair", "-p", "6", "--replication-factor", "2"]).fine();
    three.run(&["topic", "create", "orders", "-p", "3", "--replication-factor", "3"]).fine();
    three.run(&["topic", "create", "solo", "-p", "3", "--replication-factor", "1"]).fine();
    for topic in ["pair", "orders", "solo"] {
        three.write(1, topic, 0..300);
    }
    let on_lost = |row: &serde_json::Value| row["replicas"].as_array().unwrap().contains(&3.into());
    let halved = three.partitions("pair").into_iter().filter(on_lost).count();
    assert!(halved > 0, "the third holds nothing");
    (1..=3).for_each(|id| three.kill(id));
    std::fs::remove_dir_all(three.data(3)).unwrap();
    three.start_again(&[1, 2, 3]);
    filled(&three, "orders", 3);
    let status = three.run(&["cluster", "status"]).fine();
    assert!(
        status.contains(&format!("12 partitions, {halved} not well")) && status.contains("`tidemark cluster recover`"),
        "{status}"
    );

    (1..=3).for_each(|id| three.kill(id));
    let shown = recover(&three, &[1, 2, 3], &["--json"]);
    assert_eq!(shown.code, Some(2), "{shown:?}");
    assert_eq!(shown.out.matches("\"survives\"").count(), halved, "those that 3 had a part of: {}", shown.out);
    recover(&three, &[1, 2, 3], &["--yes"]).fine();
    three.start_again(&[1, 2, 3]);
    filled(&three, "pair", 2);
    filled(&three, "orders", 3);
    let status = three.run(&["cluster", "status"]).fine();
    assert!(status.contains("12 partitions, 0 not well"), "{status}");
    for topic in ["pair", "orders"] {
        three.write(2, topic, 300..400);
        assert_eq!(three.read(3, topic), (0..400).collect::<Vec<_>>());
    }
}

#[test]
fn what_no_replica_is_trusted_to_have_whole_goes_on_with_the_longest() {
    let mut three = Three::start();
    three.run(&["topic", "create", "cached", "--replication-factor", "3", "--config", "write.caching=true"]).fine();
    three.run(&["topic", "create", "synced", "--replication-factor", "3"]).fine();
    for topic in ["cached", "synced"] {
        three.write(1, topic, 0..100);
    }
    (1..=3).for_each(|id| cut_power(&mut three, id));
    three.start_again(&[1, 2, 3]);
    eventually("nobody is trusted", PATIENCE, || (damaged(&three, "cached") == 3).then_some(()));
    (1..=3).for_each(|id| three.kill(id));
    let shown = recover(&three, &[1, 2, 3], &["--json"]);
    let group: serde_json::Value = serde_json::from_str(&shown.out).expect("one group only");
    assert_eq!((&group["topic"], &group["logs"][2]["given_up"]), (&"cached".into(), &true.into()), "{group}");
    let done = recover(&three, &[1, 2, 3], &["--yes"]).fine();
    assert!(done.contains("may lack its end"), "{done}");
    three.start_again(&[1, 2, 3]);
    filled(&three, "cached", 3);
    // the machine did not go down in truth
    for topic in ["cached", "synced"] {
        three.write(2, topic, 100..200);
        assert_eq!(three.read(3, topic), (0..200).collect::<Vec<_>>(), "{topic}");
    }
    assert_eq!(damaged(&three, "cached"), 0);
}

/// R11 without a recovery: a broker came back with an empty directory, and then with the one that was thought lost.
#[test]
fn a_directory_that_another_took_the_place_of_is_turned_away() {
    let mut three = Three::start();
    three.run(&["topic", "create", "orders", "--replication-factor", "3"]).fine();
    three.write(1, "orders", 0..100);
    three.kill(2);
    let (old, new) = (three.home.path().join("old 2"), three.home.path().join("new 2"));
    std::fs::rename(three.data(2), &old).unwrap();
    three.start_again(&[2]);
    filled(&three, "orders", 3);
    three.kill(2);
    std::fs::rename(three.data(2), &new).unwrap();
    std::fs::rename(&old, three.data(2)).unwrap();
    let refused = three.begin(2).listening().expect_err("it must not start");
    assert!(refused.contains("another directory took the place of this one"), "{refused}");
    std::fs::rename(three.data(2), &old).unwrap();
    std::fs::rename(&new, three.data(2)).unwrap();
    three.start_again(&[2]);
    three.write(2, "orders", 100..200);
    assert_eq!(three.read(2, "orders"), (0..200).collect::<Vec<_>>());
}

/// Over two directories of which one is from before.
fn recover_stopped(one: &Path, other: &Path) -> String {
    let mut command = command(&["cluster", "recover", "--data"]);
    let said = command.arg(one).arg("--data").arg(other).output().expect("the binary");
    Said::of(said).failed()
}
