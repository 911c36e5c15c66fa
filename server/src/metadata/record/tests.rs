//! Records as bytes, and the records that image tests are made of.

use proptest::prelude::*;

use super::*;
use crate::metadata::topic::first_replicas;

/// Few brokers, topics and partitions, so that records meet.
pub(crate) fn any_record() -> impl Strategy<Value = MetadataRecord> {
    prop_oneof![of_brokers(), of_topics(), of_partitions()]
}

fn id() -> impl Strategy<Value = Uuid> + Clone {
    (0..4_u128).prop_map(Uuid::from_u128)
}

fn text() -> impl Strategy<Value = String> + Clone {
    "[a-cß.]{0,4}"
}

fn replicas() -> impl Strategy<Value = Vec<Replica>> + Clone {
    // no broker twice
    let replicas = proptest::collection::btree_map(0..5, 0..3_u32, 0..5).prop_map(|replicas| {
        replicas.into_iter().map(|(id, incarnation)| Replica::new(id, incarnation)).collect::<Vec<_>>()
    });
    replicas.prop_shuffle()
}

fn of_brokers() -> impl Strategy<Value = MetadataRecord> {
    let raft = proptest::option::of((text(), any::<u16>()).prop_map(|(host, port)| Endpoint { host, port }));
    let address = (text(), any::<u16>(), proptest::option::of(text()), raft);
    prop_oneof![
        text().prop_map(|cluster_id| MetadataRecord::Cluster { cluster_id }),
        (0..5, (id(), id()), address, any::<bool>()).prop_map(|(broker_id, ids, (host, port, rack, raft), fenced)| {
            let (incarnation, directory_id) = ids;
            MetadataRecord::RegisterBroker { broker_id, incarnation, host, port, rack, raft, directory_id, fenced }
        }),
        (0..5, id()).prop_map(|(broker_id, incarnation)| MetadataRecord::FenceBroker { broker_id, incarnation }),
        (0..5, id()).prop_map(|(broker_id, incarnation)| MetadataRecord::UnfenceBroker { broker_id, incarnation }),
        (0..5).prop_map(|broker_id| MetadataRecord::UnregisterBroker { broker_id }),
        (-1..5, text(), proptest::option::of(text()))
            .prop_map(|(broker_id, key, value)| MetadataRecord::BrokerConfig { broker_id, key, value }),
        Just(MetadataRecord::Snapshot),
        any::<i64>().prop_map(|next_producer_id| MetadataRecord::ProducerIds { next_producer_id }),
    ]
}

fn of_topics() -> impl Strategy<Value = MetadataRecord> {
    prop_oneof![
        id().prop_map(|topic_id| MetadataRecord::CreateTopic { topic_id, name: format!("t{}", topic_id.as_u128()) }),
        id().prop_map(|topic_id| MetadataRecord::DeleteTopic { topic_id }),
        (id(), text(), proptest::option::of(text())).prop_map(|(topic_id, key, value)| MetadataRecord::TopicConfig {
            topic_id,
            key,
            value
        }),
    ]
}

fn of_partitions() -> impl Strategy<Value = MetadataRecord> {
    let isr = proptest::collection::vec(0..5, 0..4);
    prop_oneof![
        (id(), 0..3, replicas()).prop_map(|(topic_id, partition, replicas)| MetadataRecord::CreatePartition {
            topic_id,
            partition,
            replicas
        }),
        (id(), 0..3, -1..5, -1..4, isr).prop_map(|(topic_id, partition, leader, leader_epoch, isr)| {
            MetadataRecord::PartitionState { topic_id, partition, leader, leader_epoch, isr }
        }),
        (id(), 0..3, replicas(), 0..9_u32).prop_map(|(topic_id, partition, replicas, last_incarnation)| {
            MetadataRecord::PartitionReplicas { topic_id, partition, replicas, last_incarnation }
        }),
        (id(), 0..3, proptest::option::of(replicas())).prop_map(|(topic_id, partition, target)| {
            MetadataRecord::PartitionTarget { topic_id, partition, target }
        }),
    ]
}

proptest! {
    #[test]
    fn records_round_trip_and_cut_ones_are_refused(record in any_record()) {
        let bytes = record.encode();
        prop_assert_eq!(MetadataRecord::decode(&bytes), Ok(record));
        for cut in 0..bytes.len() {
            prop_assert!(MetadataRecord::decode(&bytes[..cut]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert!(MetadataRecord::decode(&longer).is_err());
        let mut newer = bytes;
        newer[1] = 9;
        let refused = matches!(MetadataRecord::decode(&newer), Err(RecordError::Unknown { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(kind in 0..16_u8, body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = MetadataRecord::decode(&body);
        for version in 0..2 {
            let _ = MetadataRecord::decode(&[&[kind, version], &body[..]].concat());
        }
    }
}

#[test]
fn what_a_broker_without_replication_wrote_is_read() {
    let (id, incarnation) = (Uuid::from_u128(7), Uuid::from_u128(9));
    let mut register = vec![2, 0, 0, 0, 0, 1];
    register.extend_from_slice(incarnation.as_bytes());
    register.extend_from_slice(&[0, 1, b'h', 0x23, 0x84, 0xff, 0xff]);
    let known = MetadataRecord::RegisterBroker {
        broker_id: 1,
        incarnation,
        host: "h".into(),
        port: 9092,
        rack: None,
        raft: None,
        directory_id: Uuid::nil(),
        fenced: false,
    };
    assert_eq!(MetadataRecord::decode(&register), Ok(known));
    let mut create = vec![4, 0];
    create.extend_from_slice(id.as_bytes());
    create.extend_from_slice(&[0, 0, 0, 3, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    let known = MetadataRecord::CreatePartition { topic_id: id, partition: 3, replicas: first_replicas(&[1, 2]) };
    assert_eq!(MetadataRecord::decode(&create), Ok(known));
}
