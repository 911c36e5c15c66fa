//! Segments that a real broker wrote: every codec, keys, headers, tombstones, with and without sequences, under both
//! kinds of time, rolled by size and by time, over a clean stop and a kill.

use std::{collections::BTreeSet, process::ExitStatus};

use harness::Broker;
use serde_json::Value;
use tidemark_client::{
    Client, ClientConfig, Compression, Header, Producer, ProducerConfig, ProducerRecord,
    admin::{Admin, NewTopic},
};

use crate::agreement::agreed;

const T0: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;

fn block_on<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story)
}

async fn client(broker: &Broker) -> Client {
    Client::connect(ClientConfig::new([broker.kafka().to_string()])).await.unwrap()
}

fn record(topic: &str, number: i64, timestamp_ms: i64) -> ProducerRecord {
    let header =
        |value: Option<&'static [u8]>| Header { name: format!("h{}", number % 2).into(), value: value.map(Into::into) };
    ProducerRecord {
        topic: topic.to_owned(),
        partition: Some(0),
        key: (number % 3 != 0).then(|| format!("key-{number}").into()),
        value: (number % 5 != 4).then(|| format!("value {number} {}", "x".repeat(number as usize % 40)).into()),
        headers: match number % 4 {
            0 => vec![],
            1 => vec![header(Some(b"a")), header(Some(b"b"))],
            2 => vec![header(None)],
            _ => vec![header(Some(b""))],
        },
        timestamp_ms: Some(timestamp_ms),
    }
}

/// Each codec with and without sequences, an hour apart by the records' own clock.
async fn write_all_kinds(client: &Client, topic: &str, hour: i64) {
    for (codec, at) in Compression::ALL.into_iter().zip(0..) {
        for idempotent in [true, false] {
            let config = ProducerConfig { idempotent, compression: codec, ..ProducerConfig::default() };
            let producer = Producer::new(client.clone(), config);
            for number in 0..20 {
                let timestamp_ms = T0 + (hour + at) * HOUR_MS + number;
                let _delivered_by_flush = producer.queue(record(topic, number, timestamp_ms)).await.unwrap();
                if number == 9 {
                    producer.flush().await;
                }
            }
            producer.close().await;
        }
    }
}

/// More than a segment holds.
async fn write_much(client: &Client, topic: &str, hour: i64) {
    let producer = Producer::new(client.clone(), ProducerConfig::default());
    let value = "y".repeat(100_000);
    for number in 0..12 {
        producer.send(record(topic, number, T0 + (hour + 4) * HOUR_MS).value(value.clone())).await.unwrap();
    }
}

async fn create(admin: &Admin, topic: &str, configs: &[(&str, &str)]) {
    let topic =
        configs.iter().fold(NewTopic::new(topic).partitions(1), |topic, (key, value)| topic.config(*key, *value));
    for (name, created) in admin.create_topics(&[topic], false).await.unwrap() {
        created.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn what_a_broker_wrote_is_read_alike() {
    let mut broker = harness::BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark")).start();
    let small = [("segment.bytes", "1048576"), ("segment.ms", "600000"), ("retention.ms", "-1")];
    block_on(async {
        let client = client(&broker).await;
        let admin = client.admin();
        create(&admin, "created", &small).await;
        let stamped = [&small[..], &[("message.timestamp.type", "LogAppendTime")]].concat();
        create(&admin, "appended", &stamped).await;
        write_all_kinds(&client, "created", 0).await;
        write_all_kinds(&client, "appended", 0).await;
    });
    for (hour, ending) in [(5, Broker::terminate as fn(&mut Broker) -> ExitStatus), (10, Broker::kill)] {
        ending(&mut broker);
        broker = broker.restart();
        block_on(async {
            let client = client(&broker).await;
            for topic in ["created", "appended"] {
                write_all_kinds(&client, topic, hour).await;
                write_much(&client, topic, hour).await;
            }
        });
    }
    assert!(broker.terminate().success(), "{}", broker.printed());
    for (topic, time, segments_min) in [("created", "CreateTime", 10), ("appended", "LogAppendTime", 2)] {
        let frames = agreed(&broker.data().join(format!("{topic}-0")));
        let batches: Vec<&Value> = frames.iter().filter(|frame| frame["kind"] == "batch").collect();
        let records: i64 = batches.iter().map(|batch| batch["records_count"].as_i64().unwrap()).sum();
        assert_eq!(records, 3 * 5 * 2 * 20 + 2 * 12, "{topic}");
        let kinds = |name: &str| batches.iter().map(|batch| batch[name].to_string()).collect::<BTreeSet<_>>();
        assert_eq!(kinds("codec").len(), Compression::ALL.len(), "{topic}");
        assert_eq!(kinds("timestamp_type"), BTreeSet::from([format!("\"{time}\"")]), "{topic}");
        assert!(kinds("leader_epoch").len() >= 3, "{topic}: {:?}", kinds("leader_epoch"));
        assert!(kinds("segment").len() >= segments_min, "{topic}: {:?}", kinds("segment"));
        assert!(kinds("base_sequence").len() >= 3, "{topic}: {:?}", kinds("base_sequence"));
    }
}
