//! A member whose group ended here while the broker goes on: the disk was full, or no more files could be open. Once that has
//! passed it goes on by itself, from what log and journal hold, as after a start. A log that cannot be read, or is another than
//! the group's, is given up instead: a new member takes its place. Not here: failed writes and syncs, which end the broker.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    super::{
        error::ReplicaError,
        replica::{Held, Replica, State},
        role::Role,
    },
    groups::Group,
    member::Member,
};
use crate::{
    log::LogError,
    os::disk::is_lack,
    tasks::{self, TaskKind},
};

/// Until the first try; each further one waits twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long openraft's core may take to end, once it has been told of an error.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

impl Replica {
    /// openraft ends a group of which its storage failed: this member leads nobody any more. It is brought up again, unless it
    /// was given up, or the broker ends.
    pub(super) fn group_ends(self: &Arc<Self>, error: &io::Error) {
        self.set_role(Role::Follower { leader: None, epoch: self.role().epoch() });
        let Some(group) = self.group.load_full() else { return };
        if group.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.has_failed() {
            tracing::error!(replica = self.id.0, %error, "the group's member here has ended; the others go on");
            return;
        }
        tasks::spawn(TaskKind::Revive, revive(group, Arc::clone(self), error.to_string()));
    }

    /// Whether it is of no use at the moment: its group ended here, or its log cannot be used.
    pub fn is_down(&self) -> bool {
        self.has_failed() || self.group.load().as_ref().is_some_and(|group| group.ended.load(Ordering::Acquire))
    }

    /// What became of a read of the log for its group. What cannot be read is damage, unless a descriptor lacked.
    pub(super) fn cannot_read(self: &Arc<Self>, error: LogError) -> io::Error {
        if !matches!(&error, LogError::Io { cause, .. } if is_lack(cause)) {
            self.give_up(&mut self.write(), &error.to_string());
        }
        let error = io::Error::other(error);
        self.group_ends(&error);
        error
    }

    /// Serves and promises nothing more: another member must take its place. Checkpoints repeat it.
    pub(super) fn give_up(&self, held: &mut Held, reason: &str) {
        let (State::Open(log), Some(member)) = (&held.state, &mut held.member) else { return };
        tracing::error!(log = %log.dir().display(), reason, "log is no good for its group: a new one must take its place");
        member.given_up = true;
        held.state = State::Failed(reason.into());
    }

    /// What is known of the member, once more from its log: an operation that failed may have come halfway.
    pub(super) fn reopen_member(&self) -> Result<(), ReplicaError> {
        let mut held = self.write();
        let Held { state, member } = &mut *held;
        let log = state.log()?;
        let Some(known) = member.as_ref() else { return Err(ReplicaError::Deleted) };
        let opened = Member::open(&known.captured(), log).map_err(|error| ReplicaError::Storage(error.to_string()))?;
        *member = Some(Box::new(opened));
        Ok(())
    }
}

async fn revive(group: Arc<Group>, replica: Arc<Replica>, mut cause: String) {
    let wait = group.raft.wait(Some(ENDS_WITHIN));
    // it fails once the core is gone
    let _ = wait.metrics(|metrics| metrics.running_state.is_err(), "the core's end").await;
    let mut pause = PAUSE_MIN;
    loop {
        tracing::error!(
            replica = replica.id.0, cause, next_try_in = ?pause,
            "the group's member here is down; the others go on"
        );
        tokio::time::sleep(pause).await;
        let current = replica.group.load().as_ref().is_some_and(|now| Arc::ptr_eq(now, &group));
        let Some(groups) = group.groups().filter(|_| current && !replica.has_failed()) else { return };
        match groups.restart(&group, &replica).await {
            Ok(true) => return tracing::info!(replica = replica.id.0, "the group's member here goes on"),
            Ok(false) => return,
            Err(error) => cause = error.to_string(),
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}
