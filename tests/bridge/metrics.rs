//! `/metrics`: every number has words, a name that says its kind, and moves when it should.

use std::collections::BTreeMap;

use crate::{broker, http::Http};

/// Name and labels to number; and the page's `# TYPE` lines by name.
fn scrape(http: &mut Http) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let page = String::from_utf8(http.get("/metrics").body).unwrap();
    let (mut numbers, mut types, mut helps) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for line in page.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} has two types");
        } else if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(helps.insert(name.to_owned(), help.to_owned()).is_none(), "{name} has two helps");
        } else {
            let (name, number) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            let number = number.parse().unwrap_or_else(|_| panic!("{line:?}"));
            assert!(numbers.insert(name.to_owned(), number).is_none(), "{name} stands twice");
        }
    }
    assert!(helps.keys().eq(types.keys()), "{helps:?} {types:?}");
    (numbers, types)
}

#[test]
fn every_number_has_its_words_and_moves() {
    let broker = broker().start();
    let mut http = Http::open(&broker);
    let (before, _) = scrape(&mut http);
    for _ in 0..3 {
        assert_eq!(http.post("counted", &[], b"21.5").status, 201);
    }
    assert_eq!(http.get("/v1/streams/counted/partitions/0/records").status, 200);
    drop(broker.connect());
    // a frame that no broker answers
    let mut foreign = broker.connect();
    foreign.send(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    foreign.await_close().unwrap();
    let (mut after, mut types) = scrape(&mut http);
    // the peer sees the end of a connection a moment before it is counted
    let since = std::time::Instant::now();
    while !after.contains_key("tidemark_connections_closed_total{reason=\"http\"}") && since.elapsed().as_secs() < 10 {
        (after, types) = scrape(&mut http);
    }
    for (name, kind) in &types {
        assert!(name.starts_with("tidemark_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert_eq!(name.ends_with("_seconds"), kind == "histogram", "{name} is a {kind}");
    }
    let grown = |name: &str| after.get(name).unwrap_or(&0.0) - before.get(name).unwrap_or(&0.0);
    for name in [
        "tidemark_connections_accepted_total",
        "tidemark_connections_closed_total{reason=\"http\"}",
        "tidemark_http_acknowledged_seconds_sum",
        "tidemark_http_requests_total{method=\"GET\",status=\"200\"}",
        "tidemark_journal_syncs_total",
        "tidemark_log_bytes",
        "tidemark_partitions",
        "tidemark_request_bytes_total",
        "tidemark_request_seconds_count{api=\"Fetch\"}",
        "tidemark_request_seconds_sum{api=\"Produce\"}",
        "tidemark_response_bytes_total",
    ] {
        assert!(grown(name) > 0.0, "{name}: {after:#?}");
    }
    for (name, by) in [
        ("tidemark_http_acknowledged_seconds_count", 3.0),
        ("tidemark_http_bytes_written_total", 12.0),
        ("tidemark_http_records_read_total", 3.0),
        ("tidemark_http_records_written_total", 3.0),
        ("tidemark_http_requests_total{method=\"POST\",status=\"201\"}", 3.0),
        ("tidemark_requests_total{api=\"Produce\"}", 3.0),
    ] {
        assert!((grown(name) - by).abs() < 0.5, "{name} by {by}: {after:#?}");
    }
    assert!(after["tidemark_disk_usable_bytes"] > 0.0 && after["tidemark_connections"] > 0.0);
    assert!(after.keys().any(|name| name.starts_with("tidemark_build_info{version=")));
}
