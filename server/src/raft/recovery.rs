//! Putting replicas together at start: each log as its checkpoint left it, then the journal's records in their order.
//!
//! Frames are written again, never compared: after kill -9 or a failed sync the page cache can show bytes that the disk
//! lacks. Only where the journal itself is damaged, or a log bypasses it, whole frames behind the checkpoint are kept.
//! Not here: the journal's bytes, a log's files.

use std::{collections::BTreeMap, io, path::Path};

use uuid::Uuid;

use super::{
    boot::Ended,
    captured::Captured,
    error::StorageError,
    group::{RecoveredMember, names_members, take_place},
    node_id::NodeId,
    replica::State,
    storage::ReplicaKey,
};
use crate::{
    journal::{
        self, Damage, Installed, Journal, JournalConfig, Lsn, OwnedRecord, Record, ReplicaCheckpoint, ReplicaId,
    },
    log::{AppendError, Extent, FrameBytes, InternalKind, Log, LogConfig, LogEnd, LogError, LogIdentity, OpenReport},
    os::{disk::SharedDisk, random::Random},
};

/// What a start finds.
pub(super) struct Recovered {
    pub journal: Journal,
    pub boot_epoch: i32,
    pub next_replica_id: u64,
    pub replicas: BTreeMap<ReplicaId, Found>,
    /// What was found is not what the last checkpoint leads to: another must make it last before anything is built on it. The
    /// journal was damaged and segments stood in for it; or a log lost its end, and its start jumped over what is left.
    pub mended: bool,
}

/// One replica that was there.
pub(super) struct Found {
    pub key: ReplicaKey,
    pub dir: String,
    pub state: State,
    pub last: Captured,
    /// What the journal said of it before is known otherwise: from the checkpoint, or there was nothing.
    since: Lsn,
}

impl Found {
    /// Gives up a member whose promises may be lost. One that is its whole group promised nothing to others, and goes on, as a
    /// replica that is alone does. Whether that is news.
    fn give_up(&mut self) -> bool {
        let Some(member) = self.last.member.as_mut().filter(|member| !member.kept.given_up) else { return false };
        member.kept.given_up = !matches!(&self.state, State::Open(log) if member.is_alone(log));
        member.kept.given_up
    }
}

struct Rebuild<'a> {
    disk: &'a SharedDisk,
    dir: &'a Path,
    replicas: BTreeMap<ReplicaId, Found>,
    next_replica_id: u64,
    last_boot_epoch: i32,
    /// Where the journal gives replicas another log for the last time.
    installs: BTreeMap<ReplicaId, Lsn>,
    /// Where it lets them start in the end.
    starts: BTreeMap<ReplicaId, i64>,
    /// Where it cuts them for the last time.
    truncates: BTreeMap<ReplicaId, Lsn>,
    /// The journal lacks records, or its newest checkpoint: whole frames in the segments are kept.
    damaged: bool,
    mended: bool,
}

/// What a start knows of the one before, and what for it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// What became of the process before.
    pub ended: Ended,
    /// Members that were given up are opened all the same: an operator looks at them.
    pub opens_given_up: bool,
}

