//! Three directories on one simulated disk, two of them lost, and a recovery that is cut off at every step.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tidemark_record::{BatchBuilder, batch};
use uuid::Uuid;

use super::{
    group::{epoch_above, judge},
    *,
};
use crate::{
    journal::JournalConfig,
    log::LogConfig,
    metadata::{MetadataRecord, Replica as Place, first_replicas},
    os::{
        disk::{Disk, SharedDisk, sim::SimDisk},
        random::Random,
    },
    partition::METADATA_LOG,
    raft::{
        Carrier, CarrierError, GroupTiming, Groups, Lane, MetaProperties, NodeId, Proposed, Remains, Replica,
        ReplicaKey, ReplicaKind, Storage, StorageConfig, StorageError,
    },
};

const TOPIC: Uuid = Uuid::from_u128(9);
const ORDERS: ReplicaKey = (TOPIC, 0);
const TIMING: GroupTiming = GroupTiming { heartbeat_ms: 100, election_ms_min: 300, election_ms_max: 500 };
const SOON: Duration = Duration::from_secs(30);

fn config(dir: PathBuf, node_id: i32) -> StorageConfig {
    let journal = JournalConfig { initial_file_bytes: 16 << 10, file_bytes_max: 64 << 10, inline_sync: true };
    StorageConfig { journal, reserve_bytes: 0, lone: false, ..StorageConfig::new(dir, node_id) }
}

fn dir(broker: i32) -> PathBuf {
    format!("/d{broker}").into()
}

/// Groups of brokers in one process.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<BTreeMap<i32, Groups>>>, i32);

impl Carrier for Wire {
    fn call(&self, to: NodeId, _: Lane, body: Vec<Bytes>) -> BoxFuture<'static, Result<Bytes, CarrierError>> {
        let Some(groups) = self.0.lock().unwrap().get(&to.broker()).cloned() else {
            return std::future::ready(Err(CarrierError::Unreachable("gone".into()))).boxed();
        };
        let serving = groups.serve(NodeId::new(self.1, 0), Bytes::from(body.concat()));
        async move {
            let answer = serving.await.map_err(|error| CarrierError::Lost(error.to_string()))?;
            Ok(Bytes::from(answer.concat()))
        }
        .boxed()
    }
}

async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn leading<'a>(replicas: impl IntoIterator<Item = &'a Arc<Replica>>) -> Option<Arc<Replica>> {
    replicas.into_iter().find(|replica| replica.role().leads()).cloned()
}

async fn write(replica: &Arc<Replica>, batch: Bytes) {
    let header = batch::verify(&batch).unwrap();
    match replica.propose(batch, &header, None, 0).unwrap() {
        Proposed::Appended(_) => {}
        Proposed::Pending(proposal) => drop(proposal.committed().await.unwrap()),
    }
}

fn batch_of(values: &[Vec<u8>]) -> Bytes {
    let mut builder = BatchBuilder::new();
    values.iter().for_each(|value| builder.append_plain(1, None, Some(value)));
    builder.build().unwrap()
}

