//! How the members of a group stand, in records and in time, as its leader knows. Not here: who asks (`status` has what changes of
//! members need).

use std::sync::PoisonError;

use super::{
    super::{node_id::NodeId, replica::Replica},
    groups::{GroupError, Groups},
};

/// One member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub node: NodeId,
    /// Whether its vote counts.
    pub votes: bool,
    /// Whether it is a voter that has what the leader had lately.
    pub in_sync: bool,
    /// Offset behind the last record that it is known to have; `None`: not known.
    pub log_end_offset: Option<i64>,
    /// Milliseconds since it last answered; `None`: never.
    pub last_contact_ms: Option<u64>,
    /// Milliseconds since it last had all that was committed; `None`: never.
    pub caught_up_ms: Option<u64>,
}

impl Groups {
    /// How the members stand, this leader among them.
    ///
    /// # Errors
    /// This member does not lead.
    pub fn standings(&self, replica: &Replica, within_ms: u64) -> Result<Vec<Standing>, GroupError> {
        let (status, in_sync) = self.status_and_in_sync(replica, within_ms)?;
        let group = replica.group.load_full().ok_or(GroupError::NotRunning)?;
        let caught_up = group.caught_up.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = |matched: Option<u64>| {
            let offset = |log: &crate::log::Log| match matched {
                Some(index) if index + 1 >= log.next_index() => Some(log.log_end_offset()),
                Some(index) => log.header_at(index).ok().flatten().map(|header| header.next_offset()),
                None => None,
            };
            replica.look(offset).ok().flatten()
        };
        let of = |node: &NodeId, votes: bool| {
            let known = status.followers.iter().find(|follower| follower.node == *node);
            let mut standing = Standing {
                node: *node,
                votes,
                in_sync: in_sync.contains(node),
                log_end_offset: ends(known.and_then(|known| known.matched_index)),
                last_contact_ms: known.and_then(|known| known.last_contact_ms),
                caught_up_ms: caught_up.age_ms(*node, group.now_ms()),
            };
            if *node == status.node {
                let (end, now) = (Some(status.log_end_offset), Some(0));
                (standing.log_end_offset, standing.last_contact_ms, standing.caught_up_ms) = (end, now, now);
            }
            standing
        };
        let voters = status.voters.iter().map(|node| of(node, true));
        Ok(voters.chain(status.learners.iter().map(|node| of(node, false))).collect())
    }
}
