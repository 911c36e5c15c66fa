//! Which replica of a partition this broker has to have, as the metadata says it. Pure. Not here: making it.

use crate::{
    metadata::PartitionInfo,
    raft::{NodeId, Replica},
};

/// What has to be here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presence {
    /// Nothing.
    Absent,
    /// The only replica.
    Solo,
    /// A member of the partition's group.
    Member {
        /// What it is called.
        node: NodeId,
        /// The voters that a group begins with; none for a member that a leader fills.
        first_voters: Option<Vec<NodeId>>,
    },
}

impl Presence {
    /// On a broker, of a partition.
    pub fn of(info: &PartitionInfo, broker_id: i32) -> Self {
        let Some(own) = info.replica_on(broker_id) else { return Self::Absent };
        if info.target.is_none() && info.replicas.len() == 1 {
            return Self::Solo;
        }
        let node = |replica: crate::metadata::Replica| NodeId::new(replica.broker_id, replica.incarnation);
        // Once somebody leads, the leader fills it: the members that it began with may be others than those of today.
        let begins = info.leader_epoch < 0 && info.target.is_none() && info.replicas.contains(&own);
        let first_voters = begins.then(|| info.replicas.iter().copied().map(node).collect());
        Self::Member { node: node(own), first_voters }
    }

    /// Whether a replica is that one.
    pub fn fits(&self, replica: &Replica) -> bool {
        match self {
            Self::Absent => false,
            Self::Solo => replica.node().is_none(),
            Self::Member { node, .. } => replica.node() == Some(*node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{self, first_replicas};

    #[test]
    fn one_replica_is_alone_and_more_are_a_group() {
        let solo = PartitionInfo::new(first_replicas(&[1]));
        assert_eq!((Presence::of(&solo, 1), Presence::of(&solo, 2)), (Presence::Solo, Presence::Absent));
        let mut group = PartitionInfo::new(first_replicas(&[1, 2, 3]));
        let voters = [1, 2, 3].map(|id| NodeId::new(id, 0)).to_vec();
        let first = Presence::Member { node: NodeId::new(2, 0), first_voters: Some(voters) };
        assert_eq!(Presence::of(&group, 2), first);
        group.leader_epoch = 4;
        let filled = Presence::Member { node: NodeId::new(2, 0), first_voters: None };
        assert_eq!(Presence::of(&group, 2), filled, "who comes late is filled by the leader");
        group.target = Some(vec![metadata::Replica::new(1, 0), metadata::Replica::new(4, 1)]);
        let comes = Presence::Member { node: NodeId::new(4, 1), first_voters: None };
        assert_eq!((Presence::of(&group, 4), Presence::of(&group, 2)), (comes, filled), "who leaves stays to the end");
    }
}
