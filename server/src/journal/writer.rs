//! Appends records, and groups their syncs.
//!
//! An append is `write()`n before it returns, under one mutex: from then on it survives kill -9. The sync thread makes
//! durable all that was written while it was busy, then answers those who wait, in stream order.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, IoSlice},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use super::{
    checkpoint::{self, Checkpoint},
    error::{JournalError, JournalFailed},
    file::{FILE_HEADER_LEN, FileHeader, JournalFile, at, making_of, path_of},
    record::{Header, Lsn, PAYLOAD_BYTES_MAX, Record, record_len},
};
use crate::os::{
    disk::{SharedDisk, SharedFile, is_lack},
    thread,
};

/// Called once the record is durable, or never will be; on the sync thread, in stream order. Must be short.
pub type Completion = Box<dyn FnOnce(Result<(), JournalFailed>) + Send>;

/// Spare files that are kept for reuse; more are removed. As many of the largest size as two checkpoints free, so that a
/// busy journal makes no new file: zeros cost as much as the records that come to lie there.
const SPARE_FILES_MAX: usize = 8;

/// How the journal uses its files.
#[derive(Debug, Clone, Copy)]
pub struct JournalConfig {
    /// Bytes of the first file; small, so that a first start is fast.
    pub initial_file_bytes: u64,
    /// Bytes of later files; each is four times the one before until this.
    pub file_bytes_max: u64,
    /// No thread: whoever waits runs the sync itself. For tests that cut the power at every step.
    pub inline_sync: bool,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { initial_file_bytes: 256 << 10, file_bytes_max: 16 << 20, inline_sync: false }
    }
}

/// What recovery hands over.
pub(super) struct Start {
    pub disk: SharedDisk,
    pub dir: PathBuf,
    pub config: JournalConfig,
    pub generation: u64,
    pub replay_from: Lsn,
    /// Checksum of the record before it.
    pub replay_chain: u32,
    pub parts: Vec<(JournalFile, Lsn)>,
    pub position: u64,
    pub end: Lsn,
    pub chain: u32,
    pub next_sequence: u64,
    pub boot_epoch: u32,
    pub salt: u64,
}

/// The journal of a running broker; clones share it.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    disk: SharedDisk,
    dir: PathBuf,
    config: JournalConfig,
    salt: u64,
    state: Mutex<State>,
    /// Wakes the sync thread: something was written, or the journal closes.
    work: Condvar,
    /// Wakes those who wait for a sync.
    done: Condvar,
    /// Only one sync at a time, also without a thread.
    syncing: Mutex<()>,
    written: AtomicU64,
    synced: AtomicU64,
    syncs: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    current: Option<JournalFile>,
    position: u64,
    end: Lsn,
    chain: u32,
    boot_epoch: u32,
    next_sequence: u64,
    /// Files written since the last sync, oldest first.
    dirty: Vec<SharedFile>,
    waiting: VecDeque<(Lsn, Completion)>,
    /// Files that replay may still need, with the position of their first record; the current one is the last.
    live: Vec<(JournalFile, Lsn)>,
    /// Zeroed or used files, ready to be written.
    spare: Vec<JournalFile>,
    checkpointed: Lsn,
    /// Replay start of the checkpoint before the last: files below it are needed by neither checkpoint file.
    before_last: Lsn,
    chains: VecDeque<(Lsn, u32)>,
    generation: u64,
    failed: Option<JournalFailed>,
    closing: bool,
    /// The sync thread waits for work; else it will see by itself that there is some.
    asleep: bool,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.0.dir).field("written", &self.written()).finish_non_exhaustive()
    }
}

impl Journal {
    pub(super) fn start(start: Start) -> Result<Self, JournalError> {
        let state = State {
            current: start.parts.last().map(|(file, _)| file.clone()),
            position: start.position,
            end: start.end,
            chain: start.chain,
            boot_epoch: start.boot_epoch,
            next_sequence: start.next_sequence,
            dirty: Vec::new(),
            waiting: VecDeque::new(),
            live: start.parts,
            spare: Vec::new(),
            checkpointed: start.replay_from,
            before_last: start.replay_from,
            chains: VecDeque::from([(start.replay_from, start.replay_chain)]),
            generation: start.generation,
            failed: None,
            closing: false,
            asleep: false,
        };
        let journal = Self(Arc::new(Shared {
            disk: start.disk,
            dir: start.dir,
            config: start.config,
            salt: start.salt,
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            syncing: Mutex::new(()),
            written: AtomicU64::new(start.end.0),
            synced: AtomicU64::new(start.end.0),
            syncs: AtomicU64::new(0),
            thread: Mutex::new(None),
        }));
        if !start.config.inline_sync {
            let shared = journal.0.clone();
            let handle = at(&journal.0.dir, thread::spawn("journal-sync", move || shared.run()))?;
            *lock(&journal.0.thread) = Some(handle);
        }
        Ok(journal)
    }

