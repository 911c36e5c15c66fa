//! What a replica is in its partition. Not here: who decides that (openraft, behind `group`).

use super::node_id::NodeId;

/// What a replica is, and in which leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is alone, and leads.
    Solo {
        /// The epoch of what it appends.
        epoch: i32,
    },
    /// It leads its group.
    Leader {
        /// The epoch of what it appends: the Raft term.
        epoch: i32,
    },
    /// It follows, or looks for a leader.
    Follower {
        /// Who leads, if that is known.
        leader: Option<NodeId>,
        /// The newest epoch it knows of.
        epoch: i32,
    },
}

impl Role {
    /// Its leader epoch.
    pub fn epoch(self) -> i32 {
        match self {
            Self::Solo { epoch } | Self::Leader { epoch } | Self::Follower { epoch, .. } => epoch,
        }
    }

    /// Whether it takes writes.
    pub fn leads(self) -> bool {
        matches!(self, Self::Solo { .. } | Self::Leader { .. })
    }
}
