//! A replica: one log of this broker. Alone, what it appends is committed once it is synced here. Appends, reads, moves of the
//! log start.
//!
//! ```text
//! log start ≤ committed ≤ log end         committed = log end at once, where entries bypass the journal
//! ```
//! Not here: which batches are good, who waits, files; what a member of a group does instead (`group`).

use std::{
    io::IoSlice,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tidemark_record::{BatchHeader, batch::PATCHED_LEN};
use tokio::sync::oneshot;

use super::{
    commit::CommitListener,
    error::ReplicaError,
    group::{Group, Member},
    node_id::NodeId,
    role::Role,
    storage::Shared,
};
use crate::{
    journal::{JournalError, JournalFailed, Record, ReplicaId},
    log::{AppendError, Appended, BadStretch, Log, LogConfig, LogError, SequenceCheck},
    os::disk::is_lack,
};

/// What an acknowledged entry survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Durability {
    /// A power cut: entries go through the journal.
    Journaled = 0,
    /// kill -9, not a power cut: entries are in the page cache (`write.caching`).
    WriteCaching = 1,
    /// Nothing: the log is in memory (`tidemark.storage=volatile`).
    Volatile = 2,
}

/// A batch that the log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appending {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last.
    pub last_offset: i64,
    /// The log's start at that moment.
    pub log_start_offset: i64,
    /// Max timestamp of the batch that was there before, if this one repeats it.
    pub duplicate_of: Option<i64>,
}

/// One replica. Shared by its partition, the checkpoint thread and the journal's completions.
pub struct Replica {
    pub(super) id: ReplicaId,
    pub(super) shared: Arc<Shared>,
    held: RwLock<Held>,
    role: ArcSwap<Role>,
    /// The running group; none for a replica that is alone, or whose group was not started.
    pub(super) group: ArcSwapOption<Group>,
    pub(super) durability: AtomicU8,
    pub(super) announced: AtomicBool,
    /// Below it nothing is truncated any more.
    pub(super) committed: AtomicI64,
    listener: OnceLock<Arc<dyn CommitListener>>,
    /// What a member is called whose log could not be read at the start.
    unreadable: OnceLock<NodeId>,
    /// Held from a capture to the end of its sync: what one has taken to sync, another must not take for synced.
    pub(super) syncing: Mutex<()>,
    pub(super) flush_messages: AtomicI64,
    pub(super) flush_ms: AtomicI64,
    /// Records that no sync covers yet, under `write.caching`.
    pub(super) unflushed: AtomicI64,
}

/// What the replica's lock guards.
pub(super) struct Held {
    pub state: State,
    /// Of a member of a group.
    pub member: Option<Box<Member>>,
}

/// The log, or why there is none.
#[allow(clippy::large_enum_variant, reason = "one per replica, and nearly always open")]
pub(super) enum State {
    Open(Log),
    /// Damaged beyond serving, or its disk failed.
    Failed(Arc<str>),
    Deleted,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("id", &self.id).finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn log(&self) -> Result<&Log, ReplicaError> {
        match self {
            Self::Open(log) => Ok(log),
            Self::Failed(reason) => Err(ReplicaError::Storage(reason.to_string())),
            Self::Deleted => Err(ReplicaError::Deleted),
        }
    }

    pub(super) fn log_mut(&mut self) -> Result<&mut Log, ReplicaError> {
        match self {
            Self::Open(log) => Ok(log),
            Self::Failed(reason) => Err(ReplicaError::Storage(reason.to_string())),
            Self::Deleted => Err(ReplicaError::Deleted),
        }
    }
}

impl Replica {
    /// Over a log that was opened or made. Alone, its frames are committed; those of a `member` as far as it says.
    pub(super) fn new(
        id: ReplicaId,
        boot_epoch: i32,
        shared: Arc<Shared>,
        (mut state, member): (State, Option<Box<Member>>),
        durability: Durability,
    ) -> Arc<Self> {
        let (mut role, mut committed) = (Role::Solo { epoch: boot_epoch }, 0);
        if let State::Open(log) = &mut state {
            committed = log.log_end_offset();
            match &member {
                Some(member) => committed = member.high_watermark(),
                None => role = Role::Solo { epoch: begin_solo_epoch(log, boot_epoch) },
            }
            log.settle(committed);
        }
        if let Some(member) = &member {
            // who led last is who most likely leads: it is heard from soon, or another is
            role = Role::Follower { leader: member.voted_leader(), epoch: member.epoch() };
        }
        Arc::new(Self {
            id,
            shared,
            held: RwLock::new(Held { state, member }),
            role: ArcSwap::from_pointee(role),
            group: ArcSwapOption::empty(),
            durability: AtomicU8::new(durability as u8),
            announced: AtomicBool::new(false),
            committed: AtomicI64::new(committed),
            listener: OnceLock::new(),
            unreadable: OnceLock::new(),
            syncing: Mutex::new(()),
            flush_messages: AtomicI64::new(i64::MAX),
            flush_ms: AtomicI64::new(i64::MAX),
            unflushed: AtomicI64::new(0),
        })
    }

