//! Does faults to a set of broker processes: finds out who leads and who controls, and undoes what it did. Works for one
//! broker as for many; what needs more brokers than there are, or rights that we do not have, is not done. Not here: when
//! (`schedule`); clocks that jump, which need a broker built for it; membership, which needs the cluster's own commands.
//! A story that can do these wraps this and does them first.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tidemark_client::{Client, ClientConfig, ClientError, RetryConfig};
use tokio::runtime::Runtime;

use super::{
    client::Key,
    fleet::Fleet,
    keys::LiveKeys,
    network::{Condition, Network, OUTSIDE},
    questions::{equal, quorum, settled},
    random::Random,
    schedule::{Fault, Faults, Step},
    slow_disk::SlowDisk,
    volume::Volume,
};

/// How long the cluster may take to say who leads.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How long replicas may take to catch up with each other when nothing is wrong any more.
pub const WHOLE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Brokers without which a replica that lost its data cannot be refilled.
const WIPE_NODES_MIN: usize = 3;

/// How long each sync of a slow disk takes: shortest and longest.
const SYNC_MS: (u64, u64) = (20, 500);

/// What a step does, decided before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Deed {
    Kill(usize),
    KillAll,
    Stop(usize),
    Isolate(usize),
    CutOneWay(usize, usize),
    Wipe(usize),
    Fill(usize),
    /// Each sync takes so many milliseconds.
    SlowDisk(usize, u64),
}

/// A cluster under test.
#[derive(Debug)]
pub struct Cluster {
    /// Its processes.
    pub fleet: Fleet,
    /// What lies between them; None if they call each other directly.
    pub network: Option<Network>,
    /// By place, what the data lie on, where that can run full.
    pub volumes: Vec<Option<Volume>>,
    slow_disk: Option<SlowDisk>,
    /// Kafka's broker ids, by place in the fleet.
    node_ids: Vec<i32>,
    keys: Arc<LiveKeys>,
    runtime: Runtime,
    deed: Option<Deed>,
}

impl Cluster {
    /// Fleet, the ids of its brokers, and the keys whose leaders are to be struck.
    ///
    /// # Panics
    /// If the system gives no thread.
    pub fn new(fleet: Fleet, network: Option<Network>, node_ids: Vec<i32>, keys: Arc<LiveKeys>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let cluster =
            Self { fleet, network, volumes: Vec::new(), slow_disk: None, node_ids, keys, runtime, deed: None };
        cluster.name_processes();
        cluster
    }

    /// The network knows brokers by their processes, which change with every start.
    fn name_processes(&self) {
        let Some(network) = &self.network else { return };
        for node in 0..self.fleet.len() {
            self.fleet.process_id(node).iter().for_each(|pid| network.set_process(node, *pid));
        }
    }

    /// Asks whoever answers; a fresh client, so that nothing is remembered.
    fn ask<T>(&self, question: impl AsyncFn(Client) -> Result<T, ClientError>) -> Option<T> {
        let direct = (0..self.fleet.len()).map(|node| self.fleet.address(node).to_string());
        let mut config = ClientConfig::new(direct);
        (config.request_timeout, config.connect_timeout) = (ASK_LIMIT, ASK_LIMIT);
        config.retry = RetryConfig { timeout: ASK_LIMIT, ..RetryConfig::default() };
        let asked = async { question(Client::connect(config).await?).await };
        self.runtime.block_on(async { tokio::time::timeout(ASK_LIMIT, asked).await.ok()?.ok() })
    }

    fn place_of(&self, node_id: i32) -> Option<usize> {
        self.node_ids.iter().position(|known| *known == node_id)
    }

    /// Who leads a key, as the cluster says it.
    pub fn leader(&self, key: &Key) -> Option<usize> {
        let topic = self.ask(async |client| client.topic(&key.topic).await)?;
        let partition = topic.partitions.iter().find(|partition| partition.partition == key.partition)?;
        self.place_of(partition.leader?)
    }

