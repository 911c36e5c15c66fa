//! Topics and partitions as the metadata knows them: which replicas there are, which are wanted, and what the leader last said.
//!
//! Who leads is decided inside the partition's own Raft group; the metadata repeats what its leader reported.

use std::collections::BTreeMap;

use uuid::Uuid;

/// "Nobody" where a broker id stands.
pub const NO_BROKER: i32 = -1;

/// One log of a partition. A broker that lost its log, or left and came back, gets a new incarnation: Raft must not take it for
/// one that still knows what it promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica {
    /// The broker that holds it.
    pub broker_id: i32,
    /// Which of the logs that the broker ever had of this partition.
    pub incarnation: u32,
}

impl Replica {
    /// The replica of this broker and incarnation.
    pub const fn new(broker_id: i32, incarnation: u32) -> Self {
        Self { broker_id, incarnation }
    }
}

/// First logs of these brokers.
pub fn first_replicas(broker_ids: &[i32]) -> Vec<Replica> {
    broker_ids.iter().map(|id| Replica::new(*id, 0)).collect()
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Members of its group, the preferred leader first.
    pub replicas: Vec<Replica>,
    /// Members that its group shall have, while that differs.
    pub target: Option<Vec<Replica>>,
    /// Members whose logs are gone: another log was once wanted in their place, whatever is wanted now.
    pub lost: Vec<Replica>,
    /// Broker that leads, as its leader reported it; -1 before the first report.
    pub leader: i32,
    /// Since which epoch; -1 before the first report.
    pub leader_epoch: i32,
    /// Brokers in sync, as the leader reported it.
    pub isr: Vec<i32>,
    /// Highest incarnation that any replica of it ever had.
    pub last_incarnation: u32,
}

impl PartitionInfo {
    /// A partition that was just made.
    pub fn new(replicas: Vec<Replica>) -> Self {
        let isr = replicas.iter().map(|replica| replica.broker_id).collect();
        let last_incarnation = highest(&replicas);
        Self { replicas, target: None, lost: Vec::new(), leader: NO_BROKER, leader_epoch: -1, isr, last_incarnation }
    }

    /// Members that the leader works towards: the target, or what there is.
    pub fn wanted(&self) -> &[Replica] {
        self.target.as_deref().unwrap_or(&self.replicas)
    }

    /// The replica that a broker shall hold: its log is made if it is not there.
    pub fn wanted_on(&self, broker_id: i32) -> Option<Replica> {
        self.wanted().iter().find(|replica| replica.broker_id == broker_id).copied()
    }

    /// The replica that a broker shall hold, or still holds though it is not wanted any more: the log of such a one is kept while
    /// it is there, and never made. One that is lost is not told.
    pub fn replica_on(&self, broker_id: i32) -> Option<Replica> {
        let mut left = self.replicas.iter().filter(|replica| !self.lost.contains(replica));
        self.wanted_on(broker_id).or_else(|| left.find(|replica| replica.broker_id == broker_id).copied())
    }

    /// Its brokers as Kafka lists them: those wanted, then those that leave.
    pub fn broker_ids(&self) -> Vec<i32> {
        let wanted = self.wanted().iter().map(|replica| replica.broker_id);
        wanted.chain(self.removing()).collect()
    }

    /// Brokers that it moves to.
    pub fn adding(&self) -> Vec<i32> {
        outside(self.wanted(), &self.replicas)
    }

    /// Brokers that it moves away from.
    pub fn removing(&self) -> Vec<i32> {
        outside(&self.replicas, self.wanted())
    }

    /// Whether it moves from broker to broker. A log that is replaced on its own broker does not count, as no Kafka API can say it.
    pub fn is_reassigning(&self) -> bool {
        self.target.is_some() && !(self.adding().is_empty() && self.removing().is_empty())
    }

    /// Whether a broker lost its log, and the one in its place is not a member yet.
    pub fn is_refilled_on(&self, broker_id: i32) -> bool {
        let had = self.replicas.iter().find(|replica| replica.broker_id == broker_id);
        had.is_some_and(|had| self.wanted_on(broker_id).is_some_and(|wanted| wanted != *had))
    }

    /// The broker that should lead.
    pub fn preferred_leader(&self) -> i32 {
        self.wanted().first().map_or(NO_BROKER, |replica| replica.broker_id)
    }

    /// Its group has other members now.
    pub(super) fn set_replicas(&mut self, replicas: &[Replica], last_incarnation: u32) {
        self.replicas = replicas.to_vec();
        self.note_lost();
        self.saw_incarnations(replicas);
        self.last_incarnation = self.last_incarnation.max(last_incarnation);
    }

    /// Its group shall have other members.
    pub(super) fn set_target(&mut self, target: Option<&[Replica]>) {
        self.target = target.map(<[Replica]>::to_vec);
        self.note_lost();
        self.saw_incarnations(target.unwrap_or_default());
    }

    /// A member is lost for good once another log is wanted on its broker.
    fn note_lost(&mut self) {
        let wanted = self.target.as_deref().unwrap_or_default();
        let other = |member: &Replica| {
            let mut there = wanted.iter().filter(|replica| replica.broker_id == member.broker_id);
            there.any(|replica| replica.incarnation != member.incarnation)
        };
        let lost = self.replicas.iter().filter(|member| other(member) || self.lost.contains(member));
        self.lost = lost.copied().collect();
    }

    fn saw_incarnations(&mut self, replicas: &[Replica]) {
        self.last_incarnation = self.last_incarnation.max(highest(replicas));
    }
}

fn highest(replicas: &[Replica]) -> u32 {
    replicas.iter().map(|replica| replica.incarnation).max().unwrap_or(0)
}

/// Brokers of `these` that have nothing in `those`.
fn outside(these: &[Replica], those: &[Replica]) -> Vec<i32> {
    let has = |id: i32| those.iter().any(|replica| replica.broker_id == id);
    these.iter().map(|replica| replica.broker_id).filter(|id| !has(*id)).collect()
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its id, never used again.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// By number, from 0.
    pub partitions: Vec<PartitionInfo>,
    /// Settings that differ from their defaults.
    pub configs: BTreeMap<String, String>,
}

impl Topic {
    /// A partition by its number.
    pub fn partition(&self, index: i32) -> Option<&PartitionInfo> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}
