//! A journal that rots: a broker that does not know any more what it promised takes part again under other names.

use std::path::Path;

use harness::{eventually, wait::PATIENCE};

use crate::brokers::{Place, Three};

/// Spoils the header of a record in the middle of the journal's first file: nobody can tell whose it was.
fn spoil(data: &Path) {
    let path = data.join("journal/00000000000000000001.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let (mut at, mut places) = (64, Vec::new());
    while bytes[at..at + 2] == 0x544a_u16.to_le_bytes() {
        places.push(at);
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        at += (72 + len).next_multiple_of(8);
    }
    assert!(places.len() > 20, "{} records", places.len());
    bytes[places[places.len() * 3 / 4] + 20] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

/// Its own name among the replicas of the metadata.
fn incarnation(data: &Path) -> String {
    let text = std::fs::read_to_string(data.join("meta.properties")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("tidemark.incarnation=")).unwrap().to_owned()
}

#[test]
fn a_broker_with_a_rotten_journal_is_filled_anew_and_counts_again() {
    let mut three = Three::start();
    three.run(&["topic", "create", "t", "--replication-factor", "3"]).fine();
    (0..10).for_each(|round| three.write(1, "t", round * 10..round * 10 + 10));
    let leader = three.partitions("t")[0]["leader"].as_u64().unwrap() as usize;
    let (lost, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let place = Place::of(three.data(lost).join("t-0"));
    three.kill(lost);
    spoil(&three.data(lost));
    assert_eq!(incarnation(&three.data(lost)), "0");
    three.start_again(&[lost]);
    assert_ne!(incarnation(&three.data(lost)), "0", "its metadata is another replica's");
    place.await_refilled(&three, "t");
    let names = std::fs::read_dir(three.data(lost)).unwrap().map(|entry| entry.unwrap().file_name());
    let strays: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with("-stray")).collect();
    assert!(strays.len() == 1 && strays[0].to_string_lossy().starts_with("__cluster_metadata-0."), "{strays:?}");

    three.kill(other);
    three.write(lost, "t", 100..150);
    assert_eq!(three.read(lost, "t"), (0..150).collect::<Vec<_>>());
    eventually("its vote on the metadata counts", PATIENCE, || {
        (three.run(&["topic", "create", "u", "--replication-factor", "2"]).code == Some(0)).then_some(())
    });
}
