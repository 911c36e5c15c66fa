//! The state machine of a group: a committed entry moves the high watermark, and with an order the log start. Not here: what the
//! records mean; the log's end, which every member follows in its append.

use std::{io, sync::Arc};

use futures_util::{Stream, StreamExt};
use openraft::{
    OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
};

use super::{
    super::replica::Replica,
    config::{GroupTypes, LogId, StoredMembership},
    entry::{Frame, Payload},
    purge,
    snapshot::Snapshot,
};

/// Entries applied under one lock.
const APPLIED_AT_ONCE: usize = 256;

type RaftSnapshot = openraft::type_config::alias::SnapshotOf<GroupTypes, Snapshot>;
type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<GroupTypes>;

/// The state machine of one member.
#[derive(Debug, Clone)]
pub struct Machine(pub(super) Arc<Replica>);

impl RaftStateMachine<GroupTypes> for Machine {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let held = self.0.read();
        let member = held.member.as_ref().ok_or_else(|| io::Error::other("the replica is in no group"))?;
        Ok((member.applied, member.applied_membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<GroupTypes>>> + Unpin + OptionalSend,
    {
        let (mut frames, mut responders) = (Vec::new(), Vec::new());
        loop {
            let next = entries.next().await;
            let over = next.is_none();
            if let Some((entry, responder)) = next.transpose()? {
                frames.push((openraft::entry::RaftEntry::log_id(&entry), frame_of(entry.payload)));
                responders.extend(responder);
            }
            if frames.len() >= APPLIED_AT_ONCE || over {
                if !frames.is_empty() {
                    if self.0.apply_frames(&frames).inspect_err(|error| self.0.group_ends(error))? {
                        purge::begin(&self.0);
                    }
                    frames.clear();
                }
                responders.drain(..).for_each(|responder| responder.send(()));
            }
            if over {
                return Ok(());
            }
        }
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Snapshot) -> io::Result<()> {
        self.0.install_snapshot(meta, snapshot).inspect_err(|error| self.0.group_ends(error))
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<RaftSnapshot>> {
        let any = self.0.read().member.as_ref().is_some_and(|member| member.snapshot);
        if !any {
            return Ok(None);
        }
        self.0.take_snapshot().map(Some).inspect_err(|error| self.0.group_ends(error))
    }
}

impl RaftSnapshotBuilder<GroupTypes> for Machine {
    type SnapshotData = Snapshot;

    async fn build_snapshot(&mut self) -> io::Result<RaftSnapshot> {
        if let Some(member) = &mut self.0.write().member {
            member.snapshot = true;
        }
        self.0.take_snapshot().inspect_err(|error| self.0.group_ends(error))
    }
}

/// What applying an entry does. An entry that was never in a log is openraft's own, and tests'.
fn frame_of(payload: Payload) -> Frame {
    use super::entry::Effect;
    match payload {
        Payload::Frame(frame) => frame,
        Payload::Membership(members) => {
            Frame { bytes: bytes::Bytes::new(), size: 0, next_offset: 0, effect: Effect::Membership(members) }
        }
        Payload::Blank | Payload::Order(_) => {
            Frame { bytes: bytes::Bytes::new(), size: 0, next_offset: 0, effect: Effect::None }
        }
    }
}
