//! A consumer that says its rack reads from the replica that is there (KIP-392).

use std::time::Duration;

use harness::{Broker, eventually, wait::PATIENCE};
use kafka_protocol::{
    messages::{
        FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::PartitionData,
    },
    protocol::StrBytes,
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use crate::brokers::Three;

const SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

/// Fetch requests that a broker has answered.
fn fetches(broker: &Broker) -> u64 {
    let page = broker.metrics();
    let counted = page.lines().filter(|line| line.starts_with("tidemark_requests_total") && line.contains("\"Fetch\""));
    counted.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// What a broker answers to a fetch from a rack.
fn fetch(broker: &Broker, rack: &str, offset: i64) -> PartitionData {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let partition = partition.with_current_leader_epoch(-1);
    let topic = TopicName(StrBytes::from_static_str("t"));
    let topic = FetchTopic::default().with_topic(topic).with_partitions(vec![partition]);
    let rack = StrBytes::from_string(rack.to_owned());
    let request = FetchRequest::default().with_topics(vec![topic]).with_max_bytes(1 << 20).with_rack_id(rack);
    broker.connect().ask(&request, 11).responses[0].partitions[0].clone()
}

#[test]
fn a_consumer_reads_from_the_replica_in_its_rack() {
    let three = Three::start_with(|id, options| {
        options.http().set("broker.rack", &format!("r{id}")).set("replica.selector.class", SELECTOR)
    });
    three.run(&["topic", "create", "t", "--replication-factor", "3"]).fine();
    three.write(1, "t", 0..100);
    let leader = three.partitions("t")[0]["leader"].as_u64().unwrap() as usize;
    let near = leader % 3 + 1;
    let rack = format!("r{near}");
    let told = eventually("the follower has all", PATIENCE, || {
        let told = fetch(three.broker(leader), &rack, 100);
        (told.preferred_read_replica.0 == near as i32).then_some(told)
    });
    let records = |data: &PartitionData| data.records.as_ref().map_or(0, |records| records.len());
    assert_eq!((told.error_code, told.high_watermark, records(&told)), (0, 100, 0));
    for other in [format!("r{leader}"), "elsewhere".to_owned(), String::new()] {
        let read = fetch(three.broker(leader), &other, 0);
        assert!(read.preferred_read_replica.0 == -1 && records(&read) > 0, "{other}: {read:?}");
    }
    let read = fetch(three.broker(near), &rack, 0);
    assert!(read.preferred_read_replica.0 == -1 && records(&read) > 0, "who follows sends nobody away: {read:?}");

    let before = fetches(three.broker(near));
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", three.broker(leader).kafka().to_string())
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("client.rack", &rack)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("t", 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut read = Vec::new();
    eventually("all is read", PATIENCE, || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            read.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap().parse::<usize>().unwrap());
        }
        (read.len() == 100).then_some(())
    });
    assert_eq!(read, (0..100).collect::<Vec<_>>());
    assert!(fetches(three.broker(near)) > before, "it was read elsewhere");
}