    /// Writes one record and returns the position behind it. It survives kill -9 from here on, and a power cut once
    /// `on_synced` was called with `Ok`.
    ///
    /// # Errors
    /// [`JournalError::Full`]: nothing was written. Any other: the write failed, now or earlier, the journal is finished,
    /// and so is the process.
    pub fn append(&self, record: &Record<'_>, on_synced: Option<Completion>) -> Result<Lsn, JournalError> {
        let shared = &*self.0;
        let mut state = shared.lock();
        state.check()?;
        let end = match shared.write(&mut state, record) {
            Ok(end) => end,
            Err(error @ JournalError::Full { .. }) => return Err(error),
            Err(error) => return Err(shared.fail(state, "write", error)),
        };
        if let Some(completion) = on_synced {
            state.waiting.push_back((end, completion));
        }
        shared.written.store(end.0, Ordering::Release);
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            shared.work.notify_one();
        }
        Ok(end)
    }

    /// Calls back once all that is written so far survives a power cut; at once, if it does.
    ///
    /// # Errors
    /// A write or sync failed; nobody is called back.
    pub fn when_synced(&self, completion: Completion) -> Result<(), JournalError> {
        let mut state = self.0.lock();
        state.check()?;
        let written = self.written();
        if self.synced() < written {
            state.waiting.push_back((written, completion));
            return Ok(());
        }
        drop(state);
        completion(Ok(()));
        Ok(())
    }

    /// The position behind the last record written.
    pub fn written(&self) -> Lsn {
        Lsn(self.0.written.load(Ordering::Acquire))
    }

    /// The position below which everything survives a power cut.
    pub fn synced(&self) -> Lsn {
        Lsn(self.0.synced.load(Ordering::Acquire))
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.0.syncs.load(Ordering::Relaxed)
    }

    /// Bytes written since the last checkpoint's replay start.
    pub fn bytes_since_checkpoint(&self) -> u64 {
        let state = self.0.lock();
        state.end.0 - state.checkpointed.0
    }

    /// Waits until everything below `upto` survives a power cut.
    ///
    /// # Errors
    /// A sync failed.
    pub fn sync_blocking(&self, upto: Lsn) -> Result<(), JournalError> {
        if self.0.config.inline_sync {
            while self.synced() < upto {
                self.0.sync_once()?;
            }
            return Ok(());
        }
        let mut state = self.0.lock();
        while self.synced() < upto {
            state.check()?;
            state = self.0.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Writes a checkpoint and frees the files that neither checkpoint file needs. The caller has synced what the
    /// checkpoint says.
    ///
    /// # Errors
    /// The disk's; the older checkpoint stays valid.
    pub fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), JournalError> {
        self.sync_blocking(checkpoint.replay_from)?;
        let (generation, previous) = {
            let mut state = self.0.lock();
            state.check()?;
            (state.generation + 1, state.chain_at(checkpoint.replay_from))
        };
        let checkpoint = Checkpoint { previous, ..checkpoint.clone() };
        checkpoint::write(&self.0.disk, &self.0.dir, generation, &checkpoint)?;
        // one that was not written must not take the turn: the next would replace the only good file
        self.0.lock().generation = generation;
        self.0.recycle(checkpoint.replay_from)
    }

    /// Remembers the present end as a place where a checkpoint may let replay start.
    pub fn mark(&self) -> Lsn {
        let mut state = self.0.lock();
        let place = (state.end, state.chain);
        state.chains.push_back(place);
        place.0
    }

    /// Syncs what was written and ends the thread. Appending afterwards fails.
    ///
    /// # Errors
    /// The last sync failed.
    pub fn close(&self) -> Result<(), JournalError> {
        let result = self.sync_blocking(self.written());
        self.0.lock().closing = true;
        self.0.work.notify_all();
        if let Some(handle) = lock(&self.0.thread).take() {
            // a panic in a completion is the completion's; there is nothing left to do about it here
            let _ = handle.join();
        }
        result
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn check(&self) -> Result<(), JournalError> {
        match &self.failed {
            Some(failed) => Err(failed.clone().into()),
            None => Ok(()),
        }
    }

    fn chain_at(&mut self, place: Lsn) -> u32 {
        let chain = self.chains.iter().find(|(at, _)| *at == place).map_or(self.chain, |(_, chain)| *chain);
        self.chains.retain(|(at, _)| *at >= place);
        chain
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn write(&self, state: &mut State, record: &Record<'_>) -> Result<Lsn, JournalError> {
        const PADDING: [u8; 8] = [0; 8];
        let parts = record.parts();
        let payload_len = parts.header.payload_len as usize;
        if payload_len > PAYLOAD_BYTES_MAX {
            let cause = io::Error::new(io::ErrorKind::InvalidInput, "the record is larger than the journal takes");
            return Err(JournalError::Io { path: self.dir.clone(), cause });
        }
        let len = record_len(payload_len);
        let file = self.file_for(state, len)?;
        let synced = Lsn(self.synced.load(Ordering::Acquire));
        let header =
            Header { lsn: state.end, synced, previous: state.chain, boot_epoch: state.boot_epoch, ..parts.header };
        let head = header.encode(self.salt);
        let padding = len as usize - head.len() - payload_len;
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(parts.frame.len() + 3);
        slices.push(IoSlice::new(&head));
        slices.push(IoSlice::new(&parts.small));
        slices.extend(parts.frame.iter().map(|part| IoSlice::new(part)));
        slices.push(IoSlice::new(&PADDING[..padding]));
        // what a full disk took of the record is written over by the next one: its place and chain stay
        self.unless_full(file.write_all_at(&slices, state.position))?;
        if !state.dirty.iter().any(|dirty| Arc::ptr_eq(dirty, &file)) {
            state.dirty.push(file);
        }
        state.position += len;
        state.end.0 += len;
        state.chain = Header::chain(&head);
        Ok(state.end)
    }

    /// The file that has room for `len` more bytes: the current one, or the next.
    fn file_for(&self, state: &mut State, len: u64) -> Result<SharedFile, JournalError> {
        if let Some(current) = state.current.as_ref().filter(|current| state.position + len <= current.len) {
            return Ok(current.file.clone());
        }
        let wanted = FILE_HEADER_LEN + len;
        let spare =
            state.spare.iter().position(|spare| spare.len >= wanted).map(|place| state.spare.swap_remove(place));
        let next = match spare {
            Some(file) => file,
            None => {
                let grown = state.current.as_ref().map_or(self.config.initial_file_bytes, |current| current.len * 4);
                let bytes = grown.min(self.config.file_bytes_max).max(wanted);
                let sequence = state.next_sequence;
                state.next_sequence += 1;
                self.create_file(sequence, bytes)?
            }
        };
        let (start, previous, boot_epoch) = (state.end, state.chain, state.boot_epoch);
        let header = FileHeader { start, previous, boot_epoch, len: next.len, salt: self.salt };
        if let Err(error) = self.unless_full(next.file.write_all_at(&[IoSlice::new(&header.encode())], 0)) {
            state.spare.push(next);
            return Err(error);
        }
        state.position = FILE_HEADER_LEN;
        state.live.push((next.clone(), state.end));
        let file = next.file.clone();
        state.current = Some(next);
        Ok(file)
    }

    fn unless_full<T>(&self, result: io::Result<T>) -> Result<T, JournalError> {
        let path = self.dir.clone();
        result.map_err(|cause| match is_lack(&cause) {
            true => JournalError::Full { path, cause },
            false => JournalError::Io { path, cause },
        })
    }

    /// Makes the next file. Without room or descriptors for it, the beginning of one is removed again.
    fn create_file(&self, sequence: u64, bytes: u64) -> Result<JournalFile, JournalError> {
        JournalFile::create(&self.disk, &self.dir, sequence, bytes).map_err(|error| match error {
            JournalError::Io { path, cause } if is_lack(&cause) => {
                // a start would remove them too
                let _ = self.disk.remove_file(&making_of(&self.dir, sequence));
                let _ = self.disk.remove_file(&path_of(&self.dir, sequence));
                JournalError::Full { path, cause }
            }
            other => other,
        })
    }

    fn run(&self) {
        loop {
            {
                let mut state = self.lock();
                while state.dirty.is_empty() && !state.closing {
                    state.asleep = true;
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.dirty.is_empty() || state.failed.is_some() {
                    return;
                }
            }
            if self.sync_once().is_err() {
                return;
            }
            self.prepare_spare();
        }
    }

    /// Makes durable what is written now, and answers those who wait for it.
    fn sync_once(&self) -> Result<(), JournalError> {
        let _one = lock(&self.syncing);
        let (dirty, upto) = {
            let mut state = self.lock();
            state.check()?;
            (std::mem::take(&mut state.dirty), state.end)
        };
        for file in &dirty {
            if let Err(error) = file.sync_data() {
                let error = JournalError::Io { path: self.dir.clone(), cause: error };
                return Err(self.fail(self.lock(), "sync", error));
            }
        }
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let ready: Vec<Completion> = {
            let mut state = self.lock();
            self.synced.store(upto.0, Ordering::Release);
            let count = state.waiting.partition_point(|(end, _)| *end <= upto);
            state.waiting.drain(..count).map(|(_, completion)| completion).collect()
        };
        for completion in ready {
            completion(Ok(()));
        }
        self.done.notify_all();
        Ok(())
    }

    /// Ends the journal: nothing is retried, everyone who waits hears it.
    fn fail(&self, mut state: MutexGuard<'_, State>, action: &'static str, error: JournalError) -> JournalError {
        let cause = match error {
            JournalError::Io { cause, .. } => cause,
            other => io::Error::other(other.to_string()),
        };
        let failed = JournalFailed { action, cause: Arc::new(cause) };
        state.failed = Some(failed.clone());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (_, completion) in waiting {
            completion(Err(failed.clone()));
        }
        self.work.notify_all();
        self.done.notify_all();
        failed.into()
    }

    /// Has the next file ready before the current one is full, so that no append waits for zeros.
    fn prepare_spare(&self) {
        let (sequence, bytes) = {
            let mut state = self.lock();
            let Some(current) = &state.current else { return };
            if state.position < current.len / 2 || !state.spare.is_empty() {
                return;
            }
            let bytes = (current.len * 4).min(self.config.file_bytes_max);
            state.next_sequence += 1;
            (state.next_sequence - 1, bytes)
        };
        // without a spare the next append makes its file itself, and reports what is wrong
        if let Ok(file) = self.create_file(sequence, bytes) {
            self.lock().spare.push(file);
        }
    }

    /// Frees the files that end before the checkpoint before last's replay start: to be written again under a new name, or removed.
    fn recycle(&self, replay_from: Lsn) -> Result<(), JournalError> {
        let (freed, mut sequence) = {
            let mut state = self.lock();
            let bound = std::mem::replace(&mut state.before_last, replay_from);
            state.checkpointed = replay_from;
            // file i holds what lies before the start of file i + 1
            let last = state.live.len().saturating_sub(1);
            let count = (0..last).take_while(|place| state.live[place + 1].1 <= bound).count();
            let freed: Vec<JournalFile> = state.live.drain(..count).map(|(file, _)| file).collect();
            let sequence = state.next_sequence;
            state.next_sequence += freed.len() as u64;
            (freed, sequence)
        };
        if freed.is_empty() {
            return Ok(());
        }
        let mut renamed = Vec::new();
        for file in freed {
            if file.len < self.config.file_bytes_max || self.lock().spare.len() + renamed.len() >= SPARE_FILES_MAX {
                at(&file.path, self.disk.remove_file(&file.path))?;
                continue;
            }
            // the old header must not claim a place in the stream under the new name
            at(&file.path, file.file.write_all_at(&[IoSlice::new(&[0; FILE_HEADER_LEN as usize])], 0))?;
            at(&file.path, file.file.sync_data())?;
            let path = path_of(&self.dir, sequence);
            at(&path, self.disk.rename(&file.path, &path))?;
            renamed.push(JournalFile { sequence, path, ..file });
            sequence += 1;
        }
        // none is used before its name is durable
        at(&self.dir, self.disk.sync_dir(&self.dir))?;
        self.lock().spare.append(&mut renamed);
        Ok(())
    }
}
