//! DeleteRecords, and what reads say afterwards.

use kafka_protocol::messages::{
    DeleteRecordsRequest,
    delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
};

use super::{
    fetch, list_offsets,
    producing::{T0, append, batch, create},
};
use crate::peer::Peer;

fn request(peer: &Peer, topic: &str, partition: i32, offset: i64) -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(peer.topic(topic)).with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_timeout_ms(10_000).with_topics(vec![topic])
}

pub fn tell(peer: &mut Peer) {
    create(peer, "purged", 1, &[]);
    create(peer, "purged-compact", 1, &[("cleanup.policy", "compact")]);
    create(peer, "purged-both", 1, &[("cleanup.policy", "compact,delete")]);
    for topic in ["purged", "purged-compact", "purged-both"] {
        append(peer, topic, batch(5));
        append(peer, topic, batch(5));
    }
    for (case, topic, partition, offset) in [
        ("beyond the end", "purged", 0, 11),
        ("-2", "purged", 0, -2),
        ("0", "purged", 0, 0),
        ("unknown partition", "purged", 9, 1),
        ("unknown topic", "nobody", 0, 1),
        ("compacted", "purged-compact", 0, 1),
        ("compacted and deleted", "purged-both", 0, 1),
    ] {
        let asked = request(peer, topic, partition, offset);
        peer.ask(&format!("DeleteRecords, {case}"), &asked, 2);
    }
    for version in 0..=2 {
        let asked = request(peer, "purged", 0, 3 + i64::from(version));
        peer.ask(&format!("DeleteRecords v{version}"), &asked, version);
    }
    let mut twice = request(peer, "purged", 0, 5);
    twice.topics[0].partitions.insert(0, DeleteRecordsPartition::default().with_offset(7));
    peer.ask("DeleteRecords, one partition twice", &twice, 2);
    let back = request(peer, "purged", 0, 2);
    peer.ask("DeleteRecords, back", &back, 2);
    for (case, offset) in [("below the start", 3), ("at the start", 5), ("from 0", 0)] {
        let asked = fetch::request(peer, "purged", vec![fetch::partition(0, offset)]);
        peer.ask(&format!("Fetch after DeleteRecords, {case}"), &asked, 11);
    }
    for time in [-2, -1, -4, T0] {
        let asked = list_offsets::request(peer, "purged", time, -1);
        peer.ask(&format!("ListOffsets after DeleteRecords, {time}"), &asked, 9);
    }
    let all = request(peer, "purged", 0, -1);
    peer.ask("DeleteRecords, -1", &all, 2);
    let asked = fetch::request(peer, "purged", vec![fetch::partition(0, 10)]);
    peer.ask("Fetch after DeleteRecords, all gone", &asked, 11);
    for time in [-2, -1, -3, T0] {
        let asked = list_offsets::request(peer, "purged", time, -1);
        peer.ask(&format!("ListOffsets after all are gone, {time}"), &asked, 9);
    }
    append(peer, "purged", batch(1));
    let asked = fetch::request(peer, "purged", vec![fetch::partition(0, 10)]);
    peer.ask("Fetch after DeleteRecords, a new record", &asked, 11);
}
