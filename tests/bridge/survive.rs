//! The process as a whole: stopped, killed, watched and fed with what is too large.

use harness::wait::PATIENCE;

use crate::{broker, http::Http};

const REFUSED: &str = "tidemark_http_requests_total{method=\"POST\",status=\"503\"}";
const RECORDS: &str = "/v1/streams/t/partitions/0/records";

#[test]
fn a_waiting_reader_is_answered_when_the_broker_stops() {
    let mut broker = broker().start();
    let mut http = Http::open(&broker);
    assert_eq!(http.post("t", &[], b"x").status, 201);
    let mut reader = Http::open(&broker);
    reader.send("GET", &format!("{RECORDS}?offset=1&max_wait=60000"), &[], b"");
    harness::eventually("a reader waits", PATIENCE, || {
        let page = String::from_utf8(http.get("/metrics").body).unwrap();
        page.contains("\ntidemark_http_readers_waiting 1\n").then_some(())
    });
    let ended = broker.terminate();
    assert!(ended.success(), "{ended}: {}", broker.printed());
    let answer = reader.receive();
    assert_eq!((answer.status, answer.header("next-offset")), (204, Some("1")));
}

#[test]
fn what_was_answered_survives_a_kill() {
    let mut broker = broker().start();
    let mut http = Http::open(&broker);
    for at in 0..50 {
        assert_eq!(http.post("t", &[], format!("value {at}").as_bytes()).json()["offset"], at);
    }
    broker.kill();
    let broker = broker.restart();
    let answer = Http::open(&broker).get(RECORDS);
    let object = answer.json();
    let values: Vec<_> = object["records"].as_array().unwrap().iter().map(|record| record["value"].clone()).collect();
    assert_eq!(values, (0..50).map(|at| format!("value {at}")).collect::<Vec<_>>());
}

#[test]
fn the_page_shows_broker_and_bridge() {
    let broker = broker().start();
    let mut http = Http::open(&broker);
    assert_eq!(http.post("t", &[], b"x").status, 201);
    assert_eq!((http.get("/healthy").status, http.get("/ready").status), (200, 200));
    let page = String::from_utf8(http.get("/metrics").body).unwrap();
    assert!(page.contains("\ntidemark_partitions "), "{page}");
    assert!(page.contains("\ntidemark_http_records_written_total 1\n"), "{page}");
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    for line in samples {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        assert!(name.starts_with("tidemark_") && value.parse::<f64>().is_ok(), "{line:?}");
    }
}

#[test]
fn too_much_is_refused_without_being_held() {
    let broker = broker().start();
    let mut bystander = Http::open(&broker);
    assert_eq!(bystander.get("/healthy").status, 200);
    let before = broker.resident_bytes();
    let bomb = tidemark_client::Compression::Gzip.compress(&vec![0; 256 << 20], None).unwrap();
    for _ in 0..8 {
        let mut http = Http::open(&broker);
        assert_eq!(http.post("t", &[("Content-Encoding", "gzip")], &bomb).problem(), "too-large");
        let mut http = Http::open(&broker);
        assert_eq!(http.post("t", &[], &vec![0; 32 << 20]).problem(), "too-large");
        let mut http = Http::open(&broker);
        assert_eq!(http.get_with("/", &[("A", &"x".repeat(64 << 10))]).problem(), "headers-too-large");
    }
    // bodies that come nearly whole and then stop
    let mut stuck: Vec<_> = (0..100).map(|_| Http::open(&broker)).collect();
    for http in &mut stuck {
        http.send_part("/v1/streams/t/records", 1 << 20, &vec![0; (1 << 20) - 1]);
    }
    harness::eventually("what has no room is refused", PATIENCE, || {
        let page = String::from_utf8(bystander.get("/metrics").body).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(REFUSED)).unwrap_or("0");
        (line.trim().parse::<usize>().unwrap() >= 60).then_some(())
    });
    let grown = broker.resident_bytes_peak().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
    assert_eq!(bystander.get("/healthy").status, 200);
    assert_eq!(bystander.post("t", &[], b"x").status, 201);
}

#[test]
fn answers_that_nobody_takes_are_bounded_together() {
    let broker = broker().start();
    let mut bystander = Http::open(&broker);
    for _ in 0..5 {
        assert_eq!(bystander.post("t", &[], &vec![b'x'; 900_000]).status, 201);
    }
    assert_eq!(bystander.post("small", &[], b"x").status, 201);
    let before = broker.resident_bytes();
    let mut deaf: Vec<_> = (0..64).map(|_| Http::open(&broker)).collect();
    // more than the sockets' own buffers take, or an answer that nobody reads would be gone from the broker all the same
    for http in &mut deaf {
        for _ in 0..4 {
            http.send("GET", &format!("{RECORDS}?max_bytes=4194304"), &[], b"");
        }
    }
    // those without room are refused; small readers pass
    harness::eventually("what has no room is refused", PATIENCE, || {
        let page = String::from_utf8(bystander.get("/metrics").body).unwrap();
        page.contains("{method=\"GET\",status=\"503\"}").then_some(())
    });
    let answer = bystander.get("/v1/streams/small/partitions/0/records?max_bytes=1000");
    assert_eq!((answer.status, answer.header("next-offset")), (200, Some("1")));
    let grown = broker.resident_bytes_peak().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
}
