//! A lone broker becomes a cluster without a copy by hand, and is alone again.

use std::time::Duration;

use harness::{eventually, wait::PATIENCE};
use kafka_protocol::{
    messages::{
        IncrementalAlterConfigsRequest, InitProducerIdRequest, ProduceRequest, TopicName,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};
use tidemark_record::BatchBuilder;

use crate::brokers::{Said, Three, command};

/// A producer that says itself what its sequences are.
struct Sequenced {
    id: i64,
    epoch: i16,
}

impl Sequenced {
    fn new(three: &Three) -> Self {
        let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
        let answer = three.broker(1).connect().ask(&request, 4);
        assert_eq!(answer.error_code, 0);
        Self { id: answer.producer_id.0, epoch: answer.producer_epoch }
    }

    /// One record under a sequence, acknowledged by all, to whoever leads the partition: its offset, or the error.
    fn send(&self, three: &Three, topic: &'static str, sequence: i32) -> Result<i64, i16> {
        let mut batch = BatchBuilder::new().producer(self.id, self.epoch, sequence);
        batch.append_plain(1_700_000_000_000, None, Some(format!("{}", 1_000_000 + sequence).as_bytes()));
        let partition = PartitionProduceData::default().with_records(Some(batch.build().unwrap()));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str(topic)))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic]);
        eventually("somebody leads", PATIENCE, || {
            let answers = three.all_running().map(|broker| broker.connect().ask(&request, 9));
            let mut told = answers.map(|answer| {
                let partition = &answer.responses[0].partition_responses[0];
                if partition.error_code == 0 { Ok(partition.base_offset) } else { Err(partition.error_code) }
            });
            told.find(|told| !matches!(told, Err(NOT_LEADER_OR_FOLLOWER | UNKNOWN_TOPIC_OR_PARTITION)))
        })
    }
}

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;

fn spread(three: &Three, topic: &str, partitions: i32, to: &str) {
    for partition in 0..partitions {
        let moved = three.run(&["partition", "move", topic, &partition.to_string(), "--to", to]).fine();
        assert!(moved.contains("done"), "{moved}");
    }
}

/// Broker 1 with data, alone.
fn lone(three: &mut Three) -> Sequenced {
    three.start_as(1, &[]);
    three.run(&["topic", "create", "orders", "-p", "2"]).fine();
    three.run(&["topic", "create", "exact"]).fine();
    three.write(1, "orders", 0..300);
    let producer = Sequenced::new(three);
    assert_eq!((producer.send(three, "exact", 0), producer.send(three, "exact", 1)), (Ok(0), Ok(1)));
    producer
}

/// Its data become those of a cluster, which 2 and 3 join without a vote.
fn joined_by_two(three: &mut Three) {
    let voters = three.voter(1).to_owned();
    (1..=3).for_each(|id| three.start_as(id, &["--voters", &voters]));
}

