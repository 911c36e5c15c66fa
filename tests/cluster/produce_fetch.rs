//! What is written is read: every codec, keys, headers, timestamps, tombstones; from an offset and from a time.

use harness::connection::Connection;
use tidemark_record::{BatchBuilder, Compression};

use crate::{
    broker,
    client::{Record, clients},
    requests,
};

const T0: i64 = 1_700_000_000_000;

/// Every kind of record: with and without key, value, headers; two headers of one name; an empty key and value.
fn records(count: usize) -> Vec<Record> {
    let record = |n: usize| Record {
        key: (!n.is_multiple_of(3)).then(|| format!("key-{}", n % 7).into_bytes()),
        value: (n % 10 != 9).then(|| format!("value-{n} {}", "x".repeat(n % 50)).into_bytes()),
        headers: match n % 4 {
            0 => vec![],
            1 => vec![("h".to_owned(), Some(b"1".to_vec())), ("h".to_owned(), Some(b"2".to_vec()))],
            2 => vec![("null".to_owned(), None)],
            _ => vec![("empty".to_owned(), Some(vec![]))],
        },
        timestamp_ms: T0 + 1000 * n as i64,
    };
    (0..count).map(record).collect()
}

#[test]
fn every_codec_comes_back_byte_for_byte() {
    let broker = broker().start();
    let clients = clients(broker.kafka());
    for codec in Compression::ALL {
        for writer in &clients {
            let topic = format!("codec-{}-{}", codec.name(), writer.name());
            requests::create(&mut broker.connect(), &topic, 1, &[]);
            let sent = records(500);
            let offsets = writer.write(&topic, codec, 500, &sent);
            assert_eq!(offsets, (0..500).collect::<Vec<_>>(), "{topic}");
            for reader in &clients {
                let found = reader.read(&topic, 0, 500);
                let context = format!("{topic}, read by {}", reader.name());
                assert!(found.iter().map(|(offset, _)| *offset).eq(0..500), "{context}");
                assert!(found.iter().map(|(_, record)| record).eq(&sent), "{context}");
            }
        }
    }
}

#[test]
fn replay_starts_at_any_offset_and_any_time() {
    let broker = broker().start();
    for client in clients(broker.kafka()) {
        let topic = format!("replay-{}", client.name());
        requests::create(&mut broker.connect(), &topic, 1, &[]);
        let sent = records(300);
        client.write(&topic, Compression::Lz4, 40, &sent);
        for from in [0, 1, 39, 40, 41, 150, 299] {
            let found = client.read(&topic, from, 300 - from as usize);
            assert!(found.iter().map(|(offset, _)| *offset).eq(from..300), "{topic} from {from}");
            assert_eq!(found[0].1, sent[from as usize]);
        }
        for (timestamp, expected) in [
            (0, Some(0)),
            (T0 + 77_000, Some(77)),
            (T0 + 77_001, Some(78)),
            (T0 + 299_000, Some(299)),
            (T0 + 299_001, None),
        ] {
            assert_eq!(client.offset_at(&topic, timestamp), expected, "{topic}, time {timestamp}");
        }
    }
}

#[test]
fn a_batch_is_stored_as_it_was_sent() {
    let broker = broker().start();
    let mut connection = broker.connect();
    requests::create(&mut connection, "exact", 1, &[]);
    let mut sent = Vec::new();
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::new().compression(codec, None);
        for n in 0..20 {
            builder.append_plain(T0 + n, Some(b"key"), Some(format!("value {n}").as_bytes()));
        }
        sent.push(builder.build().unwrap());
    }
    for (at, batch) in sent.iter().enumerate() {
        let stored = requests::produce(&mut connection, "exact", -1, batch.clone());
        assert_eq!((stored.error_code, stored.base_offset), (0, 20 * at as i64));
    }
    let answer = requests::fetch(&mut connection, "exact", 0);
    let found = requests::batches(&answer.records.unwrap());
    assert_eq!(found.len(), sent.len());
    for ((header, found), sent) in found.iter().zip(&sent) {
        // base offset and leader epoch are the broker's; the length between them and all behind them the client's
        assert_eq!(found[8..12], sent[8..12]);
        assert_eq!(found[16..], sent[16..], "codec {:?}", header.compression());
    }
}

#[test]
fn a_topic_is_made_by_its_first_record_unless_that_is_off() {
    let on = broker().start();
    for client in clients(on.kafka()) {
        let topic = format!("made-by-{}", client.name());
        assert_eq!(client.write(&topic, Compression::None, 3, &records(3)), [0, 1, 2]);
    }

    let off = broker().set("auto.create.topics.enable", "false").start();
    let mut connection: Connection = off.connect();
    let batch = {
        let mut builder = BatchBuilder::new();
        builder.append_plain(T0, None, Some(b"v"));
        builder.build().unwrap()
    };
    let unknown = kafka_protocol::error::ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(requests::produce(&mut connection, "nobody", -1, batch).error_code, unknown);
    let topic = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default().with_name(Some(
        kafka_protocol::messages::TopicName(kafka_protocol::protocol::StrBytes::from_static_str("nobody")),
    ));
    let request = kafka_protocol::messages::MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(true);
    for _ in 0..2 {
        assert_eq!(connection.ask(&request, 9).topics[0].error_code, unknown);
    }
}
