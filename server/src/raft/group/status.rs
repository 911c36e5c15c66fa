//! How a group is, and changing it: members, leader, a replica that stops being alone. Not here: who decides that it should.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use openraft::{EmptyNode, Instant, RaftMetrics, ServerState, errors::ClientWriteError};

use super::{
    super::{node_id::NodeId, replica::Replica, role::Role},
    config::{GroupTypes, Raft},
    groups::{Group, GroupError, Groups},
};

/// A change of members or leader is given up after so long; it may still happen.
pub(super) const CHANGE_WITHIN: Duration = Duration::from_secs(30);
/// A voter that lacks committed entries for so long does not get the leadership.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(2);

/// Another member, as the leader knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerStatus {
    /// Which.
    pub node: NodeId,
    /// Raft index up to which it has the leader's log; `None`: nothing is known yet.
    pub matched_index: Option<u64>,
    /// Milliseconds since it last answered; `None`: never.
    pub last_contact_ms: Option<u64>,
}

/// How a group is, as this member knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// What this member is.
    pub role: Role,
    /// What it is called.
    pub node: NodeId,
    /// The Raft term.
    pub term: u64,
    /// Those whose votes count.
    pub voters: Vec<NodeId>,
    /// Those that only follow.
    pub learners: Vec<NodeId>,
    /// The other members, if this one leads.
    pub followers: Vec<FollowerStatus>,
    /// Raft index of the last committed entry.
    pub commit_index: Option<u64>,
    /// Raft index of the last entry here.
    pub last_index: Option<u64>,
    /// Offset behind the last record here.
    pub log_end_offset: i64,
    /// Why the group does not go on, if so.
    pub failure: Option<String>,
}