    /// Who is the controller: who leads the metadata's log, or the only broker.
    pub fn controller(&self) -> Option<usize> {
        if self.fleet.len() == 1 {
            return Some(0);
        }
        let leader = |node| quorum(self.fleet.address(node)).and_then(|quorum| self.place_of(quorum.leader_id.0));
        self.fleet.alive().into_iter().find_map(leader)
    }

    /// Waits until every partition is led, nothing moves, and all brokers hold the same.
    ///
    /// # Panics
    /// If that takes longer than `limit`; the message says what was missing last.
    pub fn await_whole(&self, limit: Duration) {
        self.await_settled(limit, equal);
    }

    /// Waits until every partition is led, nothing moves, and `also` is content with the brokers at these addresses.
    fn await_settled(&self, limit: Duration, also: impl Fn(&[SocketAddr]) -> Result<(), String>) {
        let end = Instant::now() + limit;
        while let Err(missing) = self.settled(&also) {
            assert!(Instant::now() < end, "the cluster is not whole again after {limit:?}: {missing}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What the cluster lacks, if anything.
    fn settled(&self, also: impl Fn(&[SocketAddr]) -> Result<(), String>) -> Result<(), String> {
        let addresses: Vec<_> = self.fleet.alive().into_iter().map(|node| self.fleet.address(node)).collect();
        let described = self.ask(async |client| {
            let names: Vec<_> = self.keys.topics().iter().map(String::as_str).collect();
            client.admin().describe_topics(&names).await
        });
        let mut partitions = Vec::new();
        for (name, topic) in described.ok_or("nobody describes the topics")? {
            let topic = topic.map_err(|error| format!("{name}: {error}"))?;
            partitions.extend(topic.partitions.into_iter().map(|partition| (name.clone(), partition)));
        }
        let unled = partitions.iter().find(|(_, at)| at.leader.is_none());
        if let Some((name, at)) = unled {
            return Err(format!("{name}-{} has no leader", at.partition));
        }
        settled(&addresses, self.fleet.len())?;
        also(&addresses)
    }

    /// Partitions whose in-sync replicas, as the metadata has them, are fewer than their replicas.
    pub fn out_of_sync(&self) -> Vec<String> {
        let described = self.ask(async |client| {
            let names: Vec<_> = self.keys.topics().iter().map(String::as_str).collect();
            client.admin().describe_topics(&names).await
        });
        let topics = described.into_iter().flatten().filter_map(|(name, topic)| Some((name, topic.ok()?)));
        let short = topics.flat_map(|(name, topic)| {
            let short = topic.partitions.into_iter().filter(|at| at.isr.len() < at.replicas.len());
            short
                .map(move |at| format!("{name}-{}: {:?} of {:?}", at.partition, at.isr, at.replicas))
                .collect::<Vec<_>>()
        });
        short.collect()
    }

    /// Whom a broker can be cut off from: the other brokers, or the clients if there is no other.
    fn others(&self, node: usize) -> Vec<usize> {
        let others: Vec<_> = (0..self.fleet.len()).filter(|other| *other != node).collect();
        if others.is_empty() { vec![OUTSIDE] } else { others }
    }

    fn volume(&self, node: usize) -> Option<&Volume> {
        self.volumes.get(node)?.as_ref()
    }

    fn decide(&self, step: &Step) -> Option<Deed> {
        let alive = self.fleet.alive();
        let any = step.pick(&alive)?;
        let key =
            || step.pick(&(0..self.keys.live().len()).collect::<Vec<_>>()).map(|n| self.keys.live().swap_remove(n));
        match step.fault {
            Fault::LeaderKill => self.leader(&key()?).map(Deed::Kill),
            Fault::FollowerKill => {
                let leader = self.leader(&key()?)?;
                let others: Vec<_> = alive.into_iter().filter(|node| *node != leader).collect();
                step.pick(&others).map(Deed::Kill)
            }
            Fault::ControllerKill => self.controller().map(Deed::Kill),
            Fault::AllKill => Some(Deed::KillAll),
            Fault::Stop => Some(Deed::Stop(any)),
            Fault::Wipe if alive.len() >= WIPE_NODES_MIN => {
                // of two lost disks nobody would know all
                self.await_settled(WHOLE_WITHIN, |_| Ok(()));
                Some(Deed::Wipe(any))
            }
            Fault::Cut if self.network.is_some() => Some(Deed::Isolate(any)),
            Fault::CutOneWay if self.network.is_some() => {
                let other = step.pick(&self.others(any))?;
                // the low bit chose the broker already
                let (from, to) = if step.pick >> 32 & 1 == 0 { (any, other) } else { (other, any) };
                Some(Deed::CutOneWay(from, to))
            }
            Fault::FullDisk => {
                let with_volume: Vec<_> = alive.into_iter().filter(|node| self.volume(*node).is_some()).collect();
                step.pick(&with_volume).map(Deed::Fill)
            }
            Fault::SlowDisk if SlowDisk::is_possible() => {
                let sync_ms = Random::new(step.pick).between(SYNC_MS.0, SYNC_MS.1);
                Some(Deed::SlowDisk(any, sync_ms))
            }
            Fault::Wipe | Fault::Cut | Fault::CutOneWay | Fault::SlowDisk | Fault::ClockJump | Fault::Membership => {
                None
            }
        }
    }

    /// All run and reach each other; who is dead starts again, in an order that `pick` decides.
    pub fn heal(&mut self, pick: u64) {
        self.slow_disk = None;
        self.volumes.iter().flatten().for_each(Volume::free);
        if let Some(network) = &self.network {
            network.heal();
        }
        let mut random = Random::new(pick);
        let (mut left, mut order): (Vec<_>, Vec<_>) = ((0..self.fleet.len()).collect(), Vec::new());
        while !left.is_empty() {
            order.push(left.swap_remove(random.below(left.len() as u64) as usize));
        }
        order.iter().for_each(|node| self.fleet.go_on(*node));
        self.fleet.start_all_again(&order);
        self.name_processes();
    }
}

impl Faults for Cluster {
    fn describe(&mut self, step: &Step) -> Option<String> {
        self.deed = self.decide(step);
        let id =
            |node: &usize| self.node_ids.get(*node).map_or_else(|| "clients".to_owned(), |id| format!("broker {id}"));
        Some(match self.deed.as_ref()? {
            Deed::KillAll => "all".to_owned(),
            Deed::Kill(node) | Deed::Stop(node) | Deed::Isolate(node) | Deed::Wipe(node) | Deed::Fill(node) => id(node),
            Deed::SlowDisk(node, sync_ms) => format!("{}: syncs take {sync_ms} ms", id(node)),
            Deed::CutOneWay(from, to) => format!("{} to {}", id(from), id(to)),
        })
    }

    fn begin(&mut self, _: &Step) {
        match (&self.deed, &self.network) {
            (Some(Deed::Kill(node)), _) => self.fleet.kill(*node),
            (Some(Deed::KillAll), _) => self.fleet.kill_all(),
            (Some(Deed::Stop(node)), _) => self.fleet.stop(*node),
            (Some(Deed::Wipe(node)), _) => self.fleet.wipe(*node),
            (Some(Deed::Fill(node)), _) => self.volume(*node).into_iter().for_each(Volume::fill),
            (Some(Deed::SlowDisk(node, sync_ms)), _) => {
                let process = self.fleet.process_id(*node);
                self.slow_disk = process.and_then(|process| SlowDisk::hold(process, *sync_ms));
            }
            (Some(Deed::Isolate(node)), Some(network)) => network.isolate(*node, self.others(*node)),
            (Some(Deed::CutOneWay(from, to)), Some(network)) => network.set(*from, *to, Condition::Cut),
            (Some(Deed::Isolate(_) | Deed::CutOneWay(..)), None) | (None, _) => {}
        }
    }

    fn end(&mut self, step: &Step) {
        self.heal(step.pick);
        self.deed = None;
    }
}
