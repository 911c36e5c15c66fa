//! kill -9 at any moment, SIGTERM, restarts: what was acknowledged is there, in order, once.

use std::time::Duration;

use tidemark_record::BatchBuilder;

use crate::{
    broker,
    client::{Record, clients},
    requests::{self, EARLIEST, LATEST},
};

/// Far below what either client queues.
const IN_FLIGHT_MAX: usize = 10_000;

fn numbered(number: usize) -> Record {
    Record::of(&number.to_string(), 1_700_000_000_000 + number as i64)
}

/// What `.ci/long` sets, to go through more endings than a plain run has time for.
fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The first of some numbers that the seed decides (splitmix64); the state moves on.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

/// librdkafka is the first of the clients, our own the second. The seed decides when the broker ends, and how.
fn ended_while_writing(client: usize) {
    let (seed, endings) = (number_from("CRASH_SEED", 1), number_from("CRASH_ENDINGS", 4));
    println!("CRASH_SEED={seed} CRASH_ENDINGS={endings}");
    let mut random = seed;
    let mut broker = broker().start();
    let client = &clients(broker.kafka())[client];
    requests::create(&mut broker.connect(), "kills", 1, &[("segment.bytes", "1048576")]);
    let mut stream = client.stream("kills");
    let mut sent = 0;
    for ending in 0..endings {
        let enough = stream.settled() + 1 + (draw(&mut random) % 400) as usize;
        let at_once = 1 + draw(&mut random) % 100;
        // in the middle of the stream: some acknowledged, more on their way
        harness::eventually("some are acknowledged", Duration::from_secs(60), || {
            // a stalled broker must not fill the producer's queue
            if sent < stream.settled() + IN_FLIGHT_MAX {
                for _ in 0..at_once {
                    stream.send(sent, &numbered(sent));
                    sent += 1;
                }
            }
            (stream.settled() > enough).then_some(())
        });
        if ending % 4 == 3 {
            broker.terminate();
        }
        broker = broker.restart_in_place();
    }
    let outcomes = stream.finish();
    assert_eq!(outcomes.len(), sent);
    let found = client.read("kills", 0, sent);
    for (number, outcome) in outcomes {
        let offset = outcome.unwrap_or_else(|error| panic!("record {number}: {error}"));
        assert!(offset.is_none_or(|offset| offset == number as i64), "record {number} was acknowledged at {offset:?}");
        assert_eq!(found[number].1.value, numbered(number).value, "at offset {number}");
        assert_eq!(found[number].0, number as i64);
    }
    assert_eq!(requests::lookup(&mut broker.connect(), "kills", LATEST).0, sent as i64, "something is there twice");
}

/// An idempotent producer goes on through kills on the same port; nothing it was told is stored may be missing, nothing
/// may be there twice, and nothing out of order.
#[test]
fn acknowledged_records_survive_kills_in_order_and_once() {
    ended_while_writing(0);
}

#[test]
fn acknowledged_records_of_our_own_client_survive_kills_in_order_and_once() {
    ended_while_writing(1);
}

/// The same without retries, by hand: after the kill, exactly the acknowledged ones, or with whole batches behind them.
#[test]
fn what_acks_promise_holds_for_each_kind() {
    for (acks, topic) in [(1, "acks-1"), (-1, "acks-all")] {
        let mut broker = broker().start();
        let mut connection = broker.connect();
        requests::create(&mut connection, topic, 1, &[]);
        for n in 0..50_i64 {
            let mut builder = BatchBuilder::new();
            builder.append_plain(n, None, Some(format!("{n}-a").as_bytes()));
            builder.append_plain(n, None, Some(format!("{n}-b").as_bytes()));
            let stored = requests::produce(&mut connection, topic, acks, builder.build().unwrap());
            assert_eq!((stored.error_code, stored.base_offset), (0, 2 * n));
        }
        broker.kill();
        let broker = broker.restart();
        let mut connection = broker.connect();
        assert_eq!(requests::lookup(&mut connection, topic, LATEST).0, 100, "{topic}");
        let found = requests::values(&requests::fetch(&mut connection, topic, 0).records.unwrap());
        let expected = (0..50).flat_map(|n| [(2 * n, format!("{n}-a")), (2 * n + 1, format!("{n}-b"))]);
        assert!(found.into_iter().eq(expected), "{topic}");
    }
}

#[test]
fn a_clean_stop_keeps_everything_and_ends_with_status_0() {
    let mut broker = broker().start();
    let mut connection = broker.connect();
    requests::create(&mut connection, "stops", 3, &[("retention.ms", "-1")]);
    for round in 0..3_i64 {
        let mut connection = broker.connect();
        let mut builder = BatchBuilder::new();
        builder.append_plain(1, Some(b"k"), Some(format!("round {round}").as_bytes()));
        assert_eq!(requests::produce(&mut connection, "stops", -1, builder.build().unwrap()).base_offset, round);
        let status = broker.terminate();
        assert!(status.success(), "{status}: {}", broker.printed());
        broker = broker.restart();
    }
    let mut connection = broker.connect();
    assert_eq!(requests::lookup(&mut connection, "stops", EARLIEST).0, 0);
    let found = requests::values(&requests::fetch(&mut connection, "stops", 0).records.unwrap());
    assert_eq!(found, [(0, "round 0".to_owned()), (1, "round 1".to_owned()), (2, "round 2".to_owned())]);
}

#[test]
fn a_directory_in_use_is_refused_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let first = broker().data(&data).start();
    let said = broker().data(&data).try_start().expect_err("a second broker over the same data");
    assert!(said.contains("in use"), "{said}");
    assert!(said.contains(&*data.to_string_lossy()), "the message names the directory: {said}");
    requests::create(&mut first.connect(), "still-here", 1, &[]);
}
