//! The controller over a log in memory: alone here, one of several in `cluster`, with brokers' agents in `agents`.

mod agents;
mod cluster;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use super::{log::Proposing, *};
use crate::{
    metadata::{Image, MetadataRecord, topic_config::BrokerDefaults},
    os::random::Random,
};

/// A log in memory, and where it starts. Offsets are places in it.
#[derive(Default, Clone)]
pub(super) struct Memory(pub(super) Arc<Mutex<Vec<MetadataRecord>>>, Arc<AtomicI64>);

impl MetadataLog for Memory {
    fn propose(&self, records: &[MetadataRecord]) -> Proposing<'_> {
        let mut log = self.0.lock().unwrap();
        let base_offset = log.len() as i64;
        log.extend_from_slice(records);
        let next_offset = log.len() as i64;
        Box::pin(async move { Ok(Committed { base_offset, next_offset }) })
    }

    fn end_offset(&self) -> i64 {
        self.0.lock().unwrap().len() as i64
    }

    fn start_at(&self, offset: i64) -> Starting<'_> {
        self.1.store(offset, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(())))
    }

    fn quorum(&self) -> Quorum {
        let high_watermark = self.end_offset();
        Quorum { leader_id: 1, leader_epoch: 0, high_watermark, voters: Vec::new(), observers: Vec::new() }
    }
}

impl ImageListener for Memory {
    fn image_changed(&self, _: &Image, _: &Image) {}
}

pub(super) fn config(node_id: i32) -> ControllerConfig {
    ControllerConfig {
        node_id,
        default_partitions: 3,
        default_replication_factor: 1,
        partitions_max: 50,
        broker_defaults: BrokerDefaults::default(),
        session_timeout_ms: SESSION_TIMEOUT_MS,
        balance_interval_ms: Some(BALANCE_INTERVAL_MS),
        snapshot_bytes: SNAPSHOT_BYTES,
    }
}

async fn controller() -> (Controller, Memory) {
    let memory = Memory::default();
    let image = ImageHandle::new(Image::default(), 0);
    let controller =
        Controller::new(config(1), image, Random::seeded(1), Box::new(memory.clone()), Box::new(memory.clone()));
    controller.register_broker("c", "localhost", 9092, None).await.unwrap();
    (controller, memory)
}

fn new_topic(name: &str) -> NewTopic {
    NewTopic { name: name.into(), partitions: -1, replication_factor: -1, ..NewTopic::default() }
}

#[tokio::test]
async fn topics_are_made_and_replay_gives_the_same_image() {
    let (controller, memory) = controller().await;
    let made =
        controller.create_topics(&[new_topic("a.b"), new_topic("a_b"), new_topic("c"), new_topic("c")], false).await;
    assert_eq!(made[0].as_ref().unwrap().partitions, 3);
    assert!(matches!(&made[1], Err(ControllerError::InvalidTopic(what)) if what.contains("collides")));
    assert!(
        matches!(made[2], Err(ControllerError::InvalidRequest(_)))
            && matches!(made[3], Err(ControllerError::InvalidRequest(_)))
    );
    let checked = controller.create_topics(&[new_topic("d")], true).await;
    assert!(checked[0].is_ok() && controller.image().topic("d").is_none());
    let mut replayed = Image::default();
    memory.0.lock().unwrap().iter().for_each(|record| replayed.apply(record));
    assert_eq!(&replayed, &*controller.image());
}

#[tokio::test]
async fn each_bad_topic_gets_its_own_error() {
    let (controller, _) = controller().await;
    type Fits = fn(&ControllerError) -> bool;
    let cases: Vec<(NewTopic, Fits)> = vec![
        (NewTopic { partitions: 0, ..new_topic("x") }, |e| matches!(e, ControllerError::InvalidPartitions(_))),
        (NewTopic { partitions: 51, ..new_topic("x") }, |e| matches!(e, ControllerError::InvalidPartitions(_))),
        (NewTopic { partitions: 1_000_000, ..new_topic("x") }, |e| matches!(e, ControllerError::PolicyViolation(_))),
        (new_topic("__cluster_metadata"), |e| matches!(e, ControllerError::InvalidRequest(_))),
        (NewTopic { replication_factor: 0, ..new_topic("x") }, |e| {
            matches!(e, ControllerError::InvalidReplicationFactor(_))
        }),
        (NewTopic { replication_factor: 2, ..new_topic("x") }, |e| {
            matches!(e, ControllerError::InvalidReplicationFactor(_))
        }),
        (NewTopic { configs: vec![("nope".into(), Some("1".into()))], ..new_topic("x") }, |e| {
            matches!(e, ControllerError::InvalidConfig(_))
        }),
        (NewTopic { configs: vec![("retention.ms".into(), Some("-7".into()))], ..new_topic("x") }, |e| {
            matches!(e, ControllerError::InvalidConfig(_))
        }),
        (NewTopic { assignments: vec![(0, vec![9])], ..new_topic("x") }, |e| {
            matches!(e, ControllerError::InvalidAssignment(_))
        }),
        (NewTopic { partitions: 1, assignments: vec![(0, vec![1])], ..new_topic("x") }, |e| {
            matches!(e, ControllerError::InvalidRequest(_))
        }),
        (new_topic("../x"), |e| matches!(e, ControllerError::InvalidTopic(_))),
    ];
    for (topic, expected) in cases {
        let answer = controller.create_topics(std::slice::from_ref(&topic), false).await.remove(0);
        assert!(expected(answer.as_ref().unwrap_err()), "{topic:?}: {answer:?}");
    }
    assert_eq!(controller.image().topics().len(), 0);
}

