//! Brokers in one process: each has a simulated disk, its storage, its groups and one replica of the partition. A carrier of
//! channels joins them; it can cut a way, hold what passes, and lose answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tidemark_record::{BatchBuilder, BatchHeader, batch};
use tokio::{sync::watch, time::Instant};

use super::{
    super::super::{
        Appending, Carrier, CarrierError, CommitListener, GroupTiming, Groups, Lane, Proposed, ReplicaError, Role,
    },
    gated_disk::{Gate, GatedDisk},
    *,
};
use crate::os::disk::RealDisk;

/// How long a test waits for what must happen.
pub const SOON: Duration = Duration::from_secs(30);

/// Elections that a test does not have to wait for.
const TIMING: GroupTiming = GroupTiming { heartbeat_ms: 100, election_ms_min: 300, election_ms_max: 500 };

/// One start of a broker: its number, and what runs.
type Started = (u64, Groups, Arc<Replica>);

/// The network of one cluster.
#[derive(Default)]
pub struct Net {
    /// By broker, with a number that each start has for itself.
    brokers: Mutex<BTreeMap<i32, Started>>,
    starts: AtomicU64,
    /// Ways (from, to) on which requests are lost.
    cut: Mutex<BTreeSet<(i32, i32)>>,
    /// Ways on which requests arrive and answers do not: the caller waits.
    hung: watch::Sender<BTreeSet<(i32, i32)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    /// Which start of a broker runs.
    fn start_of(&self, broker: i32) -> Option<u64> {
        lock(&self.brokers).get(&broker).map(|(start, ..)| *start)
    }

    /// Proposes a batch at whoever leads, if anybody does, and waits a while for its commit. `None`: nobody knows what became of
    /// it. An answer of a process that was killed is none.
    pub async fn propose(&self, batch: &Bytes) -> Option<Result<Appending, ReplicaError>> {
        let leads = |(_, (_, _, replica)): &(&i32, &Started)| replica.role().leads();
        let leader = lock(&self.brokers)
            .iter()
            .filter(leads)
            .map(|(at, (start, _, replica))| (*at, *start, replica.clone()))
            .max_by_key(|(_, _, replica)| replica.role().epoch());
        let (broker, start, replica) = leader?;
        let header = batch::verify(batch).unwrap();
        let answer = match replica.propose(batch.clone(), &header, None, 0) {
            Ok(Proposed::Appended(appended)) => Ok(appended),
            Ok(Proposed::Pending(proposal)) => {
                tokio::time::timeout(Duration::from_millis(1500), proposal.committed()).await.ok()?
            }
            Err(error) => Err(error),
        };
        (self.start_of(broker) == Some(start)).then_some(answer)
    }

    /// Nothing passes from one to the other any more, or again.
    pub fn cut(&self, from: i32, to: i32, cut: bool) {
        let mut ways = lock(&self.cut);
        if cut {
            ways.insert((from, to))
        } else {
            ways.remove(&(from, to))
        };
    }

    /// A broker is alone, or back.
    pub fn isolate(&self, broker: i32, others: &[i32], cut: bool) {
        for other in others.iter().filter(|other| **other != broker) {
            self.cut(broker, *other, cut);
            self.cut(*other, broker, cut);
        }
    }

    /// Answers from one to the other are held back, or let go.
    pub fn hang(&self, from: i32, to: i32, hang: bool) {
        self.hung.send_modify(|ways| {
            if hang {
                ways.insert((from, to))
            } else {
                ways.remove(&(from, to))
            };
        });
    }
}

/// What one broker calls the others through.
struct Wire {
    own: i32,
    net: Weak<Net>,
}

impl Carrier for Wire {
    fn call(&self, to: NodeId, _: Lane, body: Vec<Bytes>) -> BoxFuture<'static, Result<Bytes, CarrierError>> {
        let gone = || std::future::ready(Err(CarrierError::Unreachable("cut".to_owned()))).boxed();
        let (own, to) = (self.own, to.broker());
        let Some(net) = self.net.upgrade() else { return gone() };
        let Some((start, groups, _)) = lock(&net.brokers).get(&to).cloned() else { return gone() };
        if lock(&net.cut).contains(&(own, to)) {
            return gone();
        }
        let serving = groups.serve(NodeId::new(own, 0), Bytes::from(body.concat()));
        let mut hung = net.hung.subscribe();
        async move {
            let answer = serving.await;
            let _ = hung.wait_for(|ways| !ways.contains(&(to, own))).await;
            // a process that was killed answers nothing, whatever it still did
            if net.start_of(to) != Some(start) || lock(&net.cut).contains(&(to, own)) {
                return Err(CarrierError::Lost("cut".to_owned()));
            }
            answer.map(|parts| Bytes::from(parts.concat())).map_err(|error| CarrierError::Lost(error.to_string()))
        }
        .boxed()
    }
}