    /// Its id, never used again.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// What it is in its partition. Without a lock.
    pub fn role(&self) -> Role {
        **self.role.load()
    }

    /// Its leader epoch.
    pub fn leader_epoch(&self) -> i32 {
        self.role().epoch()
    }

    /// What it is called in its group, also where its log cannot be read; none for one that is alone.
    pub fn node(&self) -> Option<NodeId> {
        let held = self.read();
        let unreadable = || matches!(held.state, State::Failed(_)).then(|| self.unreadable.get().copied()).flatten();
        held.member.as_ref().map(|member| member.node).or_else(unreadable)
    }

    /// It was this member, and its log cannot be read: it promises nothing more, and another takes its place.
    pub fn is_called(&self, node: NodeId) {
        // once, at start
        let _first_wins = self.unreadable.set(node);
    }

    /// Whether it was a member of a group, and what it was called is lost with its journal: whatever the metadata says.
    pub fn is_nameless(&self) -> bool {
        self.has_failed() && matches!(self.role(), Role::Follower { .. }) && self.node().is_none()
    }

    /// Whether its group runs.
    pub fn has_group(&self) -> bool {
        self.group.load().is_some()
    }

    /// Whether its log cannot be used: it is damaged, or its disk failed.
    pub fn has_failed(&self) -> bool {
        matches!(self.read().state, State::Failed(_))
    }

    /// Whether another must take its place: its log cannot be used, or it is a member of a group and lost a part of its log, which
    /// the others have.
    pub fn is_damaged(&self) -> bool {
        let held = self.read();
        match &held.state {
            State::Open(log) => held.member.is_some() && !log.quarantined().is_empty(),
            State::Failed(_) => true,
            State::Deleted => false,
        }
    }

    /// Becomes something else, and says so.
    pub(super) fn set_role(&self, role: Role) {
        if self.role() != role {
            self.role.store(Arc::new(role));
            if let Some(listener) = self.listener.get() {
                listener.on_role_change(role);
            }
        }
    }

    /// Alone: leads in an epoch above this one from now on. A log that was made anew on an emptied disk knows of no epoch that
    /// clients have seen.
    pub fn lead_above(&self, epoch: i32) {
        let mut held = self.write();
        let Role::Solo { epoch: own } = self.role() else { return };
        if own > epoch {
            return;
        }
        let above = epoch.saturating_add(1);
        if let State::Open(log) = &mut held.state {
            log.begin_epoch(above);
        }
        drop(held);
        self.set_role(Role::Solo { epoch: above });
    }

    /// Who leads, as an error for those who took this replica for the leader.
    pub(super) fn not_leader(&self) -> ReplicaError {
        let role = self.role();
        let leader = if let Role::Follower { leader, .. } = role { leader } else { None };
        ReplicaError::NotLeader { leader, epoch: role.epoch() }
    }

    /// Offset behind the last committed record.
    pub fn high_watermark(&self) -> i64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Tells who is called back. Once, before the first append.
    pub fn listen(&self, listener: Arc<dyn CommitListener>) {
        let _first_wins = self.listener.set(listener);
    }

    /// What an acknowledged entry survives.
    pub fn durability(&self) -> Durability {
        match self.durability.load(Ordering::Acquire) {
            0 => Durability::Journaled,
            1 => Durability::WriteCaching,
            _ => Durability::Volatile,
        }
    }

    /// New settings of the log; `flush_messages` and `flush_ms` bound what is unsynced under `write.caching`.
    pub fn configure(&self, config: LogConfig, flush_messages: i64, flush_ms: i64) {
        self.flush_messages.store(flush_messages, Ordering::Relaxed);
        self.flush_ms.store(flush_ms, Ordering::Relaxed);
        if let State::Open(log) = &mut self.write().state {
            log.set_config(config);
        }
    }

    /// Whether a client may write so many bytes more. What the broker itself has to write may use the reserve, and does not
    /// ask.
    ///
    /// # Errors
    /// The disk is nearly full.
    pub fn check_room(&self, bytes: usize) -> Result<(), ReplicaError> {
        match self.durability() {
            Durability::Volatile => Ok(()),
            _ => self.shared.check_room(bytes),
        }
    }

    /// Looks into the log. Others may look at the same time; nobody appends meanwhile.
    ///
    /// # Errors
    /// There is no log any more.
    pub fn look<T>(&self, look: impl FnOnce(&Log) -> T) -> Result<T, ReplicaError> {
        self.read().state.log().map(look)
    }

