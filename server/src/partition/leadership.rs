//! What this broker leads, as the controller is told it, and which replicas are in sync. Not here: who leads (the group).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use super::{partition::Partition, partitions::Partitions};
use crate::{
    metadata::Replica,
    raft::{GroupError, GroupStatus, NodeId, Role, Standing},
};

/// Who is in sync, and who a member, changes without an event.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(900);

/// A partition that this broker leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// Its topic.
    pub topic_id: Uuid,
    /// Its number.
    pub partition: i32,
    /// Since which epoch.
    pub leader_epoch: i32,
    /// Brokers in sync.
    pub in_sync: Vec<i32>,
    /// Members that vote.
    pub voters: Vec<Replica>,
}

impl Partitions {
    /// Everything that this broker leads. Asked at each change of a role: only what that is about is looked at anew, and the rest
    /// once it was not for a while.
    pub fn leaderships(&self) -> Vec<Leadership> {
        self.all().iter().filter_map(|partition| partition.leadership_of_late()).collect()
    }

    /// Resolves when the role of any replica here has changed since the last call.
    pub async fn role_changed(&self) {
        self.roles.notified().await;
    }

    /// Resolves when the role in the metadata's log has changed since the last call.
    pub async fn metadata_role_changed(&self) {
        self.metadata_roles.notified().await;
    }
}

/// Another replica, as the leader knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follower {
    /// Its broker.
    pub broker_id: i32,
    /// Whether it counts as in sync.
    pub in_sync: bool,
    /// Offset behind the last record that it is known to have; `None`: not known.
    pub log_end_offset: Option<i64>,
    /// Milliseconds since it last had all that was committed; `None`: never.
    pub caught_up_ms: Option<u64>,
}

/// What a partition's last look at its group found.
#[derive(Debug, Default)]
pub(super) struct Looked(Mutex<Option<(Instant, Leadership)>>);

impl Partition {
    fn leadership_of_late(&self) -> Option<Leadership> {
        let role = self.role();
        if !role.leads() {
            return None;
        }
        let mut looked = self.looked.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |(at, found): &&(Instant, Leadership)| {
            found.leader_epoch == role.epoch() && at.elapsed() < LOOK_AGAIN_AFTER
        };
        if let Some((_, found)) = looked.as_ref().filter(fresh) {
            return Some(found.clone());
        }
        let found = self.leadership();
        *looked = found.clone().map(|found| (Instant::now(), found));
        found
    }

    fn leadership(&self) -> Option<Leadership> {
        let (topic_id, partition) = (self.topic_id(), self.partition_index());
        let (leader_epoch, in_sync, voters) = match self.role() {
            Role::Solo { epoch } => (epoch, vec![self.broker_id], vec![Replica::new(self.broker_id, 0)]),
            Role::Leader { epoch } => {
                let (status, in_sync) = self.groups.get()?.status_and_in_sync(&self.replica, self.lag_ms_max).ok()?;
                (epoch, brokers(&in_sync), status.voters.into_iter().map(Replica::from).collect())
            }
            Role::Follower { .. } => return None,
        };
        Some(Leadership { topic_id, partition, leader_epoch, in_sync, voters })
    }

    /// The broker that leads its group, as this member knows it, and since which epoch: the metadata hears of it later.
    pub fn known_leader(&self) -> Option<(i32, i32)> {
        match self.role() {
            Role::Leader { epoch } => Some((self.broker_id, epoch)),
            Role::Follower { leader: Some(leader), epoch } => Some((leader.broker(), epoch)),
            Role::Solo { .. } | Role::Follower { leader: None, .. } => None,
        }
    }
}

