//! A leader that has just been elected and does not know yet how much of its log is committed: two members of a group, of which
//! a leader can be made mute.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

use tokio::sync::watch;

use super::{
    super::{
        partition::{Partition, Shared},
        settings::PartitionSettings,
    },
    *,
};
use crate::metadata::TopicSettings;

/// How long a test waits for what must happen.
const SOON: Duration = Duration::from_secs(60);

struct Member {
    disk: SimDisk,
    groups: Groups,
    partition: Arc<Partition>,
}

/// What carries calls between the members.
struct Net {
    members: Mutex<HashMap<i32, (Groups, Arc<Partition>)>>,
    /// Who leads is not heard.
    mute: watch::Sender<bool>,
}

struct Wire(i32, Arc<Net>);

impl Carrier for Wire {
    fn call(&self, to: NodeId, _: Lane, body: Vec<Bytes>) -> BoxFuture<'static, Result<Bytes, CarrierError>> {
        let (own, net) = (self.0, self.1.clone());
        async move {
            let gone = || CarrierError::Unreachable("gone".to_owned());
            let member = |id| net.members.lock().unwrap().get(&id).cloned().ok_or_else(gone);
            if member(own)?.1.role().leads() {
                let _ = net.mute.subscribe().wait_for(|mute| !mute).await;
            }
            let serving = member(to.broker())?.0.serve(NodeId::new(own, 0), body.concat().into());
            let answer = serving.await.map_err(|error| CarrierError::Lost(error.to_string()))?;
            Ok(answer.concat().into())
        }
        .boxed()
    }
}

/// Starts broker `id` over a disk.
async fn start(net: &Arc<Net>, id: i32, disk: SimDisk) -> Member {
    let config = StorageConfig { reserve_bytes: 0, ..StorageConfig::new(DIR.into(), id) };
    let storage = Storage::open(Arc::new(disk.clone()), &config, &Random::os()).unwrap();
    let settings =
        PartitionSettings::of(&TopicSettings::resolve(&Default::default(), None, &BrokerDefaults::default()), 1000);
    let voters = [1, 2].map(|id| NodeId::new(id, 0));
    let replica = storage.replicas().pop().map(|(_, replica)| replica).unwrap_or_else(|| {
        let kind = ReplicaKind::Voter { node: NodeId::new(id, 0), voters: &voters };
        storage.create_replica((ID, 0), "t-0", settings.log, kind).unwrap()
    });
    let config = PartitionsConfig {
        metadata_segment_bytes: 1 << 20,
        node_id: id,
        retention_check_interval_ms: 1,
        producer_id_expiration_ms: 1000,
        replica_lag_ms_max: 30_000,
        broker_defaults: BrokerDefaults::default(),
    };
    let timing = GroupTiming { heartbeat_ms: 100, election_ms_min: 300, election_ms_max: 500 };
    let groups = Groups::new(Arc::new(Wire(id, net.clone())), timing).unwrap();
    let known = Arc::new(OnceLock::new());
    let shared = Shared { clock: Clock::manual(NOW), roles: Arc::default(), groups: known, config: &config };
    let partition = Arc::new(Partition::new((ID, 0), replica.clone(), Arc::new(settings), shared));
    net.members.lock().unwrap().insert(id, (groups.clone(), partition.clone()));
    groups.start(&replica).await.unwrap();
    Member { disk, groups, partition }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_is_not_told_before_a_new_leader_knows_what_is_committed() {
    let net = Arc::new(Net { members: Mutex::default(), mute: watch::Sender::new(false) });
    let mut members = Vec::new();
    for id in [1, 2] {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/data")).unwrap();
        members.push(start(&net, id, disk).await);
    }
    let partitions: Vec<_> = members.iter().map(|member| member.partition.clone()).collect();
    until("a leader", || partitions.iter().any(|partition| partition.role().leads())).await;
    let at = partitions.iter().position(|partition| partition.role().leads()).unwrap();
    let leader = &partitions[at];
    leader.append(&batch(NOW, 10), &AppendOptions::client(AckLevel::All)).unwrap().done().await.unwrap();
    assert_eq!(leader.offset_for(OffsetSpec::Latest, false, -1).unwrap().offset, 1);
    // one more, which only this member has
    net.mute.send_replace(true);
    leader.append(&batch(NOW + 5, 10), &AppendOptions::client(AckLevel::Leader)).unwrap().done().await.unwrap();
    let id = at as i32 + 1;
    let old = members.swap_remove(at);
    let before = old.partition.leader_epoch();
    net.members.lock().unwrap().remove(&id);
    let disk = old.disk.process_killed();
    old.groups.stop(&old.partition.replica).await.unwrap();

    // the other lacks the second batch, so this one is elected, and hears of nobody
    let Member { partition, .. } = start(&net, id, disk).await;
    until("it leads again", || matches!(partition.role(), Role::Leader { epoch } if epoch > before)).await;
    let ask = |spec| partition.offset_for(spec, false, -1);
    for spec in [OffsetSpec::Latest, OffsetSpec::MaxTimestamp, OffsetSpec::Timestamp(NOW + 5)] {
        assert!(matches!(ask(spec), Err(OffsetError::OffsetNotAvailable)), "{spec:?}: {:?}", ask(spec));
    }
    assert_eq!(ask(OffsetSpec::Earliest).unwrap().offset, 0);
    net.mute.send_replace(false);
    until("it is known", || ask(OffsetSpec::Latest).is_ok_and(|found| found.offset == 2)).await;
    assert_eq!(ask(OffsetSpec::MaxTimestamp).unwrap().offset, 1);
}
