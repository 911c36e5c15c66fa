//! Topic configs that act on what is written: the clock, the codec, the size.

use kafka_protocol::error::ResponseError;
use rdkafka::Offset;
use tidemark_record::{BatchBuilder, Compression, TimestampType};

use crate::{
    broker,
    librdkafka::{Record, read, send_all},
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
    let found = read(broker.kafka(), "stamped", Offset::Beginning, 25);
    assert!(found.iter().all(|(_, record)| record.timestamp_ms >= before));
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
        let by_client = read(broker.kafka(), &topic, Offset::Beginning, 250);
        assert_eq!(by_client.len(), 250, "librdkafka reads {target}");
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
    let record = Record { key: None, value: Some(b"now".to_vec()), headers: vec![], timestamp_ms: now_ms() };
    assert_eq!(send_all(broker.kafka(), "bounded", &[], &[record]), [0]);
}

/// The reader may come before or after the record: either way it gets it.
#[test]
fn a_reader_at_the_end_is_woken_by_a_write() {
    let broker = broker().start();
    requests::create(&mut broker.connect(), "woken", 1, &[]);
    let bootstrap = broker.kafka();
    let reader = std::thread::spawn(move || read(bootstrap, "woken", Offset::Beginning, 1));
    let record = Record { key: None, value: Some(b"news".to_vec()), headers: vec![], timestamp_ms: T0 };
    send_all(broker.kafka(), "woken", &[], std::slice::from_ref(&record));
    assert_eq!(reader.join().unwrap()[0].1, record);
}
