//! InitProducerId, sequence rules, DescribeProducers.

use bytes::Bytes;
use kafka_protocol::messages::{
    DescribeProducersRequest, InitProducerIdRequest, ProducerId, TransactionalId,
    describe_producers_request::TopicRequest,
};
use tidemark_record::BatchBuilder;

use super::producing::{append, batch, create, filled, text, to_partition, with_header};
use crate::peer::{PATIENCE, Peer};

const NOT_ENOUGH_REPLICAS: i16 = 19;

fn sequenced(id: i64, epoch: i16, sequence: i32, records: i64) -> Bytes {
    filled(BatchBuilder::new().producer(id, epoch, sequence), records).build().expect("plain")
}

pub fn tell(peer: &mut Peer) {
    let mut id = 0;
    for version in 0..=5 {
        let request = InitProducerIdRequest::default().with_transaction_timeout_ms(60_000);
        if let Some(response) = peer.ask(&format!("InitProducerId v{version}"), &request, version) {
            id = response.producer_id.0;
        }
    }
    let cases: &[(&str, i64, i16)] =
        &[("an id without an epoch", id, -1), ("an epoch without an id", -1, 0), ("an id and its epoch", id, 0)];
    for (case, id, epoch) in cases {
        let request = InitProducerIdRequest::default()
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(*id))
            .with_producer_epoch(*epoch);
        peer.ask(&format!("InitProducerId, {case}"), &request, 4);
    }
    let empty = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(""))))
        .with_transaction_timeout_ms(60_000);
    peer.ask("InitProducerId, an empty transactional id", &empty, 4);
    sequences(peer, id);
    edges(peer, id);
    transactional(peer);
    describe(peer);
}

fn sequences(peer: &mut Peer, id: i64) {
    create(peer, "sequenced", 2, &[]);
    let steps: &[(&str, i16, i32, i64)] = &[
        ("first 0", 0, 0, 2),
        ("next 2", 0, 2, 2),
        ("2 again, a duplicate", 0, 2, 2),
        ("0 again, a duplicate of an older batch", 0, 0, 2),
        ("a gap", 0, 9, 1),
        ("an overlap", 0, 3, 3),
        ("next 4", 0, 4, 1),
        ("next 5", 0, 5, 1),
        ("next 6", 0, 6, 1),
        ("next 7", 0, 7, 1),
        ("next 8", 0, 8, 1),
        ("0 again, forgotten", 0, 0, 2),
        ("4 again, still known", 0, 4, 1),
        ("a new epoch that starts at 3", 1, 3, 1),
        ("a new epoch that starts at 0", 1, 0, 1),
        ("the old epoch", 0, 9, 1),
        ("the new epoch goes on", 1, 1, 1),
        ("a negative epoch", -1, 2, 1),
        ("a negative sequence", 1, -1, 1),
    ];
    for (case, epoch, sequence, records) in steps {
        let request = to_partition(peer, "sequenced", 0, Some(sequenced(id, *epoch, *sequence, *records)));
        peer.ask(&format!("Produce, sequence: {case}"), &request, 9);
    }
}

fn edges(peer: &mut Peer, id: i64) {
    let steps: &[(&str, i64, i16, i32, i64)] = &[
        ("an unknown producer starts at 7", 990_001, 0, 7, 1),
        ("it goes on", 990_001, 0, 8, 1),
        ("wrapping, before", 990_002, 0, i32::MAX - 1, 1),
        ("wrapping, over the edge", 990_002, 0, i32::MAX, 3),
        ("wrapping, after", 990_002, 0, 2, 1),
        ("wrapping, a duplicate over the edge", 990_002, 0, i32::MAX, 3),
        ("the same producer in another partition", id, 1, 0, 1),
    ];
    for (case, id, epoch, sequence, records) in steps {
        let request = to_partition(peer, "sequenced", 1, Some(sequenced(*id, *epoch, *sequence, *records)));
        peer.ask(&format!("Produce, {case}"), &request, 9);
    }
}

/// Batches of transactions that were never begun.
fn transactional(peer: &mut Peer) {
    create(peer, "transacted", 1, &[]);
    let of = |id: i64| filled(BatchBuilder::new().producer(id, 0, 0).transactional(), 1).build().expect("plain");
    let request = to_partition(peer, "transacted", 0, Some(of(990_003)));
    peer.ask("Produce, a transactional batch without a transactional id", &request, 9);
    peer.await_coordinator("t");
    // and until it has loaded, producers are told to come again
    let first =
        to_partition(peer, "transacted", 0, Some(of(990_003))).with_transactional_id(Some(TransactionalId(text("t"))));
    harness::eventually("the coordinator knows its transactions", PATIENCE, || {
        let answer = peer.prepare(&first, 9);
        (answer.responses[0].partition_responses[0].error_code != NOT_ENOUGH_REPLICAS).then_some(())
    });
    let nobodys = with_header(&batch(1), 21, &0x10_i16.to_be_bytes());
    let control = with_header(&of(990_004), 21, &0x30_i16.to_be_bytes());
    let sequence = with_header(&of(990_005), 53, &(-1_i32).to_be_bytes());
    let mut damaged = of(990_006).to_vec();
    damaged[17] ^= 0xff;
    let cases: [(&str, &str, i32, Bytes); 7] = [
        ("of an unknown producer", "t", 0, of(990_003)),
        ("with the control flag", "t", 0, control),
        ("with a negative sequence", "t", 0, sequence),
        ("with a bad checksum", "t", 0, damaged.into()),
        ("to an unknown partition", "t", 9, of(990_007)),
        ("under an empty id", "", 0, of(990_008)),
        ("without a producer id", "t", 0, nobodys),
    ];
    for (case, transactional_id, partition, records) in cases {
        for version in [3, 9, 12] {
            let request = to_partition(peer, "transacted", partition, Some(records.clone()))
                .with_transactional_id(Some(TransactionalId(text(transactional_id))));
            peer.ask(&format!("Produce v{version}, a transactional batch {case}"), &request, version);
        }
    }
}

fn describe(peer: &mut Peer) {
    create(peer, "unsequenced", 1, &[]);
    append(peer, "unsequenced", filled(BatchBuilder::new(), 1).build().expect("plain"));
    for (case, name, partitions) in [
        ("two partitions", "sequenced", vec![0, 1]),
        ("no producers", "unsequenced", vec![0]),
        ("unknown partition", "sequenced", vec![9]),
        ("unknown topic", "nobody", vec![0]),
        ("no partitions", "sequenced", vec![]),
    ] {
        let topic = TopicRequest::default().with_name(peer.topic(name)).with_partition_indexes(partitions);
        peer.ask(
            &format!("DescribeProducers, {case}"),
            &DescribeProducersRequest::default().with_topics(vec![topic]),
            0,
        );
    }
    peer.ask("DescribeProducers, none", &DescribeProducersRequest::default(), 0);
    let mut bad =
        DescribeProducersRequest::default().with_topics(vec![TopicRequest::default().with_partition_indexes(vec![0])]);
    bad.topics[0].name = text("a/b").into();
    peer.ask("DescribeProducers, a bad name", &bad, 0);
}