/// Three brokers, perhaps of more, that know a topic with one partition, which holds 40 records; all their directories.
async fn cluster(of: i32) -> SimDisk {
    let disk = SimDisk::new();
    let wire = Wire::default();
    let ids: Vec<i32> = (1..=of).collect();
    let voters: Vec<NodeId> = ids.iter().map(|id| NodeId::new(*id, 0)).collect();
    let quorum: Vec<(i32, String)> = (1..=3).map(|id| (id, format!("d{id}"))).collect();
    let (mut storages, mut metadata, mut orders) = (Vec::new(), Vec::new(), Vec::new());
    for (broker, node) in (1..=3).zip(voters.iter().copied()) {
        let mut config = config(dir(broker), broker);
        config.journal.inline_sync = false;
        let storage = Storage::open(Arc::new(disk.clone()), &config, &Random::os()).unwrap();
        storage.join_cluster("cluster", &quorum, 0).unwrap();
        let groups = Groups::new(Arc::new(Wire(wire.0.clone(), broker)), TIMING).unwrap();
        let kind = ReplicaKind::Voter { node, voters: &voters };
        for (key, name, list) in
            [(METADATA_LOG, "__cluster_metadata-0", &mut metadata), (ORDERS, "orders-0", &mut orders)]
        {
            let replica = storage.create_replica(key, name, LogConfig::default(), kind).unwrap();
            list.push(replica);
        }
        storage.sync().unwrap();
        wire.0.lock().unwrap().insert(broker, groups.clone());
        storages.push((storage, groups));
    }
    for (place, (_, groups)) in storages.iter().enumerate() {
        groups.start(&metadata[place]).await.unwrap();
        groups.start(&orders[place]).await.unwrap();
    }
    let records = [
        MetadataRecord::Cluster { cluster_id: "cluster".into() },
        MetadataRecord::CreateTopic { topic_id: TOPIC, name: "orders".into() },
        MetadataRecord::CreatePartition { topic_id: TOPIC, partition: 0, replicas: first_replicas(&ids) },
    ];
    let leader = until("a leader of the metadata", || leading(&metadata)).await;
    write(&leader, batch_of(&records.map(|record| record.encode()))).await;
    let leader = until("a leader", || leading(&orders)).await;
    for round in 0..20_u8 {
        write(&leader, batch_of(&[vec![round], vec![round]])).await;
    }
    until("all have all", || orders.iter().all(|replica| replica.high_watermark() == 40).then_some(())).await;
    until("all metadata", || metadata.iter().all(|replica| replica.high_watermark() == 3).then_some(())).await;
    for ((storage, groups), replicas) in storages.iter().zip(metadata.iter().zip(&orders)) {
        groups.stop(replicas.0).await.unwrap();
        groups.stop(replicas.1).await.unwrap();
        storage.close().unwrap();
    }
    disk
}

fn open(disk: &SimDisk, brokers: &[i32]) -> Result<Recovery, RecoverError> {
    let disk: SharedDisk = Arc::new(disk.clone());
    let dirs: Vec<PathBuf> = brokers.iter().map(|broker| dir(*broker)).collect();
    Recovery::open_as(&disk, &dirs, &Random::os(), config)
}

/// That the directories are recovered, and on the log of broker 1.
fn check(disk: &SimDisk, (brokers, of): (&[i32], i32), about: &str) {
    let found = open(disk, brokers).unwrap_or_else(|error| panic!("{about}: {error}"));
    assert!(!found.is_needed(), "{about}");
    let own = found.partitions[0].found.iter().find(|found| found.broker_id == 1).unwrap();
    assert_eq!((own.remains.log_end_offset, &own.remains.voters), (40, &vec![vec![NodeId::new(1, 0)]]), "{about}");
    assert_eq!(found.metadata.found[0].remains.voters, [[NodeId::new(1, 0)]], "{about}");
    let info = found.image().topic("orders").unwrap().partition(0).unwrap().clone();
    assert_eq!(info.replicas, [Place::new(1, 0)], "{about}");
    let wanted: Vec<i32> = info.wanted().iter().map(|replica| replica.broker_id).collect();
    assert_eq!(wanted, (1..=of).collect::<Vec<_>>(), "{about}");
    assert!(info.wanted()[1..].iter().all(|replica| replica.incarnation > 0), "{about}: {info:?}");
    found.close().unwrap();
    for broker in brokers {
        let properties = MetaProperties::of(&(Arc::new(disk.clone()) as SharedDisk), &dir(*broker)).unwrap();
        assert!(properties.recovery > 0 && properties.recovering.is_none(), "{about}: {properties:?}");
        assert_eq!(properties.incarnation == 0, *broker == 1, "{about}: only one goes on with its metadata");
    }
}

/// No broker starts in the middle; and whatever was done, the rest can be.
fn go_on(left: &SimDisk, (brokers, of): (&[i32], i32), about: &str) {
    let started = Storage::open(Arc::new(left.clone()), &config(dir(1), 1), &Random::os());
    match started {
        Ok(storage) => storage.close().unwrap(),
        Err(StorageError::Recovering { .. }) => {}
        Err(error) => panic!("{about}: {error}"),
    }
    let again = open(left, brokers).unwrap_or_else(|error| panic!("{about}: {error}"));
    match again.is_needed() {
        true => again.carry_out().unwrap_or_else(|error| panic!("{about}: {error}")),
        false => again.close().unwrap(),
    }
    check(left, (brokers, of), about);
}

