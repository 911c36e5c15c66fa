//! A lone broker becomes a cluster without a copy by hand, and is alone again.

use harness::{eventually, wait::PATIENCE};
use kafka_protocol::{
    messages::{
        InitProducerIdRequest, ProduceRequest, TopicName,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};
use tidemark_record::BatchBuilder;

use crate::brokers::Three;

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
            let answers = three.running().map(|broker| broker.connect().ask(&request, 9));
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

#[test]
fn a_lone_brokers_topics_get_more_replicas_and_fewer_again_while_clients_write() {
    let mut three = Three::of_none();
    three.start_as(1, &[]);
    three.run(&["topic", "create", "orders", "-p", "2"]).fine();
    three.run(&["topic", "create", "exact"]).fine();
    three.write(1, "orders", 0..300);
    let producer = Sequenced::new(&three);
    assert_eq!((producer.send(&three, "exact", 0), producer.send(&three, "exact", 1)), (Ok(0), Ok(1)));
    three.kill(1);

    let voters = three.voter(1).to_owned();
    three.start_as(1, &["--voters", &voters]);
    assert_eq!(three.read(1, "orders"), (0..300).collect::<Vec<_>>());
    three.start_as(2, &["--voters", &voters]);
    three.start_as(3, &["--voters", &voters]);
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
