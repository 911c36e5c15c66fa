//! A replica that stops being alone, or is alone again: its log stays as it lies. Not here: adding the others (`status`).

use std::{
    io::IoSlice,
    sync::{Arc, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    super::{
        error::ReplicaError,
        node_id::NodeId,
        replica::{Durability, Held, Replica},
        role::Role,
    },
    groups::{GroupError, Groups},
    member::{Member, RecoveredMember},
    membership,
};
use crate::{
    journal::{Completion, JournalFailed, Record},
    log::InternalKind,
};

type Durable = oneshot::Receiver<Result<(), JournalFailed>>;

impl Groups {
    /// Makes a replica that is alone the only voter of a group, and runs it. What it committed stays committed; nothing is
    /// copied.
    ///
    /// # Errors
    /// It is in a group already, in memory only, or its log or journal failed.
    pub async fn into_group(&self, replica: &Arc<Replica>, node: NodeId) -> Result<(), GroupError> {
        let durable = replica.join(node).map_err(|error| GroupError::Storage(error.to_string()))?;
        written(durable).await?;
        self.start(replica).await
    }

    /// Makes the only voter of a group a replica that is alone.
    ///
    /// # Errors
    /// It does not lead, or has other members; or its log or journal failed.
    pub async fn into_solo(&self, replica: &Arc<Replica>) -> Result<(), GroupError> {
        let Role::Leader { .. } = replica.role() else { return Err(GroupError::NotLeader { leader: None }) };
        if !replica.read().member.as_deref().is_some_and(is_alone) {
            return Err(GroupError::Refused("the group has other members".to_owned()));
        }
        self.stop(replica).await?;
        let (durable, epoch) = replica.leave().map_err(|error| GroupError::Storage(error.to_string()))?;
        written(durable).await?;
        replica.be_alone(epoch);
        Ok(())
    }
}

pub(super) async fn written(durable: Durable) -> Result<(), GroupError> {
    let storage = |error: &dyn std::fmt::Display| GroupError::Storage(error.to_string());
    durable.await.map_err(|error| storage(&error))?.map_err(|error| storage(&error))
}

/// Whether its group has no other member.
fn is_alone(member: &Member) -> bool {
    member.newest_members().is_some_and(|members| members.nodes().all(|(node, _)| *node == member.node))
}

/// A completion, and who hears of it.
pub(super) fn told() -> (Completion, Durable) {
    let (sender, receiver) = oneshot::channel();
    // whoever waits may have gone
    (Box::new(move |result| drop(sender.send(result))), receiver)
}

impl Replica {
    /// Joins a group of one: first the frame that names the member, then one record with the group and a vote above all that was
    /// appended alone.
    pub(in crate::raft) fn join(&self, node: NodeId) -> Result<Durable, ReplicaError> {
        let Role::Solo { epoch } = self.role() else { return Err(self.not_leader()) };
        if self.durability() == Durability::Volatile {
            return Err(ReplicaError::Storage("a log in memory cannot be replicated".to_owned()));
        }
        let (completion, durable) = told();
        // a sync under way must not take the frame for its own
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.write();
        let joined = self.join_locked(&mut held, node, epoch, completion);
        if let Err(reason) = joined {
            return Err(self.fail(&mut held.state, &reason));
        }
        drop(held);
        self.set_role(Role::Follower { leader: None, epoch: epoch.saturating_add(1) });
        Ok(durable)
    }

    /// Is alone from now on, as far as this process knows; the directory says otherwise until [`Self::join`].
    pub(in crate::raft) fn forget_group(&self) {
        let mut held = self.write();
        let last = held.state.log().map_or(0, crate::log::Log::last_leader_epoch);
        let epoch = held.member.take().map_or(0, |member| member.epoch()).max(last);
        drop(held);
        self.set_role(Role::Solo { epoch });
    }

    fn join_locked(&self, held: &mut Held, node: NodeId, epoch: i32, told: Completion) -> Result<(), String> {
        let log = held.state.log_mut().map_err(|error| error.to_string())?;
        let (index, journal) = (log.next_index(), &self.shared.journal);
        let committed = index.checked_sub(1).map(|last| (last, log.last_leader_epoch(), log.log_end_offset()));
        let words = membership::encode(&membership::of_voters(&[node]));
        let frame = log.internal_frame(InternalKind::Membership, &words, epoch);
        let appended =
            log.append_internal(InternalKind::Membership, &words, epoch).map_err(|error| error.to_string())?;
        if self.durability() == Durability::Journaled {
            let parts = [IoSlice::new(&frame)];
            let entry = Record::Entry {
                replica: self.id,
                index,
                leader_epoch: epoch,
                base_offset: appended.base_offset,
                frame: &parts,
                frame_crc: appended.frame_crc,
                opens_segment: appended.opens_segment,
            };
            journal.append(&entry, None).map_err(|error| error.to_string())?;
        } else {
            log.capture().and_then(|capture| capture.sync()).map_err(|error| error.to_string())?;
        }
        // from this record on it is a member, and the frame that says so is there
        let term = u64::try_from(epoch).unwrap_or(0) + 1;
        let join = Record::Join { replica: self.id, node: Some(node.as_u64()), term, committed };
        journal.append(&join, Some(told)).map_err(|error| error.to_string())?;
        let mut joined = RecoveredMember::joined(node, term, committed);
        joined.note_frame(index, epoch, &frame);
        held.member = Some(Box::new(Member::open(&joined, log).map_err(|error| error.to_string())?));
        Ok(())
    }

    /// Leaves a group of which it was the only member; the epoch in which it goes on.
    fn leave(&self) -> Result<(Durable, i32), ReplicaError> {
        let (completion, durable) = told();
        let mut held = self.write();
        let Held { state, member } = &mut *held;
        let log = state.log_mut()?;
        let Some(member) = member.as_deref() else { return Err(ReplicaError::Deleted) };
        if !is_alone(member) {
            return Err(self.not_leader());
        }
        let epoch = log.last_leader_epoch().max(member.epoch()).saturating_add(1);
        log.begin_epoch(epoch);
        let record = Record::Join { replica: self.id, node: None, term: 0, committed: None };
        match self.shared.journal.append(&record, Some(completion)) {
            Ok(_) => Ok((durable, epoch)),
            Err(error) => Err(self.fail(state, &error.to_string())),
        }
    }

    /// All that its log has is durable, and so committed.
    fn be_alone(&self, epoch: i32) {
        let mut held = self.write();
        held.member = None;
        let end = held.state.log().map_or(0, crate::log::Log::log_end_offset);
        drop(held);
        self.set_role(Role::Solo { epoch });
        self.commit(end, 0);
    }
}
