//! Partitions over a real journal and a simulated disk: every setting that acts is seen to act, and the registry follows
//! its image.

use std::{future::Future, path::Path, sync::Arc, task::Context, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture, task::noop_waker};
use tidemark_record::{BatchBuilder, BatchHeader};
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::{
    metadata::{self, Image, MetadataRecord, first_replicas, topic_config::BrokerDefaults},
    os::{
        clock::Clock,
        disk::{
            Disk,
            sim::{Fault, SimDisk},
        },
        random::Random,
    },
    raft::{Carrier, CarrierError, GroupTiming, Groups, Lane, NodeId, ReplicaKind, Role, Storage, StorageConfig},
};

mod lagging;

const DIR: &str = "/data/broker";
const ID: Uuid = Uuid::from_u128(77);
const NOW: i64 = 1_800_000_000_000;

struct House {
    disk: SimDisk,
    clock: Clock,
    storage: Arc<Storage>,
    partitions: Partitions,
    image: Image,
}

impl House {
    fn new() -> Self {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        Self::open(disk, Image::default())
    }

    fn open(disk: SimDisk, image: Image) -> Self {
        let clock = Clock::manual(NOW);
        let config = StorageConfig { reserve_bytes: 0, ..StorageConfig::new(DIR.into(), 1) };
        let storage = Storage::open(Arc::new(disk.clone()), &config, &Random::seeded(1)).unwrap();
        let config = PartitionsConfig {
            node_id: 1,
            retention_check_interval_ms: 1,
            producer_id_expiration_ms: 1000,
            metadata_segment_bytes: 1 << 20,
            replica_lag_ms_max: 30_000,
            broker_defaults: BrokerDefaults::default(),
        };
        let partitions = Partitions::new(config, storage.clone(), clock.clone(), ReplicaKind::Solo).unwrap();
        partitions.start(&image).unwrap();
        Self { disk, clock, storage, partitions, image }
    }

    fn apply(&mut self, records: &[MetadataRecord]) {
        let mut new = self.image.clone();
        records.iter().for_each(|record| new.apply(record));
        self.partitions.apply(&self.image, &new);
        self.image = new;
    }

    /// A topic `t` of one partition with these settings.
    fn topic(settings: &[(&str, &str)]) -> (Self, Arc<Partition>) {
        let mut house = Self::new();
        house.apply(&create(ID, "t"));
        house.set(settings);
        let partition = house.partition();
        (house, partition)
    }

    fn set(&mut self, settings: &[(&str, &str)]) {
        let record = |(key, value): &(&str, &str)| MetadataRecord::TopicConfig {
            topic_id: ID,
            key: (*key).to_owned(),
            value: Some((*value).to_owned()),
        };
        let records: Vec<_> = settings.iter().map(record).collect();
        self.apply(&records);
    }

    fn partition(&self) -> Arc<Partition> {
        self.partitions.get(ID, 0).unwrap()
    }

    fn files(&self, suffix: &str) -> Vec<(String, u64)> {
        let entries = self.disk.read_dir(&Path::new(DIR).join("t-0")).unwrap();
        entries.into_iter().filter(|entry| entry.name.ends_with(suffix)).map(|entry| (entry.name, entry.len)).collect()
    }

    /// What a start after a power cut finds.
    fn after_power_cut(&self, seed: u64) -> Self {
        Self::open(self.disk.power_cut(seed), self.image.clone())
    }
}

fn create(topic_id: Uuid, name: &str) -> [MetadataRecord; 2] {
    [
        MetadataRecord::CreateTopic { topic_id, name: name.to_owned() },
        MetadataRecord::CreatePartition { topic_id, partition: 0, replicas: first_replicas(&[1]) },
    ]
}

fn batch(timestamp_ms: i64, value_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append_plain(timestamp_ms, Some(b"k"), Some(&vec![7; value_bytes]));
    builder.build().unwrap()
}

fn append(partition: &Partition, timestamp_ms: i64) -> Append {
    partition.append(&batch(timestamp_ms, 100), &AppendOptions::client(AckLevel::All)).unwrap()
}

