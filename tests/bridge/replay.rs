//! Reading: every form gives the same bytes, every place can be named, and waiting costs nobody else anything.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use harness::wait::PATIENCE;
use serde_json::Value;

use crate::{broker, client, http::Http};

const RECORDS: &str = "/v1/streams/t/partitions/0/records";

/// Values, one of each kind, and whether they were called JSON.
const VALUES: [(&[u8], bool); 5] =
    [(b"{ \"t\":21.50 }", true), (b"plain", false), (b"{]\n", false), (b"\x00\xff\xfe", false), (b"[1,\n2]", true)];

fn fill(http: &mut Http) {
    for (at, (value, json)) in VALUES.iter().enumerate() {
        let timestamp = (1_000 * (at + 1)).to_string();
        let content_type = if *json { "application/json" } else { "application/octet-stream" };
        let headers = [("Content-Type", content_type), ("Record-Timestamp", timestamp.as_str())];
        assert_eq!(http.post("t", &headers, value).status, 201);
    }
}

fn offsets(answer: &crate::http::Answer) -> Vec<i64> {
    let object = answer.json();
    object["records"].as_array().unwrap().iter().map(|record| record["offset"].as_i64().unwrap()).collect()
}

fn value_of(record: &Value) -> Vec<u8> {
    match record["value_encoding"].as_str().unwrap() {
        "text" => record["value"].as_str().unwrap().as_bytes().to_vec(),
        "base64" => STANDARD.decode(record["value"].as_str().unwrap()).unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn every_form_gives_every_byte() {
    let broker = broker().start();
    let mut http = Http::open(&broker);
    fill(&mut http);
    for format in ["text", "base64"] {
        let answer = http.get(&format!("{RECORDS}?format={format}"));
        let object = answer.json();
        let values: Vec<_> = object["records"].as_array().unwrap().iter().map(value_of).collect();
        assert_eq!(values, VALUES.map(|(value, _)| value), "{format}");
        assert_eq!(object["next_offset"], 5);
    }
    let embedded = String::from_utf8(http.get(RECORDS).body).unwrap();
    assert!(embedded.contains("\"value\":{ \"t\":21.50 },\"value_encoding\":\"json\""), "{embedded}");
    assert!(embedded.contains("\"value\":[1,\n2],\"value_encoding\":\"json\""), "{embedded}");
    let lines = http.get_with(RECORDS, &[("Accept", "application/x-ndjson")]);
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let lines = String::from_utf8(lines.body).unwrap();
    assert_eq!(lines.lines().count(), 5);
    assert!(lines.contains("\"value\":\"[1,\\n2]\",\"value_encoding\":\"text\""), "{lines}");
    for (at, (value, _)) in VALUES.iter().enumerate() {
        let raw = http.get_with(&format!("{RECORDS}?offset={at}"), &[("Accept", "application/octet-stream")]);
        assert_eq!((raw.status, raw.body.as_slice()), (200, *value));
        assert_eq!(raw.header("next-offset"), Some((at + 1).to_string().as_str()));
        // what came raw makes the same record again
        let own = raw.headers.iter().filter(|(name, _)| name.starts_with("record-") && name != "record-position");
        let own: Vec<_> = own.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(http.post("copy", &own, &raw.body).status, 201);
    }
    let records = |object: Value| object["records"].to_string();
    let copy = http.get("/v1/streams/copy/partitions/0/records").json();
    assert_eq!(records(copy), records(http.get(RECORDS).json()));
    assert_eq!(http.get_with(RECORDS, &[("Accept", "text/event-stream")]).problem(), "not-acceptable");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_can_be_named() {
    let broker = broker().start();
    let mut http = Http::open(&broker);
    fill(&mut http);
    let cases: [(&str, &[i64], &str); 10] = [
        ("", &[0, 1, 2, 3, 4], "5"),
        ("offset=earliest&limit=2", &[0, 1], "2"),
        ("offset=2&limit=2", &[2, 3], "4"),
        ("offset=3", &[3, 4], "5"),
        ("timestamp=2500", &[2, 3, 4], "5"),
        ("timestamp=1970-01-01T00:00:04Z", &[3, 4], "5"),
        ("tail=2", &[3, 4], "5"),
        ("tail=99", &[0, 1, 2, 3, 4], "5"),
        ("offset=1&max_bytes=1", &[1], "2"),
        ("isolation=read_committed&tail=1", &[4], "5"),
    ];
    for (query, expected, next) in cases {
        let answer = http.get(&format!("{RECORDS}?{query}"));
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        assert_eq!((offsets(&answer).as_slice(), answer.header("next-offset")), (expected, Some(next)), "{query}");
        let up_to_date = if next == "5" { "true" } else { "false" };
        assert_eq!(answer.header("up-to-date"), Some(up_to_date), "{query}");
        assert_eq!((answer.header("high-watermark"), answer.header("log-start-offset")), (Some("5"), Some("0")));
    }
    for query in ["offset=5", "offset=latest", "timestamp=9999", "tail=0"] {
        let answer = http.get(&format!("{RECORDS}?{query}"));
        assert_eq!((answer.status, answer.header("next-offset")), (204, Some("5")), "{query}: {answer:?}");
    }
    let beyond = http.get(&format!("{RECORDS}?offset=6"));
    assert_eq!((beyond.status, beyond.problem().as_str()), (416, "offset-beyond-tail"));
    assert_eq!(http.get("/v1/streams/t/partitions/1/records").problem(), "unknown-partition");
    assert_eq!(http.get("/v1/streams/absent/partitions/0/records").problem(), "unknown-topic");

    let deleted = client(&broker).await.admin().delete_records(&[("t", 0, 2)]).await;
    assert!(matches!(deleted[0].2, Ok(2)), "{deleted:?}");
    let gone = http.get(&format!("{RECORDS}?offset=1"));
    assert_eq!((gone.status, gone.problem().as_str()), (410, "offset-gone"));
    assert_eq!((gone.json()["earliest"].as_i64(), gone.header("log-start-offset")), (Some(2), Some("2")));
    assert_eq!(offsets(&http.get(RECORDS)), [2, 3, 4]);
    let place = http.get("/v1/streams/t/partitions/0?timestamp=4000").json();
    assert_eq!((place["earliest"].as_i64(), place["latest"].as_i64()), (Some(2), Some(5)));
    assert_eq!((place["at"]["offset"].as_i64(), place["at"]["record_timestamp"].as_i64()), (Some(3), Some(4000)));
}

#[test]
fn a_reader_waits_for_the_next_record() {
    let broker = broker().start();
    let mut http = Http::open(&broker);
    fill(&mut http);
    let started = Instant::now();
    let nothing = http.get(&format!("{RECORDS}?offset=5&max_wait=300"));
    assert_eq!(nothing.status, 204);
    assert!(started.elapsed() >= Duration::from_millis(290), "{:?}", started.elapsed());
    // many wait, more than a connection of the bridge to its broker could carry one after another
    let mut waiting: Vec<_> = (0..32).map(|_| Http::open(&broker)).collect();
    for reader in &mut waiting {
        reader.send("GET", &format!("{RECORDS}?offset=5"), &[("Prefer", "wait=60")], b"");
    }
    harness::eventually("readers wait", PATIENCE, || {
        let page = String::from_utf8(http.get("/metrics").body).unwrap();
        page.contains("\ntidemark_http_readers_waiting 32\n").then_some(())
    });
    let started = Instant::now();
    assert_eq!(http.post("t", &[], b"late").status, 201);
    for reader in &mut waiting {
        let answer = reader.receive();
        assert_eq!((answer.status, offsets(&answer)), (200, vec![5]));
        assert_eq!(answer.header("preference-applied"), Some("wait=60"));
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