/// Reads journal and logs, and readies the journal to go on.
///
/// # Errors
/// The disk's, a newer format, or a journal that cannot be read.
pub(super) fn recover(
    disk: &SharedDisk,
    dir: &Path,
    config: JournalConfig,
    random: &Random,
    Circumstances { ended, opens_given_up }: Circumstances,
) -> Result<Recovered, StorageError> {
    let recovery = journal::recover(disk, &dir.join("journal"), config)?;
    for damage in recovery.damage() {
        tracing::error!(from = damage.from.0, to = damage.to.0, "journal is damaged: the segments' own copy is used");
    }
    if let Some(path) = recovery.bad_checkpoint() {
        tracing::error!(path = %path.display(), "checkpoint is damaged: the one before it and the segments' own copy are used");
    }
    let damaged = !recovery.damage().is_empty() || recovery.bad_checkpoint().is_some();
    let mut rebuild = Rebuild {
        disk,
        dir,
        replicas: BTreeMap::new(),
        next_replica_id: 0,
        last_boot_epoch: -1,
        installs: recovery.installs().clone(),
        starts: recovery.log_starts().clone(),
        truncates: recovery.truncates().clone(),
        damaged,
        mended: damaged,
    };
    if let Some(checkpoint) = recovery.checkpoint() {
        rebuild.next_replica_id = checkpoint.next_replica_id;
        rebuild.last_boot_epoch = checkpoint.boot_epoch;
        for replica in &checkpoint.replicas {
            rebuild.open(replica)?;
        }
    }
    recovery.replay(|end, record| rebuild.take(end, record))?;
    if damaged {
        rebuild.adopt(recovery.end())?;
    }
    rebuild.give_up_members(recovery.damage());
    // the newest checkpoint would say who was given up before
    if ended == Ended::Uncached || recovery.bad_checkpoint().is_some() {
        rebuild.give_up_uncached();
    }
    if ended != Ended::Clean {
        rebuild.distrust_cache()?;
    }
    if !opens_given_up {
        rebuild.refuse_given_up();
    }
    rebuild.report();
    let Rebuild { replicas, next_replica_id, last_boot_epoch, mended, .. } = rebuild;
    let boot_epoch = last_boot_epoch.saturating_add(1);
    let journal = recovery.start(boot_epoch, random.u64())?;
    let started = journal.append(&Record::BootEpoch { epoch: boot_epoch, nonce: random.u64() }, None)?;
    // clients will see this epoch: it must not come again after a power cut
    journal.sync_blocking(started)?;
    Ok(Recovered { journal, boot_epoch, next_replica_id, replicas, mended })
}

