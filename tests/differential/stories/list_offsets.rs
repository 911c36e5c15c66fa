//! ListOffsets: special timestamps, and records' own inside packed batches.

use kafka_protocol::messages::{
    BrokerId, ListOffsetsRequest,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
};
use tidemark_record::{BatchBuilder, Compression};

use super::producing::{T0, append, batch, create, packed};
use crate::peer::Peer;

/// Asks for one timestamp of partition 0.
pub fn request(peer: &Peer, topic: &str, timestamp: i64, current_leader_epoch: i32) -> ListOffsetsRequest {
    let partition =
        ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(current_leader_epoch);
    let topic = ListOffsetsTopic::default().with_name(peer.topic(topic)).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
}

pub fn tell(peer: &mut Peer) {
    create(peer, "listed", 1, &[]);
    create(peer, "listed-empty", 1, &[]);
    append(peer, "listed", packed(10, Compression::Zstd));
    append(peer, "listed", batch(3));
    let mut unordered = BatchBuilder::new().compression(Compression::Gzip, None);
    for second in [50, 30, 90, 90, 40] {
        unordered.append_plain(T0 + 1000 * second, None, Some(b"v"));
    }
    append(peer, "listed", unordered.build().expect("default level"));
    append(peer, "listed", batch(1));
    for version in 1..=10 {
        for special in [-1, -2, -3, -4, -5] {
            let first = [1, 1, 7, 8, 9][usize::try_from(-special - 1).expect("small")];
            if version >= first || version == 1 {
                let asked = request(peer, "listed", special, -1);
                peer.ask(&format!("ListOffsets v{version}, {special}"), &asked, version);
            }
        }
        let asked = request(peer, "listed", T0 + 4500, -1);
        peer.ask(&format!("ListOffsets v{version}, inside a packed batch"), &asked, version);
    }
    for (case, timestamp) in [
        ("0", 0),
        ("the first", T0),
        ("a record's own", T0 + 3000),
        ("between two", T0 + 3001),
        ("the last of the first batch", T0 + 9000),
        ("after it", T0 + 9001),
        ("inside an unordered batch", T0 + 35_000),
        ("twice there", T0 + 90_000),
        ("after the last", T0 + 90_001),
        ("i64::MAX", i64::MAX),
        ("-6", -6),
        ("-7", -7),
        ("i64::MIN", i64::MIN),
    ] {
        let asked = request(peer, "listed", timestamp, -1);
        peer.ask(&format!("ListOffsets, time {case}"), &asked, 9);
    }
    for special in [-1, -2, -3, -4, -5, 0] {
        let asked = request(peer, "listed-empty", special, -1);
        peer.ask(&format!("ListOffsets, empty, {special}"), &asked, 9);
        let unknown = request(peer, "nobody", special, -1);
        peer.ask(&format!("ListOffsets, unknown topic, {special}"), &unknown, 9);
    }
    for (case, epoch) in [("the current epoch", peer.epoch(0)), ("an epoch of the future", peer.epoch(1))] {
        let asked = request(peer, "listed", -1, epoch);
        peer.ask(&format!("ListOffsets, {case}"), &asked, 9);
    }
    let committed = request(peer, "listed", -1, -1).with_isolation_level(1);
    peer.ask("ListOffsets, read committed", &committed, 9);
    let mut twice = request(peer, "listed", -1, -1);
    twice.topics[0].partitions.push(ListOffsetsPartition::default().with_timestamp(-2).with_current_leader_epoch(-1));
    peer.ask("ListOffsets, one partition twice", &twice, 9);
    let mut other = request(peer, "listed", -1, -1);
    other.topics[0].partitions[0].partition_index = 9;
    peer.ask("ListOffsets, unknown partition", &other, 9);
}