#[tokio::test]
async fn growing_deleting_and_settings() {
    let (controller, _) = controller().await;
    controller.create_topics(&[new_topic("t")], false).await;
    let grow = |count| GrowTopic { name: "t".into(), count, assignments: None };
    assert!(matches!(
        controller.create_partitions(&[grow(3)], false).await[0],
        Err(ControllerError::InvalidPartitions(_))
    ));
    assert!(controller.create_partitions(&[grow(5)], false).await[0].is_ok());
    assert_eq!(controller.image().topic("t").unwrap().partitions.len(), 5);
    let set = |key: &str, op, value: &str| {
        (Resource::Topic("t".into()), vec![ConfigChange { key: key.into(), op, value: Some(value.into()) }])
    };
    let answers =
        controller.incremental_alter_configs(&[set("cleanup.policy", ConfigOp::Append, "compact")], 1, false).await;
    assert_eq!(answers, [Ok(())]);
    controller.incremental_alter_configs(&[set("retention.ms", ConfigOp::Set, "5")], 1, false).await;
    assert_eq!(controller.image().topic("t").unwrap().configs["cleanup.policy"], "delete,compact");
    let replaced = [(Resource::Topic("t".into()), vec![("segment.bytes".to_owned(), Some("2000000".to_owned()))])];
    assert_eq!(controller.alter_configs(&replaced, 1, false).await, [Ok(())]);
    assert_eq!(controller.image().topic("t").unwrap().configs.keys().collect::<Vec<_>>(), ["segment.bytes"]);
    let (first, second) =
        (controller.allocate_producer_id().await.unwrap(), controller.allocate_producer_id().await.unwrap());
    assert_eq!((first, second), (0, 1));
    let id = controller.image().topic("t").unwrap().id;
    let gone = controller.delete_topics(&[TopicRef::Id(id), TopicRef::Name("u".into())]).await;
    assert_eq!(gone, [Ok(("t".into(), id)), Err(ControllerError::UnknownTopic)]);
}

#[tokio::test]
async fn the_log_starts_with_the_newest_snapshot_and_says_the_same_from_there() {
    let (memory, image) = (Memory::default(), ImageHandle::new(Image::default(), 0));
    let config = ControllerConfig { snapshot_bytes: 2000, ..config(1) };
    let controller =
        Controller::new(config, image, Random::seeded(1), Box::new(memory.clone()), Box::new(memory.clone()));
    controller.register_broker("c", "localhost", 9092, None).await.unwrap();
    let mut starts = Vec::new();
    for round in 0..40 {
        let name = format!("topic-{}", round % 10);
        if controller.image().topic(&name).is_some() {
            controller.delete_topics(&[TopicRef::Name(name.clone())]).await[0].as_ref().unwrap();
        }
        controller.create_topics(&[new_topic(&name)], false).await[0].as_ref().unwrap();
        let start = memory.1.load(Ordering::Relaxed);
        let log = memory.0.lock().unwrap().clone();
        let mut replayed = Image::default();
        log[start as usize..].iter().for_each(|record| replayed.apply(record));
        assert_eq!(replayed, *controller.image(), "round {round}");
        assert_eq!(controller.image_handle().applied(), log.len() as i64);
        assert!(start == 0 || log[start as usize] == MetadataRecord::Snapshot);
        starts.push(start);
    }
    starts.dedup();
    assert!((4..20).contains(&starts.len()), "again and again, and not each time: {starts:?}");
}