/// What a replica told its partition.
#[derive(Debug)]
pub struct Heard {
    pub high_watermark: watch::Sender<i64>,
    pub roles: Mutex<Vec<Role>>,
}

impl CommitListener for Heard {
    fn on_commit(&self, high_watermark: i64, _: usize) {
        self.high_watermark.send_modify(|known| *known = (*known).max(high_watermark));
    }
    fn on_failure(&self) {}
    fn on_role_change(&self, role: Role) {
        lock(&self.roles).push(role);
    }
}

/// One broker that runs.
pub struct Broker {
    pub storage: Arc<Storage>,
    pub groups: Groups,
    pub replica: Arc<Replica>,
    pub heard: Arc<Heard>,
}

/// Brokers 1, 2, 3, … of one partition.
pub struct Cluster {
    pub net: Arc<Net>,
    pub disks: BTreeMap<i32, SimDisk>,
    pub gates: BTreeMap<i32, Arc<Gate>>,
    pub running: BTreeMap<i32, Broker>,
}

impl Cluster {
    /// So many voters, all running, and a leader elected.
    pub async fn of(count: i32) -> Self {
        let mut cluster = Self::empty();
        let voters: Vec<NodeId> = (1..=count).map(node).collect();
        for broker in 1..=count {
            let kind = ReplicaKind::Voter { node: node(broker), voters: &voters };
            cluster.add(broker, kind).await;
        }
        cluster.leader().await;
        cluster
    }

    /// The same over real directories, with settings as in life.
    pub async fn on_real_disks(dir: &Path, count: i32) -> Self {
        let mut cluster = Self::empty();
        let voters: Vec<NodeId> = (1..=count).map(node).collect();
        for broker in 1..=count {
            let config = StorageConfig::new(dir.join(broker.to_string()), broker);
            let storage = Storage::open(Arc::new(RealDisk), &config, &Random::os()).unwrap();
            let kind = ReplicaKind::Voter { node: node(broker), voters: &voters };
            let replica = storage.create_replica(KEY, "t-0", LogConfig::default(), kind).unwrap();
            cluster.run(broker, storage, replica.clone()).await;
            replica.configure(LogConfig::default(), i64::MAX, i64::MAX);
        }
        cluster.leader().await;
        cluster
    }

    pub fn empty() -> Self {
        Self { net: Arc::default(), disks: BTreeMap::new(), gates: BTreeMap::new(), running: BTreeMap::new() }
    }

    /// A new broker with a new replica, which runs.
    pub async fn add(&mut self, broker: i32, kind: ReplicaKind<'_>) {
        self.disks.insert(broker, fresh());
        let storage = self.open(broker);
        let replica = make(&storage, kind);
        storage.sync().unwrap();
        self.run(broker, storage, replica).await;
    }

    fn open(&mut self, broker: i32) -> Arc<Storage> {
        let (disk, gate) = (self.disks[&broker].clone(), Gate::new(Duration::ZERO));
        self.gates.insert(broker, Arc::clone(&gate));
        open_storage(Arc::new(GatedDisk { disk, gate }), broker)
    }

    pub async fn run(&mut self, broker: i32, storage: Arc<Storage>, replica: Arc<Replica>) {
        let wire = Arc::new(Wire { own: broker, net: Arc::downgrade(&self.net) });
        let groups = Groups::new(wire, TIMING).unwrap();
        let heard = Heard { high_watermark: watch::Sender::new(replica.high_watermark()), roles: Mutex::default() };
        let heard = Arc::new(heard);
        replica.listen(heard.clone());
        replica.configure(log_config(), i64::MAX, i64::MAX);
        if !matches!(replica.role(), Role::Solo { .. }) && !replica.has_failed() {
            groups.start(&replica).await.unwrap();
        }
        let start = self.net.starts.fetch_add(1, Ordering::Relaxed);
        lock(&self.net.brokers).insert(broker, (start, groups.clone(), replica.clone()));
        self.running.insert(broker, Broker { storage, groups, replica, heard });
    }