impl Rebuild<'_> {
    /// Opens a log where its checkpoint says. A damaged one is set aside, the others go on.
    fn open(&mut self, replica: &ReplicaCheckpoint) -> Result<(), StorageError> {
        let path = self.dir.join(&replica.dir);
        let key = (Uuid::from_bytes(replica.topic_id), replica.partition);
        let identity = LogIdentity { topic_id: key.0, partition: key.1 };
        let (disk, config) = (self.disk.clone(), LogConfig::default());
        let last = Captured {
            end: replica.end,
            log_start_offset: replica.log_start_offset,
            quarantined: replica.quarantined.clone(),
            lsn: replica.captured,
            unjournaled: replica.unjournaled,
            member: replica.member.clone().map(|kept| RecoveredMember { vote: replica.vote, kept }),
        };
        if self.installs.get(&replica.replica).is_some_and(|install| *install > replica.captured) {
            let (state, dir, since) = (State::Deleted, replica.dir.clone(), replica.captured);
            self.await_install(replica.replica, Found { key, dir, state, last, since });
            return Ok(());
        }
        let keep_tail = self.damaged || replica.unjournaled;
        let cut_since = self.truncates.get(&replica.replica).is_some_and(|cut| *cut > replica.captured);
        let extent = match (keep_tail, replica.unjournaled && cut_since) {
            (_, true) => Extent::LastSegment,
            (true, false) => Extent::Beyond(&replica.end),
            (false, false) => Extent::Checkpoint(&replica.end),
        };
        // moved before the checkpoint, or after it
        let moved_start = self.moved_start(replica.replica).max(replica.log_start_offset);
        let opened = match Log::open(disk, &path, identity, config, extent) {
            // retention deleted what the checkpoint knew
            Err(LogError::Missing { .. }) if moved_start >= replica.end.next_offset => {
                self.mended = true;
                self.open_behind(&path, identity, &replica.end, keep_tail)
            }
            opened => opened,
        };
        let state = match opened {
            Ok((mut log, report)) => {
                log.restore_log_start(replica.log_start_offset);
                replica.quarantined.iter().for_each(|(from, to)| log.quarantine(*from, *to));
                if !report.rebuilt.is_empty() {
                    tracing::warn!(log = %path.display(), files = ?report.rebuilt, "derived files were bad: made anew");
                }
                State::Open(log)
            }
            Err(error @ LogError::NewerVersion { .. }) => return Err(error.into()),
            Err(LogError::Io { path, cause }) if may_pass(&cause) => {
                return Err(StorageError::Unreadable { path, cause });
            }
            Err(error) => {
                tracing::error!(log = %path.display(), %error, "log cannot be served; other partitions are");
                State::Failed(error.to_string().into())
            }
        };
        let since = replica.captured;
        self.replicas.insert(replica.replica, Found { key, dir: replica.dir.clone(), state, last, since });
        Ok(())
    }

    fn moved_start(&self, replica: ReplicaId) -> i64 {
        self.starts.get(&replica).copied().unwrap_or(0)
    }

    /// A log whose segments up to the checkpoint's end are gone: what follows is taken as it lies, or comes from the journal.
    fn open_behind(
        &self,
        path: &Path,
        identity: LogIdentity,
        end: &LogEnd,
        keep_tail: bool,
    ) -> Result<(Log, OpenReport), LogError> {
        if keep_tail {
            let opened = Log::open(self.disk.clone(), path, identity, LogConfig::default(), Extent::AllSegments);
            if opened.is_ok() {
                return opened;
            }
        }
        let emptied = Log::open_emptied(self.disk.clone(), path, identity, LogConfig::default(), end)?;
        Ok((emptied, OpenReport::default()))
    }

    /// A stretch of the journal that is lost may have held votes: whoever voted and does not know it would vote twice. And what
    /// lies in no order that the others have is no log of the group any more. Such members come back under another name.
    fn give_up_members(&mut self, damage: &[Damage]) {
        for (id, found) in &mut self.replicas {
            let lost = |damage: &Damage| damage.to > found.since && damage.only.is_none_or(|only| only == *id);
            let incomplete = matches!(&found.state, State::Open(log) if !log.quarantined().is_empty());
            if (incomplete || damage.iter().any(lost)) && found.give_up() {
                tracing::error!(log = found.dir, incomplete, "a part of this log is lost, or of what it had promised");
                self.mended = true;
            }
        }
    }

    /// Under write caching a member acknowledges what the page cache alone has. Whoever may have lost that must not vote as if
    /// it had it.
    fn give_up_uncached(&mut self) {
        for found in self.replicas.values_mut().filter(|found| found.last.unjournaled) {
            if found.give_up() {
                tracing::error!(
                    log = found.dir,
                    "the machine went down, and with it what write.caching had not synced"
                );
                self.mended = true;
            }
        }
    }

    /// Whole frames behind the checkpoint are taken for logs that bypass the journal. What a start, this or an earlier one, cut off
    /// there must be off the disk before anything else may lie in its place, or a power cut brings it back.
    fn distrust_cache(&mut self) -> Result<(), StorageError> {
        for found in self.replicas.values_mut().filter(|found| found.last.unjournaled) {
            if let State::Open(log) = &mut found.state {
                log.distrust_cache()?;
                self.mended = true;
            }
        }
        Ok(())
    }

    /// Members that were given up, now or at an earlier start, serve nothing.
    fn refuse_given_up(&mut self) {
        for found in self.replicas.values_mut() {
            if found.last.member.as_ref().is_some_and(|member| member.kept.given_up) {
                let reason = "what this member of a group has promised may be lost: it must come back as a new one";
                tracing::error!(log = found.dir, reason);
                found.state = State::Failed(reason.into());
            }
        }
    }

    /// Says what cannot be served.
    fn report(&self) {
        for found in self.replicas.values() {
            let State::Open(log) = &found.state else { continue };
            for (from, to) in log.quarantined() {
                let log = log.dir().display();
                tracing::error!(%log, from, to, "offsets are damaged or lost: reads of them are refused");
            }
        }
    }

    /// Takes in one record; `end` is the position behind it.
    fn take(&mut self, end: Lsn, record: OwnedRecord) -> Result<(), StorageError> {
        match record {
            OwnedRecord::BootEpoch { epoch } => self.last_boot_epoch = self.last_boot_epoch.max(epoch),
            OwnedRecord::CreateReplica { replica, topic_id, partition, dir } => {
                self.next_replica_id = self.next_replica_id.max(replica.0.saturating_add(1));
                if !self.replicas.contains_key(&replica) {
                    self.create((end, replica), (Uuid::from_bytes(topic_id), partition), dir, None)?;
                }
            }
            OwnedRecord::CreateMember { replica, topic_id, partition, node, dir, membership } => {
                self.next_replica_id = self.next_replica_id.max(replica.0.saturating_add(1));
                if !self.replicas.contains_key(&replica) {
                    let first = (!membership.is_empty()).then(|| membership.to_vec());
                    let member = RecoveredMember::new(NodeId::from(node), first);
                    self.create((end, replica), (Uuid::from_bytes(topic_id), partition), dir, Some(member))?;
                }
            }
            OwnedRecord::DeleteReplica { replica } => {
                // its directory may be there still, under its own name or another: `clear_leftovers` sees to it
                self.replicas.remove(&replica);
            }
            OwnedRecord::Entry { replica, index, frame, base_offset, leader_epoch, opens_segment } => {
                if let Some(member) = self.member_behind(replica, end) {
                    member.note_frame(index, leader_epoch, &frame);
                }
                if let Some(log) = self.log_behind(replica, end) {
                    let replayed =
                        skip_lost(log, index, base_offset).and_then(|()| log.replay(index, &frame, opens_segment));
                    self.judge(replica, replayed)?;
                }
            }
            OwnedRecord::Truncate { replica, next_index, .. } => {
                if let Some(member) = self.member_behind(replica, end) {
                    member.truncate(next_index);
                }
                // of entries that bypass the journal it tells only that the checkpoint is not the end any more
                let unjournaled = self.replicas.get(&replica).is_some_and(|found| found.last.unjournaled);
                if let Some(log) = self.log_behind(replica, end).filter(|_| !unjournaled) {
                    let truncated = log.truncate(next_index).map_err(AppendError::from);
                    self.judge(replica, truncated)?;
                }
            }
            OwnedRecord::LogStart { replica, log_start_offset } => {
                if let Some(log) = self.log_behind(replica, end) {
                    let jumps = log_start_offset > log.log_end_offset();
                    log.restore_log_start(log_start_offset);
                    self.mended |= jumps;
                }
            }
            OwnedRecord::Vote { replica, term, node, committed } => {
                if let Some(member) = self.member_behind(replica, end) {
                    member.vote = Some((term, node, committed));
                }
            }
            OwnedRecord::Join { replica, node, term, committed } => {
                if let Some(found) = self.replicas.get_mut(&replica).filter(|found| end > found.last.lsn) {
                    found.last.member = node.map(|node| RecoveredMember::joined(NodeId::from(node), term, committed));
                }
            }
            OwnedRecord::Install { replica, installed } => self.install(end, replica, &installed)?,
            OwnedRecord::Reset { replica, next_index, next_offset, leader_epoch } => {
                if let Some(log) = self.log_behind(replica, end) {
                    let reset = log.reset(next_index, next_offset, leader_epoch).map_err(AppendError::from);
                    self.judge(replica, reset)?;
                }
            }
        }
        Ok(())
    }

    /// The log of a replica, if the record is not in its files yet.
    fn log_behind(&mut self, replica: ReplicaId, end: Lsn) -> Option<&mut Log> {
        let found = self.replicas.get_mut(&replica).filter(|found| end > found.last.lsn)?;
        match &mut found.state {
            State::Open(log) => Some(log),
            _ => None,
        }
    }

    /// Opens the log that came from another member, in the place of the one before it; the last such record of a replica.
    fn install(&mut self, end: Lsn, replica: ReplicaId, installed: &Installed) -> Result<(), StorageError> {
        let last = self.installs.get(&replica) == Some(&end);
        let Some(found) = self.replicas.get_mut(&replica).filter(|found| last && end > found.last.lsn) else {
            return Ok(());
        };
        let (from, place) = (self.dir.join(&installed.dir), self.dir.join(&found.dir));
        if self.disk.exists(&from) {
            // the doomed one is cleared away with the other leftovers
            StorageError::at(&place, take_place(&**self.disk, &from, &place))?;
        }
        let identity = LogIdentity { topic_id: found.key.0, partition: found.key.1 };
        let extent = match self.damaged || found.last.unjournaled {
            true => Extent::Beyond(&installed.end),
            false => Extent::Checkpoint(&installed.end),
        };
        let mut member = found.last.member.take();
        if let Some(member) = &mut member {
            member.note_installed(installed);
        }
        let unjournaled = found.last.unjournaled;
        let opened = match Log::open(self.disk.clone(), &place, identity, LogConfig::default(), extent) {
            // what came from the other member has been given up since
            Err(LogError::Missing { .. }) if self.moved_start(replica) >= installed.end.next_offset => {
                self.mended = true;
                self.open_behind(&place, identity, &installed.end, self.damaged || unjournaled)
            }
            opened => opened,
        };
        let Some(found) = self.replicas.get_mut(&replica) else { return Ok(()) };
        match opened {
            Ok((mut log, _)) => {
                log.restore_log_start(installed.log_start_offset);
                found.last = Captured { member, unjournaled, ..Captured::of(&log, end) };
                found.state = State::Open(log);
            }
            Err(LogError::Io { path, cause }) if may_pass(&cause) => {
                return Err(StorageError::Unreadable { path, cause });
            }
            Err(error) => {
                tracing::error!(log = %place.display(), %error, "log cannot be served; other partitions are");
                found.last.member = member;
                found.state = State::Failed(error.to_string().into());
            }
        }
        Ok(())
    }

    /// Notes a replica whose log is known from a later record only.
    fn await_install(&mut self, replica: ReplicaId, found: Found) {
        let state = State::Failed("the log that takes its place was not found".into());
        self.replicas.insert(replica, Found { state, ..found });
    }

    /// What is known of a member of a group, if the record is not in its checkpoint yet.
    fn member_behind(&mut self, replica: ReplicaId, end: Lsn) -> Option<&mut RecoveredMember> {
        let found = self.replicas.get_mut(&replica).filter(|found| end > found.last.lsn)?;
        found.last.member.as_mut()
    }

    fn judge(&mut self, replica: ReplicaId, result: Result<(), AppendError>) -> Result<(), StorageError> {
        match (result, self.replicas.get_mut(&replica)) {
            (Ok(()), _) => Ok(()),
            (Err(AppendError::Log(error @ LogError::Io { .. })), _) => Err(error.into()),
            (Err(error), Some(found)) => {
                tracing::error!(log = found.dir, %error, "log and journal disagree: the log cannot be served");
                found.state = State::Failed(error.to_string().into());
                Ok(())
            }
            (Err(_), None) => Ok(()),
        }
    }

    fn create(
        &mut self,
        (lsn, replica): (Lsn, ReplicaId),
        key: ReplicaKey,
        dir: String,
        member: Option<RecoveredMember>,
    ) -> Result<(), StorageError> {
        let path = self.dir.join(&dir);
        let identity = LogIdentity { topic_id: key.0, partition: key.1 };
        if self.damaged && self.keep((lsn, replica), key, &dir, member.clone()) {
            return Ok(());
        }
        if self.installs.contains_key(&replica) {
            let last = Captured { member, ..Captured::nothing(lsn) };
            self.await_install(replica, Found { key, dir, state: State::Deleted, last, since: lsn });
            return Ok(());
        }
        if self.disk.exists(&path) {
            // what was written after the record is in the journal too
            StorageError::at(&path, self.disk.remove_dir_all(&path))?;
        }
        let (disk, config) = (self.disk.clone(), LogConfig::default());
        let log = match &member {
            None => Log::create(disk, &path, identity, config)?,
            Some(member) => Log::create_with(disk, &path, identity, config, member.first_words())?,
        };
        let last = Captured { member, ..Captured::of(&log, lsn) };
        self.replicas.insert(replica, Found { key, dir, state: State::Open(log), last, since: lsn });
        Ok(())
    }
}