async fn committed(append: Append) -> i64 {
    append.done().await.unwrap().base_offset
}

fn params(offset: i64) -> FetchParams {
    FetchParams {
        offset,
        max_bytes: 1 << 20,
        min_one: true,
        read_committed: false,
        current_leader_epoch: -1,
        follower_may_serve: false,
    }
}

fn base_offsets(partition: &Partition, offset: i64) -> Vec<i64> {
    let bytes = partition.fetch(&params(offset)).unwrap().records.read_all().unwrap();
    let (mut rest, mut offsets) = (bytes.as_ref(), Vec::new());
    while let Ok(header) = BatchHeader::parse(rest) {
        offsets.push(header.base_offset);
        rest = &rest[header.size_in_bytes()..];
    }
    offsets
}

#[tokio::test]
async fn what_is_committed_is_seen_and_survives() {
    let (house, partition) = House::topic(&[]);
    for offset in 0..5 {
        assert_eq!(committed(append(&partition, NOW)).await, offset);
    }
    assert_eq!(base_offsets(&partition, 2), [2, 3, 4]);
    let again = house.after_power_cut(3);
    assert_eq!(base_offsets(&again.partition(), 0), [0, 1, 2, 3, 4]);
    assert!(again.partition().leader_epoch() > partition.leader_epoch());
}

#[tokio::test]
async fn a_long_poll_is_woken_by_the_commit_and_nothing_is_seen_before_it() {
    let (_house, partition) = House::topic(&[]);
    let fetched = partition.fetch(&params(0)).unwrap();
    assert_eq!(fetched.records.bytes, 0);
    let waiter = FetchWaiter::new(1);
    partition.watch(&waiter, fetched.high_watermark);
    let append = append(&partition, NOW);
    assert!(waiter.wait(Instant::now() + Duration::from_secs(60)).await);
    assert!(partition.high_watermark() > append.placed().unwrap().base_offset);
    assert_eq!(base_offsets(&partition, 0), [0]);
}

#[tokio::test]
async fn a_topic_made_anew_under_its_name_is_empty_and_the_old_one_is_gone() {
    let (mut house, old) = House::topic(&[]);
    committed(append(&old, NOW)).await;
    let other = Uuid::from_u128(78);
    house.apply(&[MetadataRecord::DeleteTopic { topic_id: ID }]);
    house.apply(&create(other, "t"));
    assert!(house.partitions.get(ID, 0).is_none());
    assert!(matches!(old.append(&batch(NOW, 9), &AppendOptions::client(AckLevel::None)), Err(AppendError::NotLeader)));
    assert!(matches!(old.fetch(&params(0)), Err(FetchError::NotLeader)));
    let new = house.partitions.get(other, 0).unwrap();
    assert_eq!((new.log_end_offset(), committed(append(&new, NOW)).await), (0, 0));
    assert_eq!(house.after_power_cut(1).partitions.get(other, 0).unwrap().log_end_offset(), 1);
}