fn voters(three: &Three) -> Vec<usize> {
    let said = three.run(&["cluster", "voters"]).fine();
    let votes = said.lines().filter(|line| line.contains("votes"));
    votes.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
fn one_broker_becomes_three_outlives_its_first_and_is_one_again() {
    let mut three = Three::of_none();
    let producer = lone(&mut three);
    three.kill(1);
    joined_by_two(&mut three);
    assert_eq!(voters(&three), [1]);
    assert!(three.run(&["cluster", "voters", "1,2,3,4"]).failed().contains("broker 4 does not follow"));
    three.run(&["cluster", "voters", "1,2,3"]).fine();
    assert_eq!(voters(&three), [1, 2, 3]);
    spread(&three, "orders", 2, "1,2,3");
    spread(&three, "exact", 1, "1,2,3");
    three.write(2, "orders", 300..400);
    three.kill(1);
    three.write(3, "orders", 400..500);
    assert_eq!(three.read(2, "orders"), (0..500).collect::<Vec<_>>());
    assert_eq!((producer.send(&three, "exact", 1), producer.send(&three, "exact", 2)), (Ok(1), Ok(2)));
    // all of them with the list that names one voter: it only says whom to ask
    [2, 3].into_iter().for_each(|id| three.kill(id));
    three.start_again(&[1, 2, 3]);
    assert_eq!(voters(&three), [1, 2, 3]);
    assert_eq!(three.read(1, "orders"), (0..500).collect::<Vec<_>>());
    let early = three.refused_alone(1);
    assert!(early.contains("start with --voters"), "{early}");
    three.start_again(&[1]);

    spread(&three, "orders", 2, "1");
    spread(&three, "exact", 1, "1");
    three.run(&["cluster", "voters", "1"]).fine();
    assert_eq!(voters(&three), [1]);
    for gone in [2, 3] {
        three.stop(gone);
        eventually("its end is seen", PATIENCE, || {
            (three.run(&["cluster", "remove", &gone.to_string()]).code == Some(0)).then_some(())
        });
    }
    let left = three.run(&["cluster", "voters"]).fine();
    assert_eq!(left.lines().count(), 2, "a removed broker does not follow any more: {left}");
    three.write(1, "orders", 500..600);
    three.kill(1);
    three.start_as(1, &[]);
    assert!(three.run(&["cluster", "voters"]).fine().contains("1       votes, leads"));
    three.write(1, "orders", 600..700);
    assert_eq!(producer.send(&three, "exact", 3), Ok(3));
    three.kill(1);
    three.start_again(&[1]);
    assert_eq!(three.read(1, "orders"), (0..700).collect::<Vec<_>>());
    assert_eq!(three.read(1, "exact"), (1_000_000..1_000_004).collect::<Vec<_>>());
}

#[test]
fn a_list_of_three_with_data_at_one_makes_a_cluster_of_that_one() {
    let mut three = Three::of_none();
    lone(&mut three);
    three.kill(1);
    let list = three.voters.clone();
    let begun: Vec<_> = (2..=3).map(|id| three.begin_as(id, &["--voters", &list])).collect();
    three.start_as(1, &["--voters", &list]);
    let others: Vec<_> = begun.into_iter().map(|starting| starting.listening().expect("it joins")).collect();
    eventually("all are there", PATIENCE, || {
        let up = three.run(&["cluster", "status"]).fine();
        (up.lines().filter(|line| line.contains(" up ")).count() == 3).then_some(())
    });
    assert_eq!(voters(&three), [1]);
    three.run(&["cluster", "voters", "1,2,3"]).fine();
    assert_eq!(voters(&three), [1, 2, 3]);
    assert_eq!(three.read(1, "orders"), (0..300).collect::<Vec<_>>());
    drop(others);
}

#[test]
fn a_kill_at_any_moment_leaves_a_lone_broker_or_a_cluster_of_one() {
    let mut three = Three::of_none();
    let producer = lone(&mut three);
    three.kill(1);
    let voters = three.voter(1).to_owned();
    let cluster = ["--voters", &voters];
    for round in 0..12 {
        // over what a start takes, in both directions
        let to_cluster = round % 2 == 0;
        let begun = three.begin_as(1, if to_cluster { &cluster } else { &[] });
        std::thread::sleep(Duration::from_millis(round * round));
        drop(begun);
        let again: &[&str] = if round % 4 < 2 { &cluster } else { &[] };
        three.start_as(1, again);
        assert_eq!(three.read(1, "orders"), (0..300).collect::<Vec<_>>(), "round {round}");
        let sequence = i32::try_from(round).unwrap() + 2;
        assert_eq!(producer.send(&three, "exact", sequence), Ok(i64::from(sequence)), "round {round}");
        three.kill(1);
    }
    three.start_as(1, &[]);
    assert_eq!(three.read(1, "exact"), (1_000_000..1_000_014).collect::<Vec<_>>());
}

#[test]
fn a_lone_brokers_topics_get_more_replicas_and_fewer_again_while_clients_write() {
    let mut three = Three::of_none();
    let producer = lone(&mut three);
    three.kill(1);
    joined_by_two(&mut three);
    let status = three.run(&["cluster", "status"]).fine();
    assert_eq!(status.matches("observer").count(), 2, "{status}");

    std::thread::scope(|scope| {
        let writes = scope.spawn(|| (3..13).for_each(|ten| three.write(1, "orders", ten * 100..(ten + 1) * 100)));
        spread(&three, "orders", 2, "1,2,3");
        spread(&three, "exact", 1, "2,3,1");
        writes.join().unwrap();
    });
    assert_eq!(three.read(2, "orders"), (0..1300).collect::<Vec<_>>());
    three.run(&["partition", "elect"]).fine();
    // what is known of producers came along
    assert_eq!(producer.send(&three, "exact", 1), Ok(1), "a duplicate");
    assert_eq!(producer.send(&three, "exact", 3), Err(OUT_OF_ORDER_SEQUENCE_NUMBER));
    assert_eq!(producer.send(&three, "exact", 2), Ok(2));
    three.kill(3);
    three.write(2, "orders", 1300..1400);
    three.start_again(&[3]);

    std::thread::scope(|scope| {
        let writes = scope.spawn(|| (14..20).for_each(|ten| three.write(2, "orders", ten * 100..(ten + 1) * 100)));
        spread(&three, "orders", 2, "1");
        spread(&three, "exact", 1, "1");
        writes.join().unwrap();
    });
    three.kill(1);
    three.start_again(&[1]);
    assert_eq!(three.read(1, "orders"), (0..2000).collect::<Vec<_>>());
    assert_eq!(three.read(1, "exact"), [1_000_000, 1_000_001, 1_000_002]);
    assert_eq!(producer.send(&three, "exact", 2), Ok(2), "a duplicate");
    assert_eq!(producer.send(&three, "exact", 3), Ok(3));
}

/// Bytes of the metadata's segments.
fn metadata_bytes(three: &Three, id: usize) -> u64 {
    let files = std::fs::read_dir(three.data(id).join("__cluster_metadata-0")).unwrap();
    let sizes = files.filter_map(|file| {
        let file = file.unwrap();
        let is_segment = file.file_name().to_string_lossy().ends_with(".log");
        // one that goes meanwhile has no size
        is_segment.then(|| file.metadata().map_or(0, |about| about.len()))
    });
    sizes.sum()
}

fn topics(three: &Three, by: usize) -> String {
    let address = three.broker(by).kafka().to_string();
    let said = command(&["topic", "list", "--bootstrap", &address]).output().expect("the binary");
    Said::of(said).fine()
}

/// Changes a long setting until the metadata's log has had so many bytes.
fn churn(three: &Three, by: usize, bytes: u64) {
    let mut connection = three.broker(by).connect();
    for round in 0..bytes / 4000 + 1 {
        let value = vec![format!("{round}:1"); 4000 / 4].join(",");
        let setting = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("leader.replication.throttled.replicas"))
            .with_value(Some(StrBytes::from_string(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_static_str("kept"))
            .with_configs(vec![setting]);
        let answer = connection.ask(&IncrementalAlterConfigsRequest::default().with_resources(vec![resource]), 1);
        assert!(answer.responses.iter().all(|topic| topic.error_code == 0), "{answer:?}");
    }
}

#[test]
fn the_metadatas_log_is_bounded_and_newcomers_get_its_snapshot() {
    const BETWEEN: u64 = 128 << 10;
    let set = format!("metadata.log.max.record.bytes.between.snapshots={BETWEEN}");
    let bounded = |three: &Three, id: usize| {
        eventually("what lies before the snapshot goes", PATIENCE, || {
            (metadata_bytes(three, id) < 2 * BETWEEN).then_some(())
        });
    };
    let mut three = Three::of_none();
    three.start_as(1, &["--set", &set]);
    three.run(&["topic", "create", "kept", "-p", "3", "--config", "retention.ms=77000"]).fine();
    churn(&three, 1, 4 * BETWEEN);
    bounded(&three, 1);
    three.kill(1);
    let voters = three.voter(1).to_owned();
    let cluster = ["--set", &set, "--voters", &voters];
    three.start_as(1, &cluster);
    let kept = "TOPIC  PARTITIONS\nkept   3\n";
    assert_eq!(topics(&three, 1), kept);
    three.start_as(2, &cluster);
    assert!(metadata_bytes(&three, 2) < 2 * BETWEEN);
    churn(&three, 2, 4 * BETWEEN);
    (1..=2).for_each(|id| bounded(&three, id));
    // one that is away for long is given the snapshot, too
    three.kill(2);
    churn(&three, 1, 4 * BETWEEN);
    three.start_as(3, &cluster);
    three.start_again(&[2]);
    three.run(&["cluster", "voters", "1,2,3"]).fine();
    (1..=3).for_each(|id| three.kill(id));
    three.start_again(&[1, 2, 3]);
    for id in 1..=3 {
        bounded(&three, id);
        assert_eq!(topics(&three, id), kept, "by way of broker {id}");
        let address = three.broker(id).kafka().to_string();
        let described = command(&["topic", "describe", "kept", "--bootstrap", &address]).output().expect("the binary");
        assert!(Said::of(described).fine().contains("77000"), "by way of broker {id}");
    }
}