    /// A broker's process ends at once; `disk` says what its disk is then.
    pub async fn kill(&mut self, broker: i32, disk: impl FnOnce(&SimDisk) -> SimDisk) {
        let gone = self.running.remove(&broker).unwrap();
        lock(&self.net.brokers).remove(&broker);
        let left = disk(&self.disks[&broker]);
        self.disks.insert(broker, left);
        self.gates[&broker].open();
        gone.groups.stop(&gone.replica).await.unwrap();
        // what it still writes goes to a disk that nobody looks at any more
        drop(gone.storage.close());
    }

    /// A broker starts over its disk.
    pub async fn start(&mut self, broker: i32) {
        let storage = self.open(broker);
        let replica = storage.replicas().pop().unwrap().1;
        self.run(broker, storage, replica).await;
    }

    /// Waits for a leader that another broker knows too, and gives it.
    pub async fn leader(&self) -> i32 {
        let deadline = Instant::now() + SOON;
        loop {
            let leaders: Vec<(i32, i32)> = self
                .running
                .iter()
                .filter_map(|(broker, running)| match running.replica.role() {
                    Role::Leader { epoch } => Some((epoch, *broker)),
                    _ => None,
                })
                .collect();
            if let Some((epoch, leader)) = leaders.into_iter().max() {
                let follows = |running: &&Broker| running.replica.role().epoch() == epoch;
                if self.running.values().filter(follows).count() >= self.running.len().min(2) {
                    return leader;
                }
            }
            assert!(Instant::now() < deadline, "no leader");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn replica(&self, broker: i32) -> &Arc<Replica> {
        &self.running[&broker].replica
    }

    /// Proposes one batch at a broker and waits for its commit. An answer of a process that was killed is none.
    pub async fn write(&self, broker: i32, round: i64) -> Result<Appending, ReplicaError> {
        let bytes = bytes_of(round);
        let header = batch::verify(&bytes).unwrap();
        match self.replica(broker).propose(bytes, &header, None, 0)? {
            Proposed::Appended(appended) => Ok(appended),
            Proposed::Pending(proposal) => proposal.committed().await,
        }
    }

    /// Writes one batch at whoever leads, trying again until it is committed.
    pub async fn write_somewhere(&self, round: i64) -> Appending {
        let deadline = Instant::now() + SOON;
        loop {
            let leader = self.leader().await;
            if let Ok(Ok(done)) = tokio::time::timeout(Duration::from_secs(3), self.write(leader, round)).await {
                return done;
            }
            assert!(Instant::now() < deadline, "not written");
        }
    }

    /// Waits until a broker's high watermark is there.
    pub async fn committed(&self, broker: i32, offset: i64) {
        let mut seen = self.running[&broker].heard.high_watermark.subscribe();
        let wait = seen.wait_for(|high_watermark| *high_watermark >= offset);
        assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "broker {broker} is not at {offset}");
    }
}

pub fn bytes_of(round: i64) -> Bytes {
    let mut builder = BatchBuilder::new();
    (0..3).for_each(|i| builder.append_plain(round * 10 + i, Some(b"k"), Some(&[round as u8; 50])));
    builder.build().unwrap()
}

/// Every batch from the log start up to the high watermark, whole.
pub fn batches(replica: &Replica) -> Vec<Vec<u8>> {
    let end = replica.high_watermark();
    let mut offset = replica.look(|log| log.log_start_offset()).unwrap();
    let mut batches = Vec::new();
    while offset < end {
        let read = replica.look(|log| log.read(offset, 1, true, end)).unwrap().unwrap();
        let mut bytes = Vec::new();
        for slice in &read.slices {
            let mut piece = vec![0; slice.len];
            slice.file.read_exact_at(&mut piece, slice.position).unwrap();
            bytes.extend(piece);
        }
        offset = batch::verify(&bytes).unwrap().next_offset();
        batches.push(bytes);
    }
    batches
}

/// Their headers.
pub fn headers(replica: &Replica) -> Vec<BatchHeader> {
    batches(replica).iter().map(|bytes| BatchHeader::parse(bytes).unwrap()).collect()
}

/// Rounds below the high watermark, each checked to be as it was sent.
pub fn rounds(replica: &Replica) -> Vec<i64> {
    let round_of = |bytes: Vec<u8>| {
        let round = BatchHeader::parse(&bytes).unwrap().base_timestamp / 10;
        assert_eq!(bytes[16..], bytes_of(round)[16..]);
        round
    };
    batches(replica).into_iter().map(round_of).collect()
}

/// Waits for what must come true.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
