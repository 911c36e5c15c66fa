//! What records add up to.

use proptest::prelude::*;

use super::*;
use crate::metadata::{
    record::tests::any_record,
    topic::{Replica, first_replicas},
};

fn image(records: &[MetadataRecord]) -> Image {
    let mut image = Image::default();
    records.iter().for_each(|record| image.apply(record));
    image
}

fn topic_of(replicas: &[i32]) -> [MetadataRecord; 2] {
    let topic_id = Uuid::from_u128(1);
    let replicas = first_replicas(replicas);
    [
        MetadataRecord::CreateTopic { topic_id, name: "t".into() },
        MetadataRecord::CreatePartition { topic_id, partition: 0, replicas },
    ]
}

fn state(leader: i32, leader_epoch: i32, isr: &[i32]) -> MetadataRecord {
    MetadataRecord::PartitionState {
        topic_id: Uuid::from_u128(1),
        partition: 0,
        leader,
        leader_epoch,
        isr: isr.to_vec(),
    }
}

fn target(target: Option<Vec<Replica>>) -> MetadataRecord {
    MetadataRecord::PartitionTarget { topic_id: Uuid::from_u128(1), partition: 0, target }
}

#[test]
fn a_topic_made_anew_has_another_id_and_no_old_settings() {
    let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut image = Image::default();
    let create = |topic_id| MetadataRecord::CreateTopic { topic_id, name: "t".into() };
    let partition =
        |partition| MetadataRecord::CreatePartition { topic_id: old, partition, replicas: first_replicas(&[1]) };
    image.apply(&create(old));
    image.apply(&partition(0));
    image.apply(&partition(5));
    image.apply(&MetadataRecord::TopicConfig { topic_id: old, key: "k".into(), value: Some("v".into()) });
    let before = image.clone();
    image.apply(&MetadataRecord::DeleteTopic { topic_id: old });
    image.apply(&create(new));
    assert_eq!((before.partition_count(), image.partition_count()), (1, 0));
    assert!(image.topic_by_id(old).is_none() && image.topic("t").unwrap().configs.is_empty());
    assert_eq!(before.topic("t").unwrap().configs["k"], "v", "older images stay as they were");
}

#[test]
fn topics_collide_by_their_metric_names() {
    let mut image = Image::default();
    let (id, plain) = (Uuid::from_u128(1), Uuid::from_u128(2));
    image.apply(&MetadataRecord::CreateTopic { topic_id: id, name: "a.b_c".into() });
    image.apply(&MetadataRecord::CreateTopic { topic_id: plain, name: "plain".into() });
    for (name, found) in [("a_b.c", true), ("a.b_c", true), ("a.b-c", false), ("a.b", false), ("plain", false)] {
        assert_eq!(image.topic_colliding(name).is_some_and(|topic| topic.id == id), found, "{name}");
    }
    image.apply(&MetadataRecord::DeleteTopic { topic_id: id });
    assert!(image.topic_colliding("a_b.c").is_none());
    assert!(image.metric_names.is_empty());
}

#[test]
fn an_older_epoch_never_takes_the_place_of_a_newer_one() {
    let mut image = image(&topic_of(&[1, 2, 3]));
    let look = |image: &Image| {
        let info = &image.topic("t").unwrap().partitions[0];
        (info.leader, info.leader_epoch, info.isr.clone())
    };
    assert_eq!(look(&image), (-1, -1, vec![1, 2, 3]));
    image.apply(&state(2, 5, &[2, 3]));
    image.apply(&state(1, 4, &[1]));
    assert_eq!(look(&image), (2, 5, vec![2, 3]));
    image.apply(&state(2, 5, &[1, 2, 3]));
    assert_eq!(look(&image), (2, 5, vec![1, 2, 3]));
}

#[test]
fn a_move_shows_who_comes_and_who_goes_and_a_replaced_log_does_not() {
    let mut image = image(&topic_of(&[1, 2, 3]));
    image.apply(&target(Some(vec![Replica::new(4, 1), Replica::new(2, 0), Replica::new(3, 2)])));
    let info = &image.topic("t").unwrap().partitions[0];
    assert_eq!((info.broker_ids(), info.adding(), info.removing()), (vec![4, 2, 3, 1], vec![4], vec![1]));
    assert_eq!((info.preferred_leader(), info.last_incarnation), (4, 2));
    assert_eq!(info.replica_on(3), Some(Replica::new(3, 2)), "the log that replaces the old one");
    assert_eq!(info.replica_on(1), Some(Replica::new(1, 0)));
    image.apply(&target(Some(vec![Replica::new(1, 3), Replica::new(2, 0), Replica::new(3, 0)])));
    assert!(!image.topic("t").unwrap().partitions[0].is_reassigning());
    image.apply(&target(None));
    assert_eq!(image.topic("t").unwrap().partitions[0].last_incarnation, 3, "an incarnation is given once");
}

#[test]
fn a_fence_is_for_one_incarnation() {
    let register = |incarnation| MetadataRecord::RegisterBroker {
        broker_id: 1,
        incarnation: Uuid::from_u128(incarnation),
        host: "h".into(),
        port: 1,
        rack: None,
        raft: None,
        directory_id: Uuid::nil(),
        fenced: false,
    };
    let mut image = image(&topic_of(&[1]));
    let only = |image: &Image| image.leader_of(&image.topic("t").unwrap().partitions[0]);
    assert_eq!(only(&image), None, "nobody is registered");
    image.apply(&register(1));
    image.apply(&register(2));
    image.apply(&MetadataRecord::FenceBroker { broker_id: 1, incarnation: Uuid::from_u128(1) });
    assert_eq!(only(&image), Some(1));
    image.apply(&MetadataRecord::FenceBroker { broker_id: 1, incarnation: Uuid::from_u128(2) });
    assert_eq!((image.is_available(1), only(&image)), (false, None));
    image.apply(&MetadataRecord::UnfenceBroker { broker_id: 1, incarnation: Uuid::from_u128(2) });
    assert!(image.is_available(1));
    image.apply(&MetadataRecord::UnregisterBroker { broker_id: 1 });
    assert!(!image.is_available(1) && image.brokers().len() == 0);
}

proptest! {
    #[test]
    fn its_records_make_the_same_image(records in proptest::collection::vec(any_record(), 0..60)) {
        let image = image(&records);
        let bytes: Vec<Vec<u8>> = image.to_records().iter().map(MetadataRecord::encode).collect();
        let mut again = Image::default();
        for bytes in bytes {
            again.apply(&MetadataRecord::decode(&bytes).unwrap());
        }
        prop_assert_eq!(&again, &image);
        // in the log, behind what it stands for
        std::iter::once(MetadataRecord::Snapshot).chain(image.to_records()).for_each(|record| again.apply(&record));
        prop_assert_eq!(again, image);
    }
}