impl Rebuild<'_> {
    /// Takes a log as it lies, up to its last whole frame. False if there is none.
    fn keep(
        &mut self,
        (lsn, replica): (Lsn, ReplicaId),
        key: ReplicaKey,
        dir: &str,
        member: Option<RecoveredMember>,
    ) -> bool {
        let identity = LogIdentity { topic_id: key.0, partition: key.1 };
        let path = self.dir.join(dir);
        let opened = Log::open(self.disk.clone(), &path, identity, LogConfig::default(), Extent::AllSegments);
        let Ok((log, _)) = opened else { return false };
        let last = Captured { member, ..Captured::of(&log, lsn) };
        let found = Found { key, dir: dir.to_owned(), state: State::Open(log), last, since: lsn };
        self.replicas.insert(replica, found);
        true
    }

    /// Logs whose making the damaged journal does not tell any more: they say themselves whose they are. The metadata
    /// decides whether they are wanted.
    fn adopt(&mut self, lsn: Lsn) -> Result<(), StorageError> {
        for entry in StorageError::at(self.dir, self.disk.read_dir(self.dir))? {
            let known = self.replicas.values().any(|found| found.dir == entry.name);
            let partition = entry.name.rsplit_once('-').and_then(|(_, number)| number.parse::<i32>().ok());
            let (false, true, Some(partition)) = (known, entry.is_dir, partition) else { continue };
            let Some(topic_id) = Log::topic_id_in(&**self.disk, &self.dir.join(&entry.name)) else { continue };
            let replica = ReplicaId(self.next_replica_id);
            self.next_replica_id += 1;
            if self.keep((lsn, replica), (topic_id, partition), &entry.name, None) {
                tracing::warn!(log = entry.name, "log is not in the damaged journal: taken as it lies");
                self.give_up_adopted(replica);
            }
        }
        Ok(())
    }
}

