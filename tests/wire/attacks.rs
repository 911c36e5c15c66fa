//! What a few bytes can ask of a decoder that believes them: counts, lengths and nesting, in every request that is served.

use bytes::Bytes;
use harness::Connection;
use kafka_protocol::messages::{
    ApiVersionsRequest, ProduceRequest, TopicName,
    produce_request::{PartitionProduceData, TopicProduceData},
};
use tidemark_record::{BatchBuilder, BatchHeader, HEADER_LEN, builder::sealed};

use crate::{
    bystander::{Attacked, text},
    frames::request,
};

/// Seeded, so that a failure comes again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Every API and version that the broker says it serves.
fn served(connection: &mut Connection) -> Vec<(i16, i16)> {
    let response = connection.ask(&ApiVersionsRequest::default(), 0);
    response
        .api_keys
        .iter()
        .flat_map(|api| (api.min_version..=api.max_version).map(move |version| (api.api_key, version)))
        .collect()
}

/// Four 0x7f or 0xff bytes at each of the first places of each request: a count wherever there is one.
#[test]
fn hostile_counts_cost_nothing_at_any_place() {
    let mut attacked = Attacked::start(&[]);
    let served = served(&mut attacked.broker.connect());
    assert!(served.len() > 60, "{served:?}");
    for (key, version) in served {
        for place in 0..24 {
            for hostile in [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x02, 0xfa, 0xf0, 0x80]] {
                let body = [&vec![0; place], hostile].concat();
                let mut connection = attacked.broker.connect();
                connection.send(&request(key, version, &body)).unwrap();
                connection.finish_sending();
                // some of these are requests, by chance; those are answered
                let ended = connection.await_close();
                assert!(ended.is_ok(), "API {key} v{version}, place {place}: {ended:?}");
            }
        }
        attacked.is_unharmed_by(&format!("API {key} v{version}"));
    }
}

#[test]
fn random_requests_never_harm() {
    let mut attacked = Attacked::start(&[]);
    let served = served(&mut attacked.broker.connect());
    let mut random = Random(0x5eed);
    for round in 0..3_000 {
        let (key, version) = served[random.next() as usize % served.len()];
        let length = random.next() as usize % 96;
        let body: Vec<u8> =
            (0..length).map(|_| if random.next().is_multiple_of(3) { 0 } else { random.next() as u8 }).collect();
        let mut connection = attacked.broker.connect();
        let _ = connection.send(&request(key, version, &body));
        connection.finish_sending();
        assert!(connection.await_close().is_ok(), "round {round}: API {key} v{version}, {body:02x?}");
        if round % 500 == 0 {
            attacked.is_unharmed_by(&format!("round {round}"));
        }
    }
    attacked.is_unharmed_by("the last round");
}

/// Frames of many tiny elements: legal, and costly where each becomes an object.
#[test]
fn large_frames_of_tiny_elements_stay_small() {
    let mut attacked = Attacked::start(&[]);
    let count = 200_000_u32;
    // Metadata v1 with as many empty names
    let body = [&count.to_be_bytes()[..], &vec![0; 2 * count as usize]].concat();
    let mut connection = attacked.broker.connect();
    connection.send(&request(3, 1, &body)).unwrap();
    connection.finish_sending();
    connection.await_close().unwrap();
    attacked.is_unharmed_by("Metadata of 200,000 names");
}

/// Record and header counts inside a batch whose checksum is true.
#[test]
fn counts_inside_records_are_not_believed() {
    let mut attacked = Attacked::start(&[]);
    let mut connection = attacked.broker.connect();
    let mut builder = BatchBuilder::new();
    builder.append_plain(1_700_000_000_000, Some(b"k"), Some(b"v"));
    let batch = builder.build().unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    let i32_max = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let payloads: [(&str, Vec<u8>); 5] = [
        ("a record of 2 GiB", i32_max.to_vec()),
        ("a key of 2 GiB", [&[20, 0, 0, 0][..], &i32_max, &[0; 4]].concat()),
        ("a value of 2 GiB", [&[22, 0, 0, 0, 1][..], &i32_max, &[0; 4]].concat()),
        ("2^31 - 1 record headers", [&[22, 0, 0, 0, 1, 1][..], &i32_max].concat()),
        ("a varint that never ends", vec![0xff; 20]),
    ];
    for topic in ["plain", "compacted"] {
        for (case, payload) in &payloads {
            let code = produce(&mut connection, topic, sealed(header, payload));
            assert_ne!(code, 0, "{topic}, {case}");
            attacked.is_unharmed_by(case);
        }
    }
    let huge = BatchHeader { records_count: i32::MAX, last_offset_delta: i32::MAX - 1, ..header };
    assert_ne!(produce(&mut connection, "compacted", sealed(huge, &batch[HEADER_LEN..])), 0);
    attacked.is_unharmed_by("2^31 - 1 records");
}

fn produce(connection: &mut Connection, topic: &str, records: Bytes) -> i16 {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(TopicName(text(topic))).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic]);
    connection.ask(&request, 9).responses[0].partition_responses[0].error_code
}

#[test]
fn a_snappy_block_that_lies_about_its_size_is_refused() {
    let mut attacked = Attacked::start(&[]);
    let mut connection = attacked.broker.connect();
    let mut builder = BatchBuilder::new();
    builder.append_plain(1_700_000_000_000, Some(b"k"), Some(b"v"));
    let mut header = BatchHeader::parse(&builder.build().unwrap()).unwrap();
    header.attributes.0 = 2;
    let raw = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'x'];
    let framed = [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".as_slice(), &(raw.len() as u32).to_be_bytes(), &raw].concat();
    for payload in [raw.to_vec(), framed] {
        assert_ne!(produce(&mut connection, "compacted", sealed(header, &payload)), 0);
        attacked.is_unharmed_by("a snappy block of 4 GiB");
    }
}