    /// Of a replica that is alone: appends a whole, verified batch at the log's end, or says where it already is. It is in the
    /// page cache when this returns; the [`CommitListener`] hears when it is committed.
    ///
    /// # Errors
    /// A producer's gap, a replica that is in a group, or the disk's: nothing was written.
    pub fn append(
        self: &Arc<Self>,
        batch: &[u8],
        header: &BatchHeader,
        now_ms: i64,
    ) -> Result<Appending, ReplicaError> {
        let mut held = self.write_alone()?;
        let log = held.state.log_mut()?;
        if let SequenceCheck::Duplicate { base_offset, last_offset, timestamp } = log.check_producer(header)? {
            let log_start_offset = log.log_start_offset();
            return Ok(Appending { base_offset, last_offset, log_start_offset, duplicate_of: Some(timestamp) });
        }
        let before = log.next_index();
        let appended = log.append(batch, header, self.leader_epoch(), now_ms);
        self.finish(held, appended, before, batch, header)
    }

    /// Compare-and-append: the batch keeps the offset it carries, if the log ends at `expected_end`.
    ///
    /// # Errors
    /// Another end, a replica that is in a group, or the disk's: nothing was written.
    pub fn append_at(
        self: &Arc<Self>,
        batch: &[u8],
        header: &BatchHeader,
        expected_end: i64,
        now_ms: i64,
    ) -> Result<Appending, ReplicaError> {
        let mut held = self.write_alone()?;
        let log = held.state.log_mut()?;
        let before = log.next_index();
        let appended = log.append_at(batch, header, self.leader_epoch(), expected_end, now_ms);
        self.finish(held, appended, before, batch, header)
    }

    fn finish(
        self: &Arc<Self>,
        mut held: RwLockWriteGuard<'_, Held>,
        appended: Result<Appended, AppendError>,
        index_before: u64,
        batch: &[u8],
        header: &BatchHeader,
    ) -> Result<Appending, ReplicaError> {
        let appended = appended.map_err(|error| self.append_failed(&mut held.state, error))?;
        let log = held.state.log_mut()?;
        log.settle(self.committed.load(Ordering::Acquire));
        let (end, bytes, records) = (log.log_end_offset(), batch.len(), i64::from(header.records_count));
        let done = Appending {
            base_offset: appended.base_offset,
            last_offset: appended.last_offset,
            log_start_offset: log.log_start_offset(),
            duplicate_of: None,
        };
        match self.durability() {
            Durability::Journaled => {
                let frame = [IoSlice::new(&appended.prefix), IoSlice::new(&batch[PATCHED_LEN..])];
                let record = Record::Entry {
                    replica: self.id,
                    index: appended.index,
                    leader_epoch: appended.leader_epoch,
                    base_offset: appended.base_offset,
                    frame: &frame,
                    frame_crc: appended.frame_crc,
                    opens_segment: appended.opens_segment,
                };
                let this = Arc::clone(self);
                let written =
                    self.shared.journal.append(&record, Some(Box::new(move |result| this.synced(result, end, bytes))));
                if let Err(error) = written {
                    return Err(self.journal_refused(&mut held.state, &error, index_before));
                }
                drop(held);
            }
            Durability::WriteCaching => {
                drop(held);
                self.count_unflushed(records)?;
                self.commit(end, bytes);
            }
            Durability::Volatile => {
                if appended.opens_segment {
                    self.drop_expired(log);
                }
                drop(held);
                self.commit(end, bytes);
            }
        }
        self.shared.note_written(bytes as u64);
        Ok(done)
    }

    /// A volatile log is bounded at each roll, not at the next round of retention: it is memory.
    fn drop_expired(&self, log: &mut Log) {
        if let Ok(Some(start)) = log.expired_log_start(i64::MIN) {
            log.set_log_start(start);
            // a disk in memory has nothing to refuse
            let _ = log.delete_old_segments();
        }
    }

    pub(super) fn append_failed(&self, state: &mut State, error: AppendError) -> ReplicaError {
        match error {
            AppendError::WrongEnd { end, expected } => ReplicaError::WrongEnd { end, expected },
            AppendError::Log(LogError::Io { path, cause }) if is_lack(&cause) => {
                ReplicaError::Storage(format!("{}: {cause}; nothing was written", path.display()))
            }
            error => self.fail(state, &error.to_string()),
        }
    }

    /// The journal had no room for another file, and nothing of the entry is in it: the log takes it back. Anything else
    /// ends the broker.
    pub(super) fn journal_refused(&self, state: &mut State, error: &JournalError, index_before: u64) -> ReplicaError {
        if let (JournalError::Full { .. }, State::Open(log)) = (error, &mut *state) {
            match log.truncate(index_before) {
                Ok(()) => return ReplicaError::Storage(error.to_string()),
                Err(cause) => return self.fail(state, &cause.to_string()),
            }
        }
        self.fail(state, &error.to_string())
    }

