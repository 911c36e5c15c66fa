//! Topic configs that act on what is written: the clock, the codec, the size.

use kafka_protocol::error::ResponseError;
use tidemark_record::{BatchBuilder, Compression, TimestampType};

use crate::{
    broker,
    client::{Record, clients},
    requests,
};

const T0: i64 = 1_700_000_000_000;

fn batch(codec: Compression, records: usize) -> bytes::Bytes {
    let mut builder = BatchBuilder::new().compression(codec, None);
    for n in 0..records {
        builder.append_plain(T0 + n as i64, Some(b"key"), Some(format!("value {n}").as_bytes()));
    }
    builder.build().unwrap()
}

fn now_ms() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}

#[test]
fn log_append_time_is_the_brokers_clock() {
    let broker = broker().start();
    let mut connection = broker.connect();
    requests::create(&mut connection, "stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    for codec in Compression::ALL {
        let stored = requests::produce(&mut connection, "stamped", -1, batch(codec, 5));
        assert_eq!(stored.error_code, 0);
        assert!((before..=now_ms()).contains(&stored.log_append_time_ms), "{}", stored.log_append_time_ms);
    }
    let answer = requests::fetch(&mut connection, "stamped", 0);
    for (header, _) in requests::batches(&answer.records.unwrap()) {
        assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppend);
        assert!((before..=now_ms()).contains(&header.max_timestamp));
    }
    for client in clients(broker.kafka()) {
        let found = client.read("stamped", 0, 25);
        assert!(found.iter().all(|(_, record)| record.timestamp_ms >= before), "{}", client.name());
    }
    let (offset, timestamp) = requests::lookup(&mut connection, "stamped", before);
    assert_eq!(offset, 0);
    assert!(timestamp >= before);
}

#[test]
fn compression_type_converts_what_differs() {
    let broker = broker().start();
    let mut connection = broker.connect();
    for (target, codec) in [
        ("uncompressed", Compression::None),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ] {
        let topic = format!("to-{target}");
        requests::create(&mut connection, &topic, 1, &[("compression.type", target)]);
        for source in Compression::ALL {
            assert_eq!(
                requests::produce(&mut connection, &topic, -1, batch(source, 50)).error_code,
                0,
                "{source:?} to {target}"
            );
        }
        let stored = requests::fetch(&mut connection, &topic, 0).records.unwrap();
        let found = requests::batches(&stored);
        assert_eq!(found.len(), 5);
        assert!(found.iter().all(|(header, _)| header.compression() == Some(codec)), "{target}");
        let values = requests::values(&stored);
        assert!(values.iter().map(|(offset, _)| *offset).eq(0..250));
        assert!(values.iter().all(|(offset, value)| *value == format!("value {}", offset % 50)));
        for client in clients(broker.kafka()) {
            assert_eq!(client.read(&topic, 0, 250).len(), 250, "{} reads {target}", client.name());
        }
    }
}

#[test]
fn max_message_bytes_is_the_batch_as_sent() {
    let broker = broker().start();
    let mut connection = broker.connect();
    let fits = batch(Compression::None, 3);
    requests::create(&mut connection, "sized", 1, &[("max.message.bytes", &fits.len().to_string())]);
    assert_eq!(requests::produce(&mut connection, "sized", -1, fits).error_code, 0);
    let refused = requests::produce(&mut connection, "sized", -1, batch(Compression::None, 4));
    assert_eq!(refused.error_code, ResponseError::MessageTooLarge.code());
    let packed = {
        let mut builder = BatchBuilder::new().compression(Compression::Zstd, None);
        builder.append_plain(T0, None, Some(&[b'x'; 100_000]));
        builder.build().unwrap()
    };
    assert_eq!(requests::produce(&mut connection, "sized", -1, packed).error_code, 0, "small once packed");
}

#[test]
fn timestamps_have_bounds() {
    let broker = broker().start();
    let mut connection = broker.connect();
    requests::create(&mut connection, "bounded", 1, &[("message.timestamp.before.max.ms", "60000")]);
    let refused = requests::produce(&mut connection, "bounded", -1, batch(Compression::None, 1));
    assert_eq!(refused.error_code, ResponseError::InvalidTimestamp.code());
    for (client, offset) in clients(broker.kafka()).iter().zip(0..) {
        let record = Record::of("now", now_ms());
        assert_eq!(client.write("bounded", Compression::None, 1, &[record]), [offset], "{}", client.name());
    }
}

/// The reader may come before or after the record: either way it gets it.
#[test]
fn a_reader_at_the_end_is_woken_by_a_write() {
    let broker = broker().start();
    requests::create(&mut broker.connect(), "woken", 1, &[]);
    let bootstrap = broker.kafka();
    for (client, offset) in clients(bootstrap).iter().zip(0..) {
        let readers =
            [0, 1].map(|reader| std::thread::spawn(move || clients(bootstrap)[reader].read("woken", offset, 1)));
        let record = Record::of("news", T0);
        client.write("woken", Compression::None, 1, std::slice::from_ref(&record));
        for reader in readers {
            assert_eq!(reader.join().unwrap(), [(offset, record.clone())], "written by {}", client.name());
        }
    }
}
