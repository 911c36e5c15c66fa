//! Changes of who keeps the metadata's log, as changes of its Raft group. Not here: who may ask for them (`controller`).

use std::time::Duration;

use tokio::time::Instant;

use super::metadata_log::PartitionLog;
use crate::{
    controller::{VoterChange, VoterError},
    raft::{GroupError, NodeId},
};

/// How often a broker that catches up is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl PartitionLog {
    pub(super) async fn change_members(&self, change: VoterChange) -> Result<(), VoterError> {
        let (voters, learners) = self.partition.members();
        let on = |nodes: &[NodeId], broker: i32| nodes.iter().find(|node| node.broker() == broker).copied();
        match change {
            _ if voters.is_empty() => Err(VoterError::Alone),
            VoterChange::Add { broker_id, .. } if on(&voters, broker_id).is_some() => Err(VoterError::Votes),
            VoterChange::Add { broker_id, within } => {
                let node = on(&learners, broker_id).ok_or(VoterError::DoesNotFollow)?;
                self.caught_up(node, within).await?;
                self.partition.give_vote(node).await.map_err(refused)
            }
            VoterChange::Remove { broker_id } => {
                let node = on(&voters, broker_id).ok_or(VoterError::HasNoVote)?;
                let others: Vec<NodeId> = voters.into_iter().filter(|voter| *voter != node).collect();
                if others.is_empty() {
                    return Err(VoterError::OnlyVoter);
                }
                if broker_id == self.node_id && self.partition.role().leads() {
                    return Err(self.hand_over(&others).await);
                }
                self.partition.take_vote(node).await.map_err(refused)
            }
            VoterChange::Forget { broker_id } => {
                let gone: Vec<NodeId> = learners.into_iter().filter(|node| node.broker() == broker_id).collect();
                if gone.is_empty() { Ok(()) } else { self.partition.forget(&gone).await.map_err(refused) }
            }
        }
    }

    /// Waits until a member has all that is committed now.
    async fn caught_up(&self, node: NodeId, within: Duration) -> Result<(), VoterError> {
        let deadline = Instant::now() + within;
        let mut until = None;
        loop {
            let status = self.partition.group_status().ok_or(VoterError::Alone)?;
            let until = *until.get_or_insert(status.commit_index);
            if !status.role.leads() {
                return Err(VoterError::NotLeader { leader: None });
            }
            let known = status.followers.iter().find(|follower| follower.node == node);
            if known.is_some_and(|follower| follower.matched_index >= until) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(VoterError::NotInTime("it has not caught up".to_owned()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets another broker lead, which can take this one's vote: the answer that sends whoever asked there.
    async fn hand_over(&self, others: &[NodeId]) -> VoterError {
        let mut why = String::new();
        for other in others {
            match self.partition.transfer(*other).await {
                Ok(()) => return VoterError::NotLeader { leader: Some(other.broker()) },
                Err(error) => why = error,
            }
        }
        VoterError::NotInTime(format!("it leads, and no other takes over: {why}"))
    }
}

fn refused(error: GroupError) -> VoterError {
    match error {
        GroupError::NotLeader { leader } => VoterError::NotLeader { leader: leader.map(NodeId::broker) },
        error => VoterError::NotInTime(error.to_string()),
    }
}