impl Groups {
    /// How the group of a replica is.
    ///
    /// # Errors
    /// It does not run here.
    pub fn status(&self, replica: &Replica) -> Result<GroupStatus, GroupError> {
        let group = running(replica)?;
        let metrics = metrics(&group.raft);
        let membership = metrics.membership_config.membership();
        let contact = metrics.heartbeat.as_ref();
        let followers = metrics.replication.iter().flatten().filter(|(node, _)| **node != group.node);
        let followers = followers.map(|(node, matched)| FollowerStatus {
            node: *node,
            matched_index: matched.as_ref().map(|matched| matched.index),
            last_contact_ms: contact
                .and_then(|contact| contact.get(node)?.as_ref())
                .map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)),
        });
        Ok(GroupStatus {
            role: replica.role(),
            node: group.node,
            term: metrics.current_term,
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            followers: followers.collect(),
            commit_index: metrics.local_committed.map(|id| id.index),
            last_index: metrics.last_log_index,
            log_end_offset: replica.look(crate::log::Log::log_end_offset).unwrap_or(-1),
            failure: metrics.running_state.as_ref().err().map(ToString::to_string),
        })
    }

    /// Asks for an election now. It is not waited for.
    ///
    /// # Errors
    /// The group does not run here.
    pub async fn elect(&self, replica: &Replica) -> Result<(), GroupError> {
        let group = running(replica)?;
        group.raft.trigger().elect(false).await.map_err(|error| GroupError::Refused(error.to_string()))
    }

    /// Gives the leadership to another voter, once that one has the whole log, and waits until it leads.
    ///
    /// # Errors
    /// This member does not lead, the other is no voter or lags, or it did not happen in time.
    pub async fn transfer(&self, replica: &Replica, to: NodeId) -> Result<(), GroupError> {
        let group = leading(replica)?;
        let known = metrics(&group.raft);
        if !known.membership_config.voter_ids().any(|voter| voter == to) {
            return Err(GroupError::Refused(format!("{to} is no voter of the group")));
        }
        let committed = known.local_committed.map(|committed| committed.index);
        let has_it = |metrics: &RaftMetrics<GroupTypes>| to == group.node || has_matched(metrics, to, committed);
        let wait = group.raft.wait(Some(CATCH_UP_WITHIN));
        let lags = |_| GroupError::Refused(format!("{to} lacks committed entries"));
        wait.metrics(has_it, "the next leader's log").await.map_err(lags)?;
        let refused = |error: openraft::errors::Fatal<GroupTypes>| GroupError::Refused(error.to_string());
        group.raft.trigger().transfer_leader(to).await.map_err(refused)?;
        let wait = group.raft.wait(Some(CHANGE_WITHIN));
        let elsewhere = |metrics: &RaftMetrics<GroupTypes>| metrics.current_leader == Some(to);
        wait.metrics(elsewhere, "leader transfer").await.map_err(|_| GroupError::Timeout("leader transfer"))?;
        Ok(())
    }

    /// Changes who votes: new members learn first and are waited for, then the voters change at once, and who is not one of
    /// them any more leaves.
    ///
    /// # Errors
    /// This member does not lead, another change is under way, or it did not happen in time.
    pub async fn change(&self, replica: &Replica, voters: &[NodeId]) -> Result<(), GroupError> {
        let changed = tokio::time::timeout(CHANGE_WITHIN, self.change_in_time(replica, voters));
        changed.await.map_err(|_| GroupError::Timeout("change of members"))?
    }

    /// Lets a member follow that has no vote.
    ///
    /// # Errors
    /// This member does not lead, or another change is under way.
    pub async fn learn(&self, replica: &Replica, node: NodeId) -> Result<(), GroupError> {
        let group = leading(replica)?;
        let added = tokio::time::timeout(CHANGE_WITHIN, group.raft.add_learner(node, EmptyNode {}, false)).await;
        let added = added.map_err(|_| GroupError::Timeout("new member"))?;
        added.map(drop).map_err(|error| refused(error.into_api_error()))
    }

    async fn change_in_time(&self, replica: &Replica, voters: &[NodeId]) -> Result<(), GroupError> {
        let group = leading(replica)?;
        let membership = metrics(&group.raft).membership_config;
        let nodes: BTreeSet<NodeId> = membership.membership().nodes().map(|(node, _)| *node).collect();
        let known: BTreeSet<NodeId> = membership.voter_ids().collect();
        for node in voters.iter().filter(|node| !nodes.contains(node)) {
            let added = group.raft.add_learner(*node, EmptyNode {}, true).await;
            added.map_err(|error| refused(error.into_api_error()))?;
        }
        // openraft takes one for filled that it has not reached yet: if the log is short. Its vote would be needed at once
        let end = metrics(&group.raft).last_log_index;
        let filled = |metrics: &RaftMetrics<GroupTypes>| {
            let mut added = voters.iter().filter(|node| !known.contains(node));
            metrics.state != ServerState::Leader || added.all(|node| has_matched(metrics, *node, end))
        };
        let wait = group.raft.wait(Some(CHANGE_WITHIN));
        wait.metrics(filled, "logs of new members").await.map_err(|_| GroupError::Timeout("logs of new members"))?;
        let voters: BTreeSet<NodeId> = voters.iter().copied().collect();
        let changed = group.raft.change_membership(voters, false).await;
        let changed = changed.map_err(|error| refused(error.into_api_error()))?.log_id;
        // so that whoever asks next is told of it
        let told = |metrics: &RaftMetrics<GroupTypes>| *metrics.membership_config.log_id() >= Some(changed);
        let wait = group.raft.wait(Some(CHANGE_WITHIN));
        wait.metrics(told, "change of members").await.map_err(|_| GroupError::Timeout("change of members"))?;
        Ok(())
    }

    /// The voters that hold what this leader's log held `within_ms` ago, as far as is known; itself among them.
    ///
    /// # Errors
    /// This member does not lead.
    pub fn in_sync(&self, replica: &Replica, within_ms: u64) -> Result<Vec<NodeId>, GroupError> {
        self.status_and_in_sync(replica, within_ms).map(|(_, in_sync)| in_sync)
    }

    /// How a group is that is led here, and who of its voters is [`Self::in_sync`].
    ///
    /// # Errors
    /// This member does not lead.
    pub fn status_and_in_sync(
        &self,
        replica: &Replica,
        within_ms: u64,
    ) -> Result<(GroupStatus, Vec<NodeId>), GroupError> {
        let status = self.status(replica)?;
        if !matches!(status.role, Role::Leader { .. }) {
            return Err(GroupError::NotLeader { leader: None });
        }
        let group = running(replica)?;
        let now_ms = group.now_ms();
        let mut caught_up = group.caught_up.lock().unwrap_or_else(PoisonError::into_inner);
        caught_up.note((status.role.epoch(), now_ms), status.commit_index, &status.followers);
        let answers = |node: &NodeId| {
            let known = status.followers.iter().find(|follower| follower.node == *node);
            known.and_then(|follower| follower.last_contact_ms).is_some_and(|ms| ms <= within_ms)
        };
        let in_sync =
            |node: &NodeId| *node == status.node || (answers(node) && caught_up.is_in_sync(*node, now_ms, within_ms));
        let in_sync: Vec<NodeId> = status.voters.iter().copied().filter(in_sync).collect();
        group.in_sync.note((status.role.epoch(), now_ms), in_sync.len());
        Ok((status, in_sync))
    }
}

/// Whether a follower is known to have the leader's log up to an index.
fn has_matched(metrics: &RaftMetrics<GroupTypes>, node: NodeId, index: Option<u64>) -> bool {
    let mut followers = metrics.replication.iter().flatten();
    followers.any(|(known, matched)| *known == node && matched.as_ref().map(|matched| matched.index) >= index)
}

fn running(replica: &Replica) -> Result<Arc<Group>, GroupError> {
    replica.group.load_full().ok_or(GroupError::NotRunning)
}

pub(super) fn leading(replica: &Replica) -> Result<Arc<Group>, GroupError> {
    let group = running(replica)?;
    match metrics(&group.raft) {
        metrics if metrics.state == ServerState::Leader => Ok(group),
        metrics => Err(GroupError::NotLeader { leader: metrics.current_leader }),
    }
}

pub(super) fn metrics(raft: &Raft) -> RaftMetrics<GroupTypes> {
    use openraft::async_runtime::watch::WatchReceiver;
    raft.metrics().borrow_watched().clone()
}

pub(super) fn refused(error: Option<ClientWriteError<GroupTypes>>) -> GroupError {
    match error {
        Some(ClientWriteError::ForwardToLeader(other)) => GroupError::NotLeader { leader: other.leader_id },
        Some(error) => GroupError::Refused(error.to_string()),
        None => GroupError::Refused("the group stopped".to_owned()),
    }
}
