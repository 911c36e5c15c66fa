//! What a member of a Raft group is called: the broker, and how often the replica was made anew there. Not here: addresses.

use std::fmt;

use crate::metadata::Replica;

/// One member of a group. A replica that lost what it had acknowledged comes back under a new incarnation: it is another
/// member, which has promised nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(u64);

impl NodeId {
    /// Of a member that does not know any more what it is called. No broker has such an id.
    pub const UNKNOWN: Self = Self(u64::MAX);

    /// The replica's `incarnation` on `broker`.
    pub const fn new(broker: i32, incarnation: u32) -> Self {
        Self((broker as u32 as u64) << 32 | incarnation as u64)
    }

    /// The broker that holds it.
    pub fn broker(self) -> i32 {
        (self.0 >> 32) as i32
    }

    /// Which of the replicas that the broker has had.
    pub fn incarnation(self) -> u32 {
        self.0 as u32
    }

    /// As one number.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl From<Replica> for NodeId {
    fn from(replica: Replica) -> Self {
        Self::new(replica.broker_id, replica.incarnation)
    }
}

impl From<NodeId> for Replica {
    fn from(node: NodeId) -> Self {
        Self::new(node.broker(), node.incarnation())
    }
}

impl From<u64> for NodeId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.broker(), self.incarnation())
    }
}
