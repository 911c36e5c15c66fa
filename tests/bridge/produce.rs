//! Writing: what is stored is what was sent, and what the broker refuses has a status of its own.

use serde_json::json;
use tidemark_client::{Header, Reader, ReaderConfig, Start, admin::NewTopic};

use crate::{broker, client, http::Http};

/// Topic and query, headers, bytes of the value; status, problem.
type Case = (&'static str, &'static [(&'static str, &'static str)], usize, u16, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_client_reads_what_was_posted() {
    let broker = broker().start();
    let mut http = Http::open(&broker);
    let bytes: Vec<u8> = (0..=255).collect();
    let headers = [
        ("Content-Type", "application/octet-stream"),
        ("Record-Key", "roof%00%FF"),
        ("Record-Timestamp", "2026-11-23T10:00:00Z"),
        ("Record-Header-trace", "a b"),
        ("Record-Header-trace", "%e2%82%ac"),
    ];
    let answer = http.post("made", &headers, &bytes);
    assert_eq!(answer.status, 201, "{answer:?}");
    let expected = json!({"topic": "made", "partition": 0, "offset": 0, "timestamp": 1_795_428_000_000_i64});
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("record-position"), Some("0:0"));
    let minimal =
        http.post("made", &[("Prefer", "return=minimal"), ("Record-Tombstone", "true"), ("Record-Key", "k")], b"");
    assert_eq!((minimal.status, minimal.header("record-position")), (204, Some("0:1")));
    assert_eq!(http.post("made", &[], b"").json()["offset"], 2);

    let client = client(&broker).await;
    let mut reader = Reader::open(client, "made", 0, Start::Earliest, ReaderConfig::default()).await.unwrap();
    let mut records = Vec::new();
    while records.len() < 3 {
        records.extend(reader.fetch(harness::wait::PATIENCE).await.unwrap().into_records().unwrap());
    }
    assert_eq!(records[0].key.as_deref(), Some(b"roof\0\xff".as_slice()));
    assert_eq!(records[0].value.as_deref(), Some(bytes.as_slice()));
    assert_eq!(records[0].timestamp_ms, 1_795_428_000_000);
    let expected = [
        Header::new("content-type", "application/octet-stream"),
        Header::new("trace", "a b"),
        Header::new("trace", "€"),
    ];
    assert_eq!(records[0].headers, expected);
    assert_eq!((records[1].key.as_deref(), &records[1].value), (Some(b"k".as_slice()), &None));
    assert_eq!((&records[2].key, records[2].value.as_deref()), (&None, Some(b"".as_slice())));
    // the record's Location leads to it
    let location = answer.header("location").unwrap().to_owned();
    let found = http.get_with(&location, &[("Accept", "application/octet-stream")]);
    assert_eq!(found.body, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_says_why() {
    let broker = broker().set("auto.create.topics.enable", "false").start();
    let admin = client(&broker).await.admin();
    let topics = [
        NewTopic::new("plain").partitions(2),
        NewTopic::new("compact").config("cleanup.policy", "compact"),
        NewTopic::new("small").config("max.message.bytes", "1000"),
    ];
    for (name, created) in admin.create_topics(&topics, false).await.unwrap() {
        created.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let mut http = Http::open(&broker);
    let cases: [Case; 6] = [
        ("absent", &[], 1, 404, "unknown-topic"),
        ("compact", &[], 1, 422, "record-refused"),
        ("small", &[], 2000, 413, "too-large"),
        ("plain", &[("Record-Timestamp", "2999-01-01T00:00:00Z")], 1, 422, "record-refused"),
        ("plain?partition=7", &[], 1, 404, "unknown-partition"),
        ("plain?partition=-1", &[], 1, 400, "invalid-parameter"),
    ];
    for (topic, headers, bytes, status, problem) in cases {
        let (topic, query) = topic.split_once('?').unwrap_or((topic, ""));
        http.send("POST", &format!("/v1/streams/{topic}/records?{query}"), headers, &vec![b'x'; bytes]);
        let answer = http.receive();
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{topic}: {answer:?}");
        assert_eq!(answer.json()["retryable"], false);
    }
    http.send("POST", "/v1/streams/plain/records?partition=1", &[("Record-Key", "k")], b"x");
    assert_eq!(http.receive().header("record-position"), Some("1:0"));
    assert_eq!(http.post("compact", &[("Record-Key", "k")], b"x").status, 201);
    let streams = http.get("/v1/streams").json();
    assert_eq!(streams["streams"].as_array().unwrap().len(), 3, "{streams}");
    assert_eq!(http.get("/v1/streams/plain").json()["partitions"][1]["leader"], 1);
}

#[test]
fn compressed_bodies_are_stored_inflated() {
    let broker = broker().start();
    let mut http = Http::open(&broker);
    let text = b"reading ".repeat(5_000);
    for (at, codec) in [tidemark_client::Compression::Gzip, tidemark_client::Compression::Zstd].into_iter().enumerate()
    {
        let body = codec.compress(&text, None).unwrap();
        assert_eq!(http.post("t", &[("Content-Encoding", codec.name())], &body).json()["offset"], at);
        let path = format!("/v1/streams/t/partitions/0/records?offset={at}");
        assert_eq!(http.get_with(&path, &[("Accept", "application/octet-stream")]).body, text);
    }
}
