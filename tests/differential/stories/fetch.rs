//! Fetch without sessions, and OffsetForLeaderEpoch.

use kafka_protocol::messages::{
    BrokerId, FetchRequest, OffsetForLeaderEpochRequest,
    fetch_request::{FetchPartition, FetchTopic},
    offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
};
use tidemark_record::Compression;
use uuid::Uuid;

use super::producing::{append, batch, create, packed, text, to_partition};
use crate::peer::Peer;

/// A partition to read from an offset.
pub fn partition(index: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(index)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_log_start_offset(-1)
}

/// A request for partitions of one topic, by name (below version 13), that does not wait.
pub fn request(peer: &Peer, topic: &str, partitions: Vec<FetchPartition>) -> FetchRequest {
    let topic = FetchTopic::default().with_topic(peer.topic(topic)).with_partitions(partitions);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(1 << 24)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn by_id(peer: &Peer, id: Uuid, partitions: Vec<FetchPartition>) -> FetchRequest {
    let mut request = request(peer, "read", partitions);
    request.topics[0].topic = text("").into();
    request.topics[0].topic_id = id;
    request
}

pub fn tell(peer: &mut Peer) {
    let id = create(peer, "read", 2, &[]);
    append(peer, "read", batch(3));
    append(peer, "read", packed(5, Compression::Lz4));
    append(peer, "read", batch(2));
    for version in 4..=18 {
        let mut wanted = partition(0, 0);
        if version < 5 {
            wanted.log_start_offset = -1;
        }
        let mut request =
            if version < 13 { request(peer, "read", vec![wanted]) } else { by_id(peer, id, vec![wanted]) };
        if version >= 15 {
            // the field moved into a tagged section
            request.replica_id = BrokerId(-1);
        }
        peer.ask(&format!("Fetch v{version}"), &request, version);
    }
    offsets(peer);
    limits(peer);
    epochs(peer);
    targets(peer, id);
    leader_epochs(peer);
}

fn offsets(peer: &mut Peer) {
    for (case, offset) in [
        ("inside a batch", 1),
        ("inside a packed batch", 5),
        ("at the last record", 9),
        ("at the end", 10),
        ("past the end", 11),
        ("far past the end", i64::MAX),
        ("negative", -1),
        ("i64::MIN", i64::MIN),
    ] {
        for version in [4, 11] {
            let request = request(peer, "read", vec![partition(0, offset)]);
            peer.ask(&format!("Fetch v{version}, {case}"), &request, version);
        }
    }
    let committed = request(peer, "read", vec![partition(0, 0)]).with_isolation_level(1);
    peer.ask("Fetch, read committed", &committed, 11);
    let odd = request(peer, "read", vec![partition(0, 0)]).with_isolation_level(9);
    peer.ask("Fetch, an unknown isolation level", &odd, 11);
    let waits = request(peer, "read", vec![partition(0, 10)]).with_max_wait_ms(50).with_min_bytes(1);
    peer.ask("Fetch, waits at the end", &waits, 11);
    let empty = request(peer, "read", vec![partition(1, 0)]);
    peer.ask("Fetch, an empty partition", &empty, 11);
    let negative = request(peer, "read", vec![partition(0, 0)]).with_max_wait_ms(-1).with_min_bytes(-1);
    peer.ask("Fetch, negative wait and minimum", &negative, 11);
}

fn limits(peer: &mut Peer) {
    let on_other = to_partition(peer, "read", 1, Some(batch(4)));
    peer.prepare(&on_other, 9);
    for (case, request_max, partition_max) in [
        ("max bytes 0", 0, 1 << 20),
        ("max bytes 1", 1, 1 << 20),
        ("max bytes -1", -1, 1 << 20),
        ("max bytes 2^31 - 1", i32::MAX, i32::MAX),
        ("partition max bytes 0", 1 << 20, 0),
        ("partition max bytes 1", 1 << 20, 1),
        ("partition max bytes -1", 1 << 20, -1),
        ("room for one batch", 150, 1 << 20),
        ("room for one batch and a bit", 1 << 20, 200),
    ] {
        let mut wanted = [partition(0, 0), partition(1, 0)];
        for partition in &mut wanted {
            partition.partition_max_bytes = partition_max;
        }
        let request = request(peer, "read", wanted.to_vec()).with_max_bytes(request_max);
        peer.ask(&format!("Fetch, {case}"), &request, 11);
    }
}

fn epochs(peer: &mut Peer) {
    for (case, by) in [("the current epoch", 0), ("an epoch of the future", 1)] {
        let wanted = partition(0, 0).with_current_leader_epoch(peer.epoch(by));
        let request = request(peer, "read", vec![wanted]);
        peer.ask(&format!("Fetch, {case}"), &request, 11);
    }
    let known = partition(0, 10).with_last_fetched_epoch(peer.epoch(0));
    let request_known = request(peer, "read", vec![known]);
    peer.ask("Fetch v12, last fetched epoch is known", &request_known, 12);
    let unknown = partition(0, 10).with_last_fetched_epoch(peer.epoch(5));
    let request_unknown = request(peer, "read", vec![unknown]);
    peer.ask("Fetch v12, last fetched epoch is of the future", &request_unknown, 12);
}

fn targets(peer: &mut Peer, id: Uuid) {
    for (case, topic, index) in
        [("unknown topic", "nobody", 0), ("unknown partition", "read", 9), ("negative partition", "read", -1)]
    {
        for version in [4, 11] {
            let request = request(peer, topic, vec![partition(index, 0)]);
            peer.ask(&format!("Fetch v{version}, {case}"), &request, version);
        }
    }
    for version in [13, 17] {
        let request = by_id(peer, Uuid::from_u128(7), vec![partition(0, 0)]);
        peer.ask(&format!("Fetch v{version}, unknown id"), &request, version);
    }
    let request_nil = by_id(peer, Uuid::nil(), vec![partition(0, 0)]);
    peer.ask("Fetch v13, no id", &request_nil, 13);
    let mut mixed = by_id(peer, id, vec![partition(0, 9), partition(1, 9), partition(7, 0)]);
    mixed.max_wait_ms = 5000;
    mixed.min_bytes = 1 << 20;
    peer.ask("Fetch v13, errors answer at once", &mixed, 13);
    let mut none = request(peer, "read", vec![]);
    none.topics.clear();
    peer.ask("Fetch, no topics", &none, 11);
    let twice = vec![partition(0, 3), partition(1, 0), partition(0, 0)];
    peer.ask("Fetch, one partition twice", &request(peer, "read", twice.clone()), 11);
    peer.ask("Fetch v13, one partition twice", &by_id(peer, id, twice), 13);
}

fn leader_epochs(peer: &mut Peer) {
    let ask = |peer: &Peer, topic: &str, index: i32, current: i32, asked: i32| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(index)
            .with_current_leader_epoch(current)
            .with_leader_epoch(asked);
        let topic = OffsetForLeaderTopic::default().with_topic(peer.topic(topic)).with_partitions(vec![partition]);
        OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
    };
    for version in 2..=4 {
        let request = ask(peer, "read", 0, -1, peer.epoch(0));
        peer.ask(&format!("OffsetForLeaderEpoch v{version}"), &request, version);
    }
    let (now, future) = (peer.epoch(0), peer.epoch(1));
    for (case, topic, index, current, asked) in [
        ("of the future", "read", 0, -1, future),
        ("far in the future", "read", 0, -1, i32::MAX),
        ("-1", "read", 0, -1, -1),
        ("-2", "read", 0, -1, -2),
        ("current epoch given", "read", 0, now, now),
        ("current epoch of the future", "read", 0, future, now),
        ("unknown partition", "read", 9, -1, now),
        ("unknown topic", "nobody", 0, -1, now),
        ("empty partition", "empty", 0, -1, now),
    ] {
        if topic == "empty" {
            create(peer, "empty", 1, &[]);
        }
        let request = ask(peer, topic, index, current, asked);
        peer.ask(&format!("OffsetForLeaderEpoch, {case}"), &request, 4);
    }
}
