//! What a checkpoint takes of one replica. Not here: when (`checkpoint`), and its bytes (`journal`).

use std::sync::MutexGuard;

use super::group::RecoveredMember;
use crate::{
    journal::Lsn,
    log::{Capture, Log, LogEnd, LogError},
};

/// A log's files on their way to the disk. While it lives, nobody else takes some of them for synced.
pub(super) struct Capturing<'a> {
    pub capture: Capture,
    pub lsn: Lsn,
    pub unjournaled: bool,
    pub member: Option<RecoveredMember>,
    pub _syncing: MutexGuard<'a, ()>,
}

impl Capturing<'_> {
    /// How many syncs [`Self::sync`] makes.
    pub fn sync_count(&self) -> usize {
        self.capture.sync_count()
    }

    /// Makes them survive a power cut.
    pub fn sync(&self) -> Result<(), LogError> {
        self.capture.sync()
    }

    /// What a checkpoint may say, once they do.
    pub fn captured(&self) -> Captured {
        let Capture { end, log_start_offset, quarantined, .. } = &self.capture;
        let (end, log_start_offset, quarantined) = (*end, *log_start_offset, quarantined.clone());
        let (lsn, unjournaled, member) = (self.lsn, self.unjournaled, self.member.clone());
        Captured { end, log_start_offset, quarantined, lsn, unjournaled, member }
    }
}

/// What a checkpoint may say of a replica.
#[derive(Debug, Clone)]
pub(super) struct Captured {
    pub end: LogEnd,
    pub log_start_offset: i64,
    pub quarantined: Vec<(i64, i64)>,
    /// Its records below this are in the synced segments.
    pub lsn: Lsn,
    pub unjournaled: bool,
    /// Of a member of a group.
    pub member: Option<RecoveredMember>,
}

impl Captured {
    /// Of a replica whose log is not known yet.
    pub fn nothing(lsn: Lsn) -> Self {
        let (end, quarantined) = (LogEnd::default(), Vec::new());
        Self { end, log_start_offset: 0, quarantined, lsn, unjournaled: false, member: None }
    }

    /// Of a log that the journal tells from `lsn` on.
    pub fn of(log: &Log, lsn: Lsn) -> Self {
        let (end, log_start_offset, quarantined) = (log.end(), log.log_start_offset(), log.quarantined().to_vec());
        Self { end, log_start_offset, quarantined, lsn, unjournaled: false, member: None }
    }
}
