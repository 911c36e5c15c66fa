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
    /// Whether it is a voter that has what the leader had lately.
    pub in_sync: bool,
    /// Offset behind the last record that it is known to have; `None`: not known.
    pub log_end_offset: Option<i64>,
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
        let of = |node: &NodeId| {
            let known = status.followers.iter().find(|follower| follower.node == *node);
            let (log_end_offset, caught_up_ms) = match *node == status.node {
                true => (Some(status.log_end_offset), Some(0)),
                false => (ends(known.and_then(|one| one.matched_index)), caught_up.age_ms(*node, group.now_ms())),
            };
            Standing { node: *node, in_sync: in_sync.contains(node), log_end_offset, caught_up_ms }
        };
        Ok(status.voters.iter().chain(&status.learners).map(of).collect())
    }
}
