//! All groups of a broker: what they share, and starting, stopping and changing one. Not here: requests of other members
//! (`serve`), proposals.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak, atomic::AtomicBool},
};

use openraft::Config;

use super::{
    super::{carrier::Carrier, node_id::NodeId, replica::Replica, role::Role, storage::ReplicaKey},
    caught_up::{CaughtUp, InSyncCount},
    config::{self, GroupTiming, Raft},
    convert::{told, written},
    machine::Machine,
    peer::Network,
    proposal::Pending,
    purge,
    store::LogStore,
    transfer::Receiving,
};

/// Why a group could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The replica is alone, or has no log.
    #[error("the replica is in no group")]
    NoMember,
    /// The group was not started here.
    #[error("the group does not run here")]
    NotRunning,
    /// Another member leads, or none.
    #[error("another member leads the group, or none")]
    NotLeader {
        /// Who leads, if that is known.
        leader: Option<NodeId>,
    },
    /// openraft refused.
    #[error("{0}")]
    Refused(String),
    /// It did not happen in time; it may still happen.
    #[error("not done in time: {0}")]
    Timeout(&'static str),
    /// The log or the journal failed.
    #[error("storage: {0}")]
    Storage(String),
}

/// The running group of one replica.
pub struct Group {
    pub(super) node: NodeId,
    pub(super) raft: Raft,
    pub(super) pending: Arc<Pending>,
    /// The snapshot that is being received.
    pub(super) receiving: Mutex<Option<Receiving>>,
    pub(super) started: tokio::time::Instant,
    pub(super) caught_up: Mutex<CaughtUp>,
    /// Its core came to an end by itself, or is about to.
    pub(super) ended: AtomicBool,
    groups: Weak<Shared>,
    pub(super) in_sync: InSyncCount,
}

impl Group {
    /// The groups that it is one of, while there are any.
    pub(super) fn groups(&self) -> Option<Groups> {
        self.groups.upgrade().map(Groups)
    }

    /// Milliseconds since it runs here.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The groups of a broker; clones share them.
#[derive(Clone)]
pub struct Groups(Arc<Shared>);

struct Shared {
    carrier: Arc<dyn Carrier>,
    config: Arc<Config>,
    timing: GroupTiming,
    running: RwLock<HashMap<ReplicaKey, Running>>,
    /// Members of this broker that a leader called, and that do not run.
    missed: Mutex<HashMap<ReplicaKey, NodeId>>,
}

/// A group with the replica that it is of.
pub(super) type Running = (Arc<Group>, Arc<Replica>);

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

impl Groups {
    /// Groups whose members talk through `carrier`.
    ///
    /// # Errors
    /// Times that do not go together.
    pub fn new(carrier: Arc<dyn Carrier>, timing: GroupTiming) -> Result<Self, GroupError> {
        let config = config::config(timing).map_err(|error| GroupError::Refused(error.to_string()))?;
        Ok(Self(Arc::new(Shared { carrier, config, timing, running: RwLock::default(), missed: Mutex::default() })))
    }

    /// Runs the group of a replica that was recovered or made as a member. It follows until it is elected.
    ///
    /// # Errors
    /// The replica is alone, or its log cannot be read.
    pub async fn start(&self, replica: &Arc<Replica>) -> Result<(), GroupError> {
        let (key, group) = self.build(replica).await?;
        replica.group.store(Some(Arc::clone(&group)));
        self.run(key, &group, replica);
        Ok(())
    }

    async fn build(&self, replica: &Arc<Replica>) -> Result<(ReplicaKey, Arc<Group>), GroupError> {
        let node = replica.read().member.as_ref().map(|member| member.node).ok_or(GroupError::NoMember)?;
        let key = replica_key(replica)?;
        let (carrier, stall) = (Arc::clone(&self.0.carrier), self.0.timing.stall());
        let network = Network { carrier, key, own: node, stall };
        let (store, machine) = (LogStore(Arc::clone(replica)), Machine(Arc::clone(replica)));
        let raft = Raft::build(node, Arc::clone(&self.0.config), network, store, machine).await;
        let raft = raft.map_err(|error| GroupError::Storage(error.to_string()))?;
        let group = Arc::new(Group {
            node,
            raft,
            pending: Arc::default(),
            receiving: Mutex::default(),
            started: tokio::time::Instant::now(),
            caught_up: Mutex::default(),
            ended: AtomicBool::new(false),
            groups: Arc::downgrade(&self.0),
            in_sync: InSyncCount::default(),
        });
        Ok((key, group))
    }

    fn run(&self, key: ReplicaKey, group: &Arc<Group>, replica: &Arc<Replica>) {
        replica.follow_known_leader();
        self.running().insert(key, (Arc::clone(group), Arc::clone(replica)));
        self.missed().remove(&key);
        group.raft.run();
        purge::begin(replica);
    }

    /// Runs a group again whose core has ended. False if somebody stopped it meanwhile. Waits for one sync of the journal.
    ///
    /// # Errors
    /// What ended it has not passed.
    pub(super) async fn restart(&self, ended: &Arc<Group>, replica: &Arc<Replica>) -> Result<bool, GroupError> {
        let storage = |error: &dyn std::fmt::Display| GroupError::Storage(error.to_string());
        // it has ended; what it has begun must not be written behind what is read now
        let _ = ended.raft.shutdown().await;
        replica.reopen_member().map_err(|error| storage(&error))?;
        // openraft takes all that a log holds at its start for durable
        let (told, synced) = told();
        replica.shared.journal.when_synced(told).map_err(|error| storage(&error))?;
        written(synced).await?;
        let (key, group) = self.build(replica).await?;
        let found = replica.group.compare_and_swap(ended, Some(Arc::clone(&group)));
        if !found.as_ref().is_some_and(|found| Arc::ptr_eq(found, ended)) {
            let _ = group.raft.shutdown().await;
            return Ok(false);
        }
        self.run(key, &group, replica);
        Ok(true)
    }

    /// Stops the group of a replica; its log stays as it is.
    ///
    /// # Errors
    /// None today: a group that does not run is stopped already.
    pub async fn stop(&self, replica: &Arc<Replica>) -> Result<(), GroupError> {
        let Some(group) = replica.group.swap(None) else { return Ok(()) };
        let key = replica_key(replica);
        if let Ok(key) = key {
            self.running().remove(&key);
        }
        // its core may have ended by itself
        let _ = group.raft.shutdown().await;
        replica.set_role(Role::Follower { leader: None, epoch: replica.role().epoch() });
        Ok(())
    }

    pub(super) fn timing(&self) -> GroupTiming {
        self.0.timing
    }

    /// Those that run.
    pub(super) fn all_running(&self) -> Vec<(ReplicaKey, Running)> {
        let running = self.0.running.read().unwrap_or_else(PoisonError::into_inner);
        running.iter().map(|(key, running)| (*key, running.clone())).collect()
    }

    /// Whether a leader has called this member, which does not run here: there is somebody who could fill another in its place.
    pub fn is_missed(&self, key: &ReplicaKey, node: NodeId) -> bool {
        self.missed().get(key) == Some(&node)
    }

    pub(super) fn missed(&self) -> MutexGuard<'_, HashMap<ReplicaKey, NodeId>> {
        self.0.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn group(&self, key: &ReplicaKey) -> Option<Running> {
        self.0.running.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn running(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ReplicaKey, Running>> {
        self.0.running.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn replica_key(replica: &Replica) -> Result<ReplicaKey, GroupError> {
    let identity = replica.look(crate::log::Log::identity).map_err(|error| GroupError::Storage(error.to_string()))?;
    Ok((identity.topic_id, identity.partition))
}