/// What the group is asked to do, where this broker leads it.
impl Partition {
    /// Lets another member lead; resolves when it does.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn transfer(&self, to: NodeId) -> Result<(), String> {
        let groups = self.groups.get().ok_or("the partition has one replica")?;
        groups.transfer(&self.replica, to).await.map_err(|error| error.to_string())
    }

    /// Makes these the members that vote.
    ///
    /// # Errors
    /// It is not so yet; it may still come about.
    pub async fn change_members(&self, voters: &[NodeId]) -> Result<(), GroupError> {
        let groups = self.groups.get().ok_or(GroupError::NotRunning)?;
        groups.change(&self.replica, voters).await
    }

    /// How the others stand, as this broker knows if it leads them; nobody else.
    pub fn followers(&self) -> Vec<Follower> {
        let standings = self.groups.get().map(|groups| groups.standings(&self.replica, self.lag_ms_max));
        let all = standings.and_then(Result::ok).unwrap_or_default();
        let others = all.into_iter().filter(|standing| standing.node.broker() != self.broker_id);
        let follower = |Standing { node, in_sync, log_end_offset, caught_up_ms }| Follower {
            broker_id: node.broker(),
            in_sync,
            log_end_offset,
            caught_up_ms,
        };
        others.map(follower).collect()
    }

    /// Members that vote, in order, as this one knows them.
    pub fn voters(&self) -> Vec<NodeId> {
        let status = self.groups.get().and_then(|groups| groups.status(&self.replica).ok());
        let mut voters = status.map(|status| status.voters).unwrap_or_default();
        voters.sort_unstable();
        voters
    }

    /// Members of its group that vote, and those that do not, by what its log holds; none of one with one replica.
    pub fn members(&self) -> (Vec<NodeId>, Vec<NodeId>) {
        self.replica.members()
    }

    /// How its group is; none for a partition with one replica.
    pub fn group_status(&self) -> Option<GroupStatus> {
        self.groups.get()?.status(&self.replica).ok()
    }

    /// Whether its group has another member of the same broker, and not this one.
    pub fn is_replaced(&self, node: NodeId) -> bool {
        let (voters, learners) = self.members();
        let mut all = voters.iter().chain(&learners);
        !all.clone().any(|known| *known == node) && all.any(|known| known.broker() == node.broker())
    }

    /// Lets a member in: in the place of the one that its broker had before, or to follow.
    ///
    /// # Errors
    /// This broker does not lead, or it did not come about in time.
    pub async fn admit(&self, node: NodeId) -> Result<(), GroupError> {
        let groups = self.groups.get().ok_or(GroupError::NotRunning)?;
        let GroupStatus { voters, learners, .. } = groups.status(&self.replica)?;
        let is_former = |known: &NodeId| known.broker() == node.broker() && *known != node;
        if voters.iter().any(is_former) && !voters.contains(&node) {
            let kept = voters.into_iter().filter(|known| !is_former(known));
            return groups.change(&self.replica, &kept.chain([node]).collect::<Vec<_>>()).await;
        }
        if !voters.contains(&node) && !learners.contains(&node) {
            groups.learn(&self.replica, node).await?;
        }
        let former: Vec<NodeId> = learners.into_iter().filter(is_former).collect();
        if former.is_empty() { Ok(()) } else { groups.forget(&self.replica, &former).await }
    }

    /// Gives a vote to a member that follows.
    ///
    /// # Errors
    /// This broker does not lead, or it did not come about in time.
    pub async fn give_vote(&self, node: NodeId) -> Result<(), GroupError> {
        self.groups.get().ok_or(GroupError::NotRunning)?.give_vote(&self.replica, node).await
    }

    /// Takes a member's vote; it goes on following.
    ///
    /// # Errors
    /// This broker does not lead, or it did not come about in time.
    pub async fn take_vote(&self, node: NodeId) -> Result<(), GroupError> {
        self.groups.get().ok_or(GroupError::NotRunning)?.take_vote(&self.replica, node).await
    }

    /// Lets members go that have no vote.
    ///
    /// # Errors
    /// This broker does not lead, or it did not come about in time.
    pub async fn forget(&self, nodes: &[NodeId]) -> Result<(), GroupError> {
        self.groups.get().ok_or(GroupError::NotRunning)?.forget(&self.replica, nodes).await
    }
}

fn brokers(nodes: &[NodeId]) -> Vec<i32> {
    let mut brokers: Vec<i32> = nodes.iter().map(|node| node.broker()).collect();
    brokers.sort_unstable();
    brokers
}