impl Rebuild<'_> {
    /// A log of a group: the record that said which member it is may have been followed by votes.
    fn give_up_adopted(&mut self, replica: ReplicaId) {
        let Some(found) = self.replicas.get_mut(&replica) else { return };
        if matches!(&found.state, State::Open(log) if has_members(log)) {
            found.last.member = Some(RecoveredMember::new(NodeId::UNKNOWN, None));
            found.give_up();
        }
    }
}

/// Whether a log was ever one of a group's.
fn has_members(log: &Log) -> bool {
    let frames = log.frames(0, log.next_index(), FrameBytes::Headers).unwrap_or_default();
    frames.iter().any(|frame| frame.header.is_internal() && names_members(&frame.bytes))
}

/// The disk or the system refused: the file may be whole. A replica that is set aside loses its records once the journal's
/// files are used again, so that is only for files that are surely gone, or shorter than they must be.
fn may_pass(cause: &io::Error) -> bool {
    !matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// Goes to the place of a frame. Frames between it and the log's end are lost: void frames take their indexes, reads of their
/// offsets are refused, and what comes after them is kept.
fn skip_lost(log: &mut Log, index: u64, base_offset: i64) -> Result<(), AppendError> {
    if index > log.next_index() {
        let (from, epoch) = (log.log_end_offset(), log.last_leader_epoch().max(0));
        while log.next_index() < index {
            log.append_internal(InternalKind::Void, b"lost", epoch)?;
        }
        if base_offset > from {
            log.quarantine(from, base_offset);
        }
    }
    Ok(())
}