#[tokio::test]
async fn what_the_image_does_not_know_is_set_aside_at_the_start() {
    let (house, partition) = House::topic(&[]);
    committed(append(&partition, NOW)).await;
    let again = House::open(house.disk.process_killed(), Image::default());
    assert!(again.partitions.is_empty());
    let names: Vec<String> = again.disk.read_dir(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(names.iter().any(|name| name.starts_with("t-0.") && name.ends_with("-stray")), "{names:?}");
}

#[tokio::test]
async fn segment_bytes_and_segment_ms_roll() {
    let (mut house, partition) = House::topic(&[("segment.bytes", "1048576")]);
    for _ in 0..3 {
        let large = batch(NOW, 600_000);
        partition.append(&large, &AppendOptions::client(AckLevel::None)).unwrap();
    }
    assert_eq!(house.files(".log").len(), 3);
    house.set(&[("segment.ms", "1000"), ("segment.bytes", "1073741824")]);
    append(&partition, NOW + 500);
    assert_eq!(house.files(".log").len(), 3);
    append(&partition, NOW + 1500);
    assert_eq!(house.files(".log").len(), 4);
}

#[tokio::test]
async fn index_interval_bytes_sets_how_many_rows_there_are() {
    let mut rows = Vec::new();
    for interval in ["4096", "100000"] {
        let (house, partition) = House::topic(&[("index.interval.bytes", interval)]);
        for _ in 0..100 {
            partition.append(&batch(NOW, 1000), &AppendOptions::client(AckLevel::None)).unwrap();
        }
        house.storage.checkpoint().unwrap();
        rows.push(house.files(".index")[0].1);
    }
    assert!(rows[0] > rows[1] * 4, "{rows:?}");
}

#[tokio::test]
async fn retention_ms_and_retention_bytes_and_cleanup_policy_drop_old_segments() {
    let (mut house, partition) = House::topic(&[("segment.bytes", "1048576")]);
    for round in 0..4 {
        let large = batch(NOW - 10_000 + round, 900_000);
        committed(partition.append(&large, &AppendOptions::client(AckLevel::All)).unwrap()).await;
    }
    committed(append(&partition, NOW)).await;
    let mut trust = ClockTrust::default();
    house.partitions.apply_retention(&mut trust, 0).await;
    assert_eq!(partition.log_start_offset(), 0, "a week is the default");
    house.set(&[("retention.bytes", "2000000")]);
    house.partitions.apply_retention(&mut trust, 1).await;
    assert_eq!((partition.log_start_offset(), house.files(".log").len()), (1, 3));
    house.set(&[("retention.ms", "5000"), ("cleanup.policy", "compact")]);
    house.partitions.apply_retention(&mut trust, 2).await;
    assert_eq!(partition.log_start_offset(), 1, "compact keeps");
    house.set(&[("cleanup.policy", "delete")]);
    house.partitions.apply_retention(&mut trust, 3).await;
    assert_eq!(partition.log_start_offset(), 3, "the active segment holds a young record");
    house.clock.set(NOW + 20 * 365 * 86_400_000);
    house.partitions.apply_retention(&mut trust, 4).await;
    assert_eq!(partition.log_start_offset(), 3, "a clock that jumped is not believed");
    let again = house.after_power_cut(9);
    assert_eq!((again.partition().log_start_offset(), again.partition().log_end_offset()), (3, 5));
}

#[tokio::test]
async fn delete_records_moves_the_start_for_good() {
    let (mut house, partition) = House::topic(&[]);
    for _ in 0..5 {
        committed(append(&partition, NOW)).await;
    }
    assert_eq!(partition.delete_records(2).unwrap().low_watermark().await.unwrap(), 2);
    assert!(matches!(partition.fetch(&params(1)), Err(FetchError::OffsetOutOfRange { log_start_offset: 2, .. })));
    assert!(matches!(partition.delete_records(6), Err(DeleteRecordsError::OffsetOutOfRange { .. })));
    assert_eq!(house.after_power_cut(5).partition().log_start_offset(), 2);
    assert_eq!(partition.delete_records(-1).unwrap().low_watermark().await.unwrap(), 5);
    house.set(&[("cleanup.policy", "compact")]);
    assert!(matches!(partition.delete_records(5), Err(DeleteRecordsError::PolicyViolation)));
}

#[tokio::test]
async fn min_insync_replicas_refuses_what_one_replica_cannot_promise() {
    let (_house, partition) = House::topic(&[("min.insync.replicas", "2")]);
    let refused = partition.append(&batch(NOW, 9), &AppendOptions::client(AckLevel::All));
    assert!(matches!(refused, Err(AppendError::NotEnoughReplicas { in_sync: 1, needed: 2 })));
    assert!(partition.append(&batch(NOW, 9), &AppendOptions::client(AckLevel::Leader)).is_ok());
}

#[tokio::test]
async fn write_caching_acks_from_the_page_cache_and_flush_settings_bound_what_a_power_cut_takes() {
    let (mut house, partition) = House::topic(&[("write.caching", "true")]);
    house.storage.sync().unwrap();
    let syncs = house.storage.journal_syncs();
    for _ in 0..10 {
        let append = append(&partition, NOW);
        let mut wait = Box::pin(append.done());
        let ready = wait.as_mut().poll(&mut Context::from_waker(&noop_waker()));
        assert!(ready.is_ready(), "committed at once");
    }
    assert_eq!(house.storage.journal_syncs(), syncs);
    let found = |house: &House, seed| house.after_power_cut(seed).partition().log_end_offset();
    assert!((0..20).any(|seed| found(&house, seed) < 10), "a power cut may take them");
    house.set(&[("flush.messages", "2")]);
    append(&partition, NOW);
    assert!((0..20).all(|seed| found(&house, seed) == 11), "flush.messages: those before it too");
    append(&partition, NOW);
    append(&partition, NOW);
    assert!((0..20).all(|seed| found(&house, seed) == 13), "flush.messages");
    house.set(&[("flush.messages", "9223372036854775807"), ("flush.ms", "1")]);
    append(&partition, NOW);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !(0..20).all(|seed| found(&house, seed) == 14) {
        assert!(Instant::now() < deadline, "flush.ms");
        tokio::task::yield_now().await;
    }
    house.set(&[("write.caching", "false")]);
    committed(append(&partition, NOW)).await;
    assert!((0..20).all(|seed| found(&house, seed) == 15));
}

#[tokio::test]
async fn a_volatile_topic_has_no_directory_and_starts_anew() {
    let mut house = House::new();
    let [made, partition] = create(ID, "t");
    let (key, value) = ("tidemark.storage".to_owned(), Some("volatile".to_owned()));
    house.apply(&[made, partition, MetadataRecord::TopicConfig { topic_id: ID, key, value }]);
    let partition = house.partition();
    assert_eq!(committed(append(&partition, NOW)).await, 0);
    assert_eq!(base_offsets(&partition, 0), [0]);
    assert!(!house.disk.exists(&Path::new(DIR).join("t-0")));
    let again = House::open(house.disk.process_killed(), house.image.clone());
    assert_eq!(again.partition().log_end_offset(), 0);
}

#[tokio::test]
async fn a_broker_wide_setting_reaches_topics_that_do_not_say_otherwise() {
    let (mut house, partition) = House::topic(&[]);
    let key = "message.max.bytes".to_owned();
    house.apply(&[MetadataRecord::BrokerConfig { broker_id: -1, key, value: Some("50".into()) }]);
    let refused = partition.append(&batch(NOW, 100), &AppendOptions::client(AckLevel::All));
    assert!(matches!(refused, Err(AppendError::MessageTooLarge { max: 50, .. })));
    house.set(&[("max.message.bytes", "5000")]);
    assert!(partition.append(&batch(NOW, 100), &AppendOptions::client(AckLevel::All)).is_ok());
}

#[tokio::test]
async fn offsets_are_found_by_meaning_and_by_epoch() {
    let (house, partition) = House::topic(&[]);
    for timestamp in [100, 300, 200] {
        committed(append(&partition, NOW + timestamp)).await;
    }
    let find = |partition: &Partition, spec| partition.offset_for(spec, false, -1).unwrap();
    assert_eq!(find(&partition, OffsetSpec::Earliest), FoundOffset { offset: 0, timestamp: -1, leader_epoch: 0 });
    assert_eq!(find(&partition, OffsetSpec::Latest), FoundOffset { offset: 3, timestamp: -1, leader_epoch: 0 });
    assert_eq!(find(&partition, OffsetSpec::MaxTimestamp).offset, 1);
    assert_eq!(find(&partition, OffsetSpec::Timestamp(NOW + 150)).offset, 1);
    assert_eq!(find(&partition, OffsetSpec::Timestamp(NOW + 301)), FoundOffset::NONE);
    let again = house.after_power_cut(2);
    let partition = again.partition();
    let epoch = partition.leader_epoch();
    assert_eq!(partition.end_offset_for_epoch(0, epoch).unwrap(), (0, 3));
    assert_eq!(partition.end_offset_for_epoch(epoch, -1).unwrap(), (epoch, 3));
    assert_eq!(partition.end_offset_for_epoch(epoch + 1, -1).unwrap(), (-1, -1));
    assert!(matches!(partition.offset_for(OffsetSpec::Latest, false, 0), Err(OffsetError::FencedLeaderEpoch { .. })));
    assert!(matches!(partition.offset_for(OffsetSpec::Latest, false, 99), Err(OffsetError::UnknownLeaderEpoch { .. })));
}

#[tokio::test]
async fn sequences_are_judged_against_the_end_and_silent_producers_forgotten() {
    let (house, partition) = House::topic(&[]);
    let send = |sequence: i32, epoch: i16| {
        let mut builder = BatchBuilder::new().producer(9, epoch, sequence);
        builder.append_plain(house.clock.wall_ms(), None, Some(b"v"));
        partition.append(&builder.build().unwrap(), &AppendOptions::client(AckLevel::All))
    };
    let first = send(0, 1).unwrap();
    let repeat = send(0, 1).unwrap();
    assert_eq!((first.placed().unwrap().base_offset, repeat.placed().unwrap().base_offset), (0, 0));
    assert_eq!(committed(repeat).await, 0);
    assert!(matches!(send(2, 1), Err(AppendError::OutOfOrderSequence(_))));
    assert!(matches!(send(0, 0), Err(AppendError::InvalidProducerEpoch(_))));
    committed(send(1, 1).unwrap()).await;
    let again = house.after_power_cut(4);
    assert_eq!(again.partition().producers().len(), 1);
    assert_eq!(again.partition().producers()[0].last_sequence, 1);
    let mut trust = ClockTrust::default();
    house.partitions.apply_retention(&mut trust, 0).await;
    house.clock.set(NOW + 2000);
    house.partitions.apply_retention(&mut trust, 2000).await;
    assert!(partition.producers().is_empty());
    assert_eq!(send(77, 1).unwrap().placed().unwrap().base_offset, 2, "any sequence after that");
}

#[tokio::test]
async fn a_compare_and_append_keeps_offsets_and_gaps() {
    let (house, partition) = House::topic(&[]);
    let at = |base: i64| {
        let mut builder = BatchBuilder::new().base_offset(base);
        builder.append_plain(NOW, None, Some(b"v"));
        builder.build().unwrap()
    };
    assert!(matches!(partition.append_at(Uuid::nil(), 0, &at(5)), Err(AppendError::NotLeader)));
    assert!(matches!(
        partition.append_at(ID, 1, &at(5)),
        Err(AppendError::UnexpectedEnd { expected_end: 1, log_end_offset: 0 })
    ));
    assert_eq!(committed(partition.append_at(ID, 0, &at(5)).unwrap()).await, 5);
    assert_eq!(base_offsets(&partition, 0), [5]);
    assert_eq!(house.after_power_cut(6).partition().log_end_offset(), 6);
}

#[tokio::test]
async fn a_partition_that_could_not_be_made_is_made_once_there_is_room() {
    // no descriptor for its directory's first file, or for its segment; no room
    let lacks: [fn(&SimDisk); 3] = [
        |disk| disk.fail(Fault::Open("partition.metadata", 24)),
        |disk| disk.fail(Fault::Open("t-0/00000000000000000000.log", 24)),
        |disk| disk.limit_free_space(Some(100)),
    ];
    for lack in lacks {
        let mut house = House::new();
        let mut trust = ClockTrust::default();
        lack(&house.disk);
        house.apply(&create(ID, "t"));
        house.partitions.apply_retention(&mut trust, 0).await;
        assert!(house.partitions.get(ID, 0).is_none());
        house.disk.mend();
        house.disk.limit_free_space(None);
        house.partitions.apply_retention(&mut trust, 1).await;
        assert_eq!(committed(append(&house.partition(), NOW)).await, 0);
        let replicas = house.storage.replicas().len();
        for seed in 0..4 {
            let after = house.after_power_cut(seed);
            assert_eq!((base_offsets(&after.partition(), 0), after.storage.replicas().len()), (vec![0], replicas));
            let entries = after.disk.read_dir(Path::new(DIR)).unwrap();
            assert!(!entries.iter().any(|entry| entry.name.ends_with("-stray")), "{entries:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_partition_of_a_deleted_topic_is_not_made() {
    let mut house = House::new();
    house.disk.fail(Fault::Open("partition.metadata", 24));
    house.apply(&create(ID, "t"));
    house.apply(&[MetadataRecord::DeleteTopic { topic_id: ID }]);
    house.disk.mend();
    house.partitions.apply_retention(&mut ClockTrust::default(), 0).await;
    assert!(house.partitions.get(ID, 0).is_none());
}

/// Reaches nobody.
struct Alone;

impl Carrier for Alone {
    fn call(&self, _: NodeId, _: Lane, _: Vec<Bytes>) -> BoxFuture<'static, Result<Bytes, CarrierError>> {
        std::future::ready(Err(CarrierError::Unreachable("alone".to_owned()))).boxed()
    }
}

#[tokio::test]
async fn a_log_that_was_lost_goes_on_above_the_epoch_that_clients_have_seen() {
    let mut house = House::new();
    let (topic_id, partition, leader) = (ID, 0, 1);
    let state = MetadataRecord::PartitionState { topic_id, partition, leader, leader_epoch: 7, isr: vec![1] };
    let records = [create(ID, "t").to_vec(), vec![state]].concat();
    house.apply(&records);
    assert_eq!(house.partition().role(), Role::Solo { epoch: 8 });
    let append = house.partition().append(&batch(NOW, 10), &AppendOptions::client(AckLevel::All)).unwrap();
    assert_eq!(append.done().await.unwrap().leader_epoch, 8);
    // what it reported by then is what a start finds
    house.apply(&[MetadataRecord::PartitionState { topic_id, partition, leader, leader_epoch: 8, isr: vec![1] }]);
    assert_eq!(house.partition().role(), Role::Solo { epoch: 8 }, "it is its own epoch");
    let again = house.after_power_cut(1).partition();
    assert_eq!(again.role(), Role::Solo { epoch: 9 });
    assert_eq!(again.end_offset_for_epoch(8, -1).unwrap(), (8, 1));
}

#[tokio::test]
async fn a_member_of_another_incarnation_is_made_once_the_old_one_has_gone() {
    let mut house = House::new();
    let replicas = |incarnation| vec![metadata::Replica::new(1, incarnation), metadata::Replica::new(2, 0)];
    let mut records = create(ID, "t");
    records[1] = MetadataRecord::CreatePartition { topic_id: ID, partition: 0, replicas: replicas(0) };
    house.apply(&records);
    assert_eq!(house.partition().replica.node(), Some(NodeId::new(1, 0)));
    let (topic_id, partition, last_incarnation) = (ID, 0, 1);
    let replaced = MetadataRecord::PartitionReplicas { topic_id, partition, replicas: replicas(1), last_incarnation };
    house.apply(&[replaced]);
    // the old one's group may still write to its directory
    house.partitions.make_missing();
    assert!(house.partitions.get(ID, 0).is_none());
    let House { partitions, storage, disk, .. } = house;
    let partitions = Arc::new(partitions);
    partitions.join_groups(Groups::new(Arc::new(Alone), GroupTiming::default()).unwrap());
    let made = async {
        loop {
            if let Some(made) = partitions.get(ID, 0) {
                return made;
            }
            tokio::task::yield_now().await;
        }
    };
    let made = tokio::select! {
        made = made => made,
        () = Arc::clone(&partitions).run_groups() => panic!("it runs for ever"),
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("it was not made"),
    };
    assert_eq!(made.replica.node(), Some(NodeId::new(1, 1)));
    assert_eq!(storage.replicas().len(), 2, "it, and the metadata's log");
    let entries = disk.read_dir(Path::new(DIR)).unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.name.starts_with("t-0")).count(), 1, "{entries:?}");
}
