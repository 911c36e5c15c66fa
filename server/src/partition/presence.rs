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
        /// How its log comes to be, if it is not there.
        begin: Begin,
    },
}

/// How a member's log comes to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Begin {
    /// With a new group, whose first voters these are, the preferred leader first.
    Voters(Vec<NodeId>),
    /// The group's leader fills it.
    Filled,
    /// Out of the log of the partition's only replica.
    Converted,
    /// Not at all: it leaves the group.
    Never,
}

impl Presence {
    /// On a broker, of a partition.
    pub fn of(info: &PartitionInfo, broker_id: i32) -> Self {
        let Some(own) = info.replica_on(broker_id) else { return Self::Absent };
        if info.target.is_none() && info.replicas.len() == 1 {
            return Self::Solo;
        }
        let begin = if info.replicas == [own] {
            // even if it shall leave: nobody else can fill those that come
            Begin::Converted
        } else if info.wanted_on(broker_id).is_none() {
            Begin::Never
        } else if info.leader_epoch < 0 && info.target.is_none() && info.replicas.contains(&own) {
            Begin::Voters(info.replicas.iter().copied().map(NodeId::from).collect())
        } else {
            // once somebody leads, the members that the group began with may be others than those of today
            Begin::Filled
        };
        Self::Member { node: own.into(), begin }
    }

    /// Whether a replica is that one.
    pub fn fits(&self, replica: &Replica) -> bool {
        match self {
            Self::Absent => false,
            Self::Solo => replica.node().is_none(),
            Self::Member { node, .. } => replica.node() == Some(*node) || replica.is_nameless(),
        }
    }

    /// Whether it is the preferred leader of a new group, and need not wait until the others miss one.
    pub fn is_preferred(&self) -> bool {
        matches!(self, Self::Member { node, begin: Begin::Voters(voters) } if voters.first() == Some(node))
    }

    /// Whether a replica becomes that one without another log: alone, then with others, or the other way round.
    pub fn follows(&self, replica: &Replica) -> bool {
        matches!((self, replica.node()), (Self::Member { begin: Begin::Converted, .. }, None) | (Self::Solo, Some(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{self, first_replicas};

    fn member(id: i32, incarnation: u32, begin: Begin) -> Presence {
        Presence::Member { node: NodeId::new(id, incarnation), begin }
    }

    #[test]
    fn one_replica_is_alone_and_more_are_a_group() {
        let mut solo = PartitionInfo::new(first_replicas(&[1]));
        assert_eq!((Presence::of(&solo, 1), Presence::of(&solo, 2)), (Presence::Solo, Presence::Absent));
        solo.target = Some(vec![metadata::Replica::new(1, 0), metadata::Replica::new(2, 1)]);
        assert_eq!(Presence::of(&solo, 1), member(1, 0, Begin::Converted), "its log goes on as a group's");
        assert_eq!(Presence::of(&solo, 2), member(2, 1, Begin::Filled));
        solo.target = Some(vec![metadata::Replica::new(2, 1)]);
        assert_eq!(Presence::of(&solo, 1), member(1, 0, Begin::Converted), "it moves away, by way of a group");
        assert_eq!(Presence::of(&solo, 2), member(2, 1, Begin::Filled));
        let mut group = PartitionInfo::new(first_replicas(&[1, 2, 3]));
        let voters = [1, 2, 3].map(|id| NodeId::new(id, 0)).to_vec();
        assert_eq!(Presence::of(&group, 2), member(2, 0, Begin::Voters(voters)));
        group.leader_epoch = 4;
        assert_eq!(Presence::of(&group, 2), member(2, 0, Begin::Filled), "who comes late is filled by the leader");
        group.target = Some(vec![metadata::Replica::new(1, 0), metadata::Replica::new(4, 1)]);
        assert_eq!(Presence::of(&group, 4), member(4, 1, Begin::Filled));
        assert_eq!(Presence::of(&group, 2), member(2, 0, Begin::Never), "who leaves stays to the end, if it is there");
    }
}