async fn cut_off_at_every_step(brokers: &[i32], lost: &[i32], of: i32) {
    let disk = cluster(of).await;
    for broker in lost {
        disk.remove_dir_all(&dir(*broker)).unwrap();
    }
    disk.sync_dir(Path::new("/")).unwrap();
    let whole = disk.process_killed();
    open(&whole, brokers).unwrap().carry_out().unwrap();
    check(&whole, (brokers, of), "without a cut");
    let (mut stopped, mut step) = (0, 1);
    loop {
        let disk = disk.process_killed();
        disk.crash_at(step);
        let done = open(&disk, brokers).and_then(Recovery::carry_out);
        let about = format!("step {step}");
        go_on(&disk.process_killed(), (brokers, of), &about);
        go_on(&disk.power_cut(step), (brokers, of), &format!("{about}, without power"));
        if done.is_ok() {
            break;
        }
        (stopped, step) = (stopped + 1, step + 1);
    }
    assert!(stopped > 20, "{stopped} steps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_needed_gives_up_its_metadata_whatever_step_is_the_last() {
    cut_off_at_every_step(&[1, 2], &[3], 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_log_of_three_is_put_alone_whatever_step_is_the_last() {
    cut_off_at_every_step(&[1], &[2, 3], 3).await;
}

fn log(broker_id: i32, last: (i32, u64), end: i64, voters: &[i32]) -> Found {
    let node = |id: &i32| NodeId::new(*id, 0);
    let remains = Remains {
        node: Some(node(&broker_id)),
        last: Some(last),
        log_end_offset: end,
        high_watermark: end,
        epoch: last.0,
        voters: vec![voters.iter().map(node).collect()],
        ..Remains::default()
    };
    Found { broker_id, remains }
}

#[test]
fn the_newest_last_frame_wins_and_a_majority_is_left_alone() {
    let five = [1, 2, 3, 4, 5];
    let found = [log(1, (3, 90), 80, &five), log(4, (4, 70), 60, &five)];
    let fate = judge(&found, |_| true, 2);
    assert_eq!(fate, Fate::Survives { broker_id: 4, epoch: epoch_above(&found, 2) });
    let Fate::Survives { epoch, .. } = fate else { unreachable!() };
    assert!(epoch > 4 && epoch_above(&found, 1000) > 1000);
    let more = [found.as_slice(), &[log(5, (4, 71), 61, &five)]].concat();
    assert_eq!(judge(&more, |_| true, 2), Fate::Well);
    assert!(matches!(judge(&more, |found| found.broker_id != 1, 2), Fate::Survives { broker_id: 5, .. }));
    assert_eq!(judge(&[], |_| true, 2), Fate::Gone);
    let given_up = more.iter().cloned().map(|mut found| {
        found.remains.given_up = true;
        found
    });
    assert!(matches!(judge(&given_up.collect::<Vec<_>>(), |_| true, 2), Fate::Survives { broker_id: 5, .. }));
    let mut unreadable = found.to_vec();
    unreadable[1].remains.failure = Some("damaged".into());
    assert!(matches!(judge(&unreadable, |_| true, 2), Fate::Survives { broker_id: 1, .. }));
}

#[test]
fn while_the_voters_change_each_list_needs_a_majority() {
    let mut joint = [log(1, (3, 90), 80, &[1, 2]), log(2, (3, 90), 80, &[1, 2])];
    for found in &mut joint {
        found.remains.voters.push([3, 4, 5].map(|id| NodeId::new(id, 0)).to_vec());
    }
    assert!(matches!(judge(&joint, |_| true, 0), Fate::Survives { broker_id: 1, .. }));
}

#[test]
fn what_is_known_to_be_committed_and_in_no_log_is_told() {
    let mut found = vec![log(1, (3, 90), 80, &[1, 2, 3]), log(2, (3, 95), 85, &[1, 2, 3])];
    found[1].remains.failure = Some("damaged".into());
    let fate = judge(&found, |_| true, 0);
    let group = Group { key: ORDERS, topic: "orders".into(), brokers: vec![1, 2, 3], found, fate };
    assert_eq!((group.survivor().unwrap().broker_id, group.lost()), (1, Some((80, 85))));
}