    /// Nothing is retried after a failed write or sync: the replica is finished, and the broker ends.
    pub(super) fn fail(&self, state: &mut State, reason: &str) -> ReplicaError {
        if matches!(state, State::Open(_)) {
            *state = State::Failed(reason.into());
        }
        self.shared.fail(reason);
        if let Some(listener) = self.listener.get() {
            listener.on_failure();
        }
        ReplicaError::Storage(reason.to_owned())
    }

    /// On the journal's sync thread.
    fn synced(&self, result: Result<(), JournalFailed>, end: i64, bytes: usize) {
        match result {
            Ok(()) => self.commit(end, bytes),
            Err(failed) => self.sync_failed(&failed),
        }
    }

    /// Nothing that was not synced yet will be.
    pub(super) fn sync_failed(&self, failed: &JournalFailed) {
        self.shared.fail(&failed.to_string());
        if let Some(listener) = self.listener.get() {
            listener.on_failure();
        }
    }

    pub(super) fn commit(&self, end: i64, bytes: usize) {
        self.committed.fetch_max(end, Ordering::AcqRel);
        if let Some(listener) = self.listener.get() {
            listener.on_commit(end, bytes);
        }
    }

    /// Moves the log start up to `offset`; it never goes back. In a group every member moves it, once that is committed. The
    /// receiver hears when the move survives a crash here; files of records below may be deleted from then on
    /// ([`Self::delete_old_segments`]).
    ///
    /// # Errors
    /// There is no log, another member leads, or the journal failed.
    pub fn move_log_start(&self, offset: i64) -> Result<(i64, oneshot::Receiver<()>), ReplicaError> {
        if !matches!(self.role(), Role::Solo { .. }) {
            return self.propose_log_start(offset);
        }
        let (sender, receiver) = oneshot::channel();
        let mut held = self.write_alone()?;
        let log = held.state.log_mut()?;
        let before = log.log_start_offset();
        let start = before.max(offset.min(log.log_end_offset()));
        if self.durability() == Durability::Volatile || start == before {
            log.set_log_start(start);
            // whoever waits may have gone: there is nobody to tell
            let _ = sender.send(());
            return Ok((start, receiver));
        }
        let record = Record::LogStart { replica: self.id, log_start_offset: start };
        let told = Box::new(move |result: Result<(), JournalFailed>| {
            if result.is_ok() {
                let _ = sender.send(());
            }
        });
        match self.shared.journal.append(&record, Some(told)) {
            Ok(_) => {
                log.set_log_start(start);
                Ok((start, receiver))
            }
            // nothing was written, and nothing moved
            Err(error @ JournalError::Full { .. }) => Err(ReplicaError::Storage(error.to_string())),
            Err(error) => Err(self.fail(&mut held.state, &error.to_string())),
        }
    }

    /// Removes the files of segments below the log start, which is durable already. A group's are removed once no member
    /// needs their frames.
    ///
    /// # Errors
    /// There is no log, or the disk failed.
    pub fn delete_old_segments(&self) -> Result<usize, ReplicaError> {
        let mut held = self.write();
        if held.member.is_some() {
            return Ok(0);
        }
        match held.state.log_mut()?.delete_old_segments() {
            Ok(deleted) => Ok(deleted),
            Err(error) => Err(self.fail(&mut held.state, &error.to_string())),
        }
    }

    /// Sets aside what a scrub has found to be bad. True if that is news.
    pub(super) fn set_aside(&self, bad: &BadStretch) -> bool {
        match &mut self.write().state {
            State::Open(log) => log.set_aside(bad),
            _ => false,
        }
    }

    /// Forgets producers that were silent too long.
    pub fn expire_producers(&self, now_ms: i64) {
        if let State::Open(log) = &mut self.write().state {
            log.expire_producers(now_ms);
        }
    }

    /// Takes the log away: nothing is appended or read any more.
    pub(super) fn take(&self) -> State {
        self.replace(State::Deleted)
    }

    /// Puts another log in the place of what there is, which is given back.
    pub(super) fn replace(&self, state: State) -> State {
        // a sync under way would miss its files
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut self.write().state, state)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock of a replica that decides for itself what its log holds.
    fn write_alone(&self) -> Result<RwLockWriteGuard<'_, Held>, ReplicaError> {
        let held = self.write();
        if held.member.is_some() { Err(self.not_leader()) } else { Ok(held) }
    }
}

/// The epoch in which a replica that is alone goes on behind what its log has.
fn begin_solo_epoch(log: &mut Log, boot_epoch: i32) -> i32 {
    let epoch = boot_epoch.max(log.last_leader_epoch().saturating_add(i32::from(log.next_index() > 1)));
    log.begin_epoch(epoch);
    epoch
}
