//! A cluster lives on without one broker, and comes back after the end of all.

use harness::{eventually, wait::PATIENCE};
use kafka_protocol::{
    messages::{
        FetchRequest, ProduceRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};

use tidemark_record::BatchBuilder;

use crate::brokers::Three;

#[test]
fn one_broker_may_die_and_all_may_die_and_every_record_is_kept() {
    let mut three = Three::start();
    let made = three.run(&["topic", "create", "orders", "-p", "3", "--replication-factor", "3"]);
    assert!(!made.err.contains("warning") && made.fine().contains("replication factor 3"));
    let pair = three.run(&["topic", "create", "pair", "--replication-factor", "2"]);
    assert!(pair.err.contains("topic pair has two replicas: one dead broker stops its writes"), "{pair:?}");
    for broker in 1..=3 {
        three.write(broker, "orders", 100 * (broker - 1)..100 * broker);
    }
    for broker in 1..=3 {
        assert_eq!(three.read(broker, "orders"), (0..300).collect::<Vec<_>>(), "by way of broker {broker}");
    }
    let leader = three.partitions("orders")[0]["leader"].as_u64().unwrap() as usize;
    three.kill(leader);
    let others: Vec<usize> = (1..=3).filter(|id| *id != leader).collect();
    three.write(others[0], "orders", 300..400);
    three.write(others[1], "orders", 400..500);
    assert_eq!(three.read(others[0], "orders"), (0..500).collect::<Vec<_>>());
    eventually("the dead one is seen to be dead", PATIENCE, || {
        let status = three.run(&["cluster", "status"]).fine();
        status.lines().any(|line| line.starts_with(&format!("{leader} ")) && line.contains("fenced")).then_some(())
    });
    others.iter().for_each(|id| three.kill(*id));
    three.start_again(&[1, 2, 3]);
    assert_eq!(three.read(leader, "orders"), (0..500).collect::<Vec<_>>());
    three.write(leader, "orders", 500..600);
    assert_eq!(three.read(others[0], "orders"), (0..600).collect::<Vec<_>>());
}

#[test]
fn a_follower_serves_what_is_committed() {
    let three = Three::start();
    three.run(&["topic", "create", "t", "--replication-factor", "3"]).fine();
    three.write(1, "t", 0..10);
    let row = &three.partitions("t")[0];
    let leader = row["leader"].as_u64().unwrap() as usize;
    let topic = TopicName(StrBytes::from_static_str("t"));
    for broker in (1..=3).filter(|broker| *broker != leader) {
        let partition = FetchPartition::default().with_partition(0).with_partition_max_bytes(1 << 20);
        let asked = FetchTopic::default().with_topic(topic.clone()).with_partitions(vec![partition]);
        let request = FetchRequest::default().with_topics(vec![asked]).with_max_bytes(1 << 20);
        let mut connection = three.broker(broker).connect();
        eventually("a follower has all records", PATIENCE, || {
            let answer = connection.ask(&request, 11);
            let found = &answer.responses[0].partitions[0];
            (found.error_code == 0
                && found.high_watermark == 10
                && found.records.as_ref().is_some_and(|r| !r.is_empty()))
            .then_some(())
        });
        // a client from before KIP-392 is sent to the leader
        let answer = connection.ask(&request, 10);
        assert_eq!(answer.responses[0].partitions[0].error_code, 6, "NOT_LEADER_OR_FOLLOWER");
    }
}

/// Writes one record to partition 0 at its leader, if it has one that runs; the error it met.
fn produce(three: &Three, topic: &'static str, timeout_ms: i32) -> Option<i16> {
    let leader = three.partitions(topic)[0]["leader"].as_u64()? as usize;
    let mut builder = BatchBuilder::new();
    builder.append_plain(0, None, Some(b"1000"));
    let data = PartitionProduceData::default().with_records(Some(builder.build().unwrap()));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str(topic)))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(timeout_ms).with_topic_data(vec![topic]);
    let answer = three.running(leader)?.connect().ask(&request, 9);
    Some(answer.responses[0].partition_responses[0].error_code)
}

#[test]
fn what_all_three_shall_have_is_not_acknowledged_by_two() {
    let mut three = Three::start();
    for (topic, min) in [("all", "min.insync.replicas=3"), ("most", "min.insync.replicas=2")] {
        three.run(&["topic", "create", topic, "--replication-factor", "3", "--config", min]).fine();
        eventually("all are in sync", PATIENCE, || (produce(&three, topic, 30_000) == Some(0)).then_some(()));
    }
    let leader = three.partitions("all")[0]["leader"].as_u64().unwrap() as usize;
    let dead = leader % 3 + 1;
    three.kill(dead);
    // it counts as in sync for a while, and has nothing of what is written meanwhile
    eventually("it is missed", PATIENCE, || {
        let error = produce(&three, "all", 1000);
        assert_ne!(error, Some(0), "only two have it");
        (error == Some(7)).then_some(())
    });
    eventually("two are enough", PATIENCE, || (produce(&three, "most", 30_000) == Some(0)).then_some(()));
    three.start_again(&[dead]);
    eventually("all three have it", PATIENCE, || (produce(&three, "all", 30_000) == Some(0)).then_some(()));
}

#[test]
fn the_status_says_how_far_behind_a_replica_is_in_records_and_in_time() {
    let mut three = Three::start();
    three.run(&["topic", "create", "t", "--replication-factor", "3"]).fine();
    three.write(1, "t", 0..10);
    let lag = |three: &Three, id: usize| three.partitions("t")[0]["lags"][id.to_string()].clone();
    let leader = three.partitions("t")[0]["leader"].as_u64().unwrap() as usize;
    let (dead, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    eventually("it has all", PATIENCE, || (lag(&three, dead)["records"] == 0).then_some(()));
    three.kill(dead);
    three.write(leader, "t", 10..60);
    eventually("it is behind", PATIENCE, || {
        let behind = lag(&three, dead);
        (behind["records"] == 50 && behind["caught_up_seconds"].as_f64()? >= 3.0).then_some(())
    });
    let status = three.run(&["cluster", "status"]).fine();
    assert!(status.contains(&format!(" {dead}:50/")), "{status}");
    let fresh = lag(&three, other);
    assert!(fresh["records"] == 0 && fresh["caught_up_seconds"].as_f64().is_some_and(|s| s < 30.0), "{fresh}");
    three.start_again(&[dead]);
    eventually("it has caught up", PATIENCE, || {
        let row = three.partitions("t").remove(0);
        let others = row["lags"].as_object()?.values().filter(|lag| lag["records"] == 0).count();
        (others == 2).then_some(())
    });
}
