//! Who votes in a group whose members stay: votes given and taken, members without a vote let go. Not here: moving replicas
//! (`status`).

use std::collections::BTreeSet;

use openraft::ChangeMembers;

use super::{
    super::{node_id::NodeId, replica::Replica},
    groups::{GroupError, Groups},
    status::{CHANGE_WITHIN, leading, refused},
};

impl Groups {
    /// Gives a vote to a member that follows.
    ///
    /// # Errors
    /// This member does not lead, that one does not follow, another change is under way, or it did not happen in time.
    pub async fn give_vote(&self, replica: &Replica, node: NodeId) -> Result<(), GroupError> {
        self.change_group(replica, ChangeMembers::AddVoterIds(BTreeSet::from([node]))).await
    }

    /// Takes a member's vote; it goes on following.
    ///
    /// # Errors
    /// This member does not lead, that one is the only voter, another change is under way, or it did not happen in time.
    pub async fn take_vote(&self, replica: &Replica, node: NodeId) -> Result<(), GroupError> {
        self.change_group(replica, ChangeMembers::RemoveVoters(BTreeSet::from([node]))).await
    }

    /// Lets members go that have no vote.
    ///
    /// # Errors
    /// This member does not lead, one of them votes, another change is under way, or it did not happen in time.
    pub async fn forget(&self, replica: &Replica, nodes: &[NodeId]) -> Result<(), GroupError> {
        self.change_group(replica, ChangeMembers::RemoveNodes(nodes.iter().copied().collect())).await
    }

    async fn change_group(
        &self,
        replica: &Replica,
        change: ChangeMembers<NodeId, openraft::EmptyNode>,
    ) -> Result<(), GroupError> {
        let group = leading(replica)?;
        let changed = tokio::time::timeout(CHANGE_WITHIN, group.raft.change_membership(change, true)).await;
        let changed = changed.map_err(|_| GroupError::Timeout("change of members"))?;
        let changed = changed.map_err(|error| refused(error.into_api_error()))?.log_id;
        // so that whoever asks next is told of it
        let told = |metrics: &openraft::RaftMetrics<super::config::GroupTypes>| {
            *metrics.membership_config.log_id() >= Some(changed)
        };
        let wait = group.raft.wait(Some(CHANGE_WITHIN));
        wait.metrics(told, "change of members").await.map_err(|_| GroupError::Timeout("change of members"))?;
        Ok(())
    }
}

impl Replica {
    /// Members of its group that vote, and those that do not, by the newest frame here that names them; none of a replica that
    /// is alone.
    pub fn members(&self) -> (Vec<NodeId>, Vec<NodeId>) {
        let held = self.read();
        let Some(members) = held.member.as_deref().and_then(super::Member::newest_members) else {
            return (Vec::new(), Vec::new());
        };
        let voters: BTreeSet<NodeId> = members.voter_ids().collect();
        let learners = members.learner_ids().collect();
        (voters.into_iter().collect(), learners)
    }
}
