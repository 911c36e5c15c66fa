//! The log itself: its state, its positions, and what a checkpoint takes of it. Operations stand in files of their own.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use super::{
    LogEnd,
    append::unless_lacking,
    config::{LogConfig, LogIdentity},
    error::{LogError, at},
    frame::{InternalKind, SegmentHeader},
    leader_epoch::{EpochCache, EpochEntry},
    producer_state::{ProducerInfo, ProducerStates},
    segment::{Segment, file_name},
};
use crate::os::disk::{OpenMode, SharedDisk, SharedFile};

/// What the first frame of a log with one replica says: so many voters, without names.
const ALONE: [u8; 4] = 1_u32.to_be_bytes();

/// Ends of the newest batches, to find a high watermark's position without reading.
pub(super) const RECENT_MAX: usize = 64;

/// One partition's log.
#[derive(Debug)]
pub struct Log {
    pub(super) disk: SharedDisk,
    pub(super) dir: PathBuf,
    pub(super) identity: LogIdentity,
    pub(super) config: LogConfig,
    /// By base offset; the last is active. Never empty.
    pub(super) segments: VecDeque<Segment>,
    pub(super) log_start_offset: i64,
    pub(super) next_offset: i64,
    pub(super) next_index: u64,
    pub(super) last_leader_epoch: i32,
    pub(super) producers: ProducerStates,
    pub(super) epochs: EpochCache,
    /// (offset after a batch, position after it) in the active segment, newest last.
    pub(super) recent: VecDeque<(i64, u32)>,
    /// Offset ranges whose bytes are bad or lost, apart from each other and rising.
    pub(super) quarantined: Vec<(i64, i64)>,
    /// Written since the last capture.
    pub(super) dirty: Vec<SharedFile>,
    pub(super) dirty_dir: bool,
    pub(super) size_bytes: u64,
    /// Producer snapshots written for checkpoints, or found at the start, oldest first.
    pub(super) checkpoint_snapshots: VecDeque<i64>,
    /// The last one that this process gave to a checkpoint to be synced; 0 if none.
    snapshot_written: i64,
    /// The last one whose content is known to be right: written or read by this process; 0 if none.
    pub(super) snapshot_good: i64,
}

/// What a checkpoint must sync before it may say `end`.
#[derive(Debug)]
pub struct Capture {
    /// The log's end at that moment.
    pub end: LogEnd,
    /// The log's start at that moment.
    pub log_start_offset: i64,
    /// What could not be served at that moment.
    pub quarantined: Vec<(i64, i64)>,
    files: Vec<SharedFile>,
    dir: Option<(SharedDisk, PathBuf)>,
}

impl Capture {
    /// How many syncs [`Self::sync`] makes.
    pub fn sync_count(&self) -> usize {
        self.files.len() + usize::from(self.dir.is_some())
    }

    /// Makes everything below `end` survive a power cut. Slow: to be called outside the log's lock.
    ///
    /// # Errors
    /// The disk's; nothing may be retried.
    pub fn sync(&self) -> Result<(), LogError> {
        for file in &self.files {
            at(Path::new("segment"), file.sync_data())?;
        }
        if let Some((disk, dir)) = &self.dir {
            at(dir, disk.sync_dir(dir))?;
        }
        Ok(())
    }
}

impl Log {
    /// Makes a new log of a partition with one replica: one segment with its header frame, and the membership frame that
    /// every log starts with.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(disk: SharedDisk, dir: &Path, identity: LogIdentity, config: LogConfig) -> Result<Self, LogError> {
        Self::create_with(disk, dir, identity, config, Some(&ALONE))
    }

    /// Makes a new log whose first frame says who the members are; without it the log is empty, and its first frame comes
    /// from a leader.
    ///
    /// # Errors
    /// The disk's.
    pub fn create_with(
        disk: SharedDisk,
        dir: &Path,
        identity: LogIdentity,
        config: LogConfig,
        membership: Option<&[u8]>,
    ) -> Result<Self, LogError> {
        at(dir, disk.create_dir_all(dir))?;
        let mut log = Self::bare(disk, dir, identity, config);
        log.write_metadata()?;
        log.start_segment()?;
        let Some(membership) = membership else { return Ok(log) };
        log.append_internal(InternalKind::Membership, membership, 0).map_err(|error| match error {
            super::AppendError::Log(error) => error,
            other => LogError::Damaged { path: dir.to_path_buf(), what: other.to_string() },
        })?;
        Ok(log)
    }

    pub(super) fn bare(disk: SharedDisk, dir: &Path, identity: LogIdentity, config: LogConfig) -> Self {
        Self {
            disk,
            dir: dir.to_path_buf(),
            identity,
            config,
            segments: VecDeque::new(),
            log_start_offset: 0,
            next_offset: 0,
            next_index: 0,
            last_leader_epoch: -1,
            producers: ProducerStates::default(),
            epochs: EpochCache::default(),
            recent: VecDeque::new(),
            quarantined: Vec::new(),
            dirty: Vec::new(),
            dirty_dir: true,
            size_bytes: 0,
            checkpoint_snapshots: VecDeque::new(),
            snapshot_written: 0,
            snapshot_good: 0,
        }
    }

    /// `partition.metadata`, as Kafka writes it.
    pub(super) fn write_metadata(&mut self) -> Result<(), LogError> {
        let path = self.dir.join("partition.metadata");
        let text = format!("version: 0\ntopic_id: {}\n", self.identity.topic_id);
        let file = at(&path, self.disk.open(&path, OpenMode::Create))?;
        at(&path, file.write_all_at(&[std::io::IoSlice::new(text.as_bytes())], 0))?;
        self.dirty.push(file);
        Ok(())
    }

    /// Opens a new active segment at the log's end and writes its header frame.
    pub(super) fn start_segment(&mut self) -> Result<(), LogError> {
        let mut segment = Segment::empty(self.next_offset, self.next_index);
        let file = segment.create_file(&*self.disk, &self.dir)?;
        self.dirty.push(file.clone());
        self.dirty_dir = true;
        let frame = SegmentHeader::frame(&self.identity, self.next_offset, self.next_index, self.last_leader_epoch);
        at(&segment.path(&self.dir), file.write_all_at(&[std::io::IoSlice::new(&frame)], 0))?;
        let header = tidemark_record::batch::verify(&frame)
            .map_err(|cause| LogError::Damaged { path: self.dir.clone(), what: cause.to_string() })?;
        segment.note_frame(
            &header,
            self.next_index,
            crate::os::checksum::crc32c(&frame),
            self.config.index_interval_bytes,
        );
        self.size_bytes += frame.len() as u64;
        self.segments.push_back(segment);
        self.recent.clear();
        Ok(())
    }

    /// Seals the active segment and opens the next.
    pub(super) fn roll(&mut self) -> Result<(), LogError> {
        let (next_index, next_offset) = (self.next_index, self.next_offset);
        if let Some(active) = self.segments.back_mut() {
            self.dirty.extend(active.seal(&*self.disk, &self.dir, next_index, next_offset)?);
        }
        // an empty one too: without it the next start would walk the whole log to learn that there is nothing to know
        self.snapshot_producers()?;
        self.start_segment()
    }

    /// Has the producers' state at the log's end in a file. One that is right already is not written over: that would destroy
    /// what a checkpoint counts on until the new bytes are synced.
    fn snapshot_producers(&mut self) -> Result<(), LogError> {
        let path = self.dir.join(file_name(self.next_offset, "snapshot"));
        let file = if self.snapshot_good == self.next_offset && self.disk.exists(&path) {
            at(&path, self.disk.open(&path, OpenMode::ReadWrite))?
        } else {
            self.producers.write(&*self.disk, &path)?
        };
        self.snapshot_good = self.next_offset;
        self.dirty.push(file);
        Ok(())
    }

    /// The active segment.
    pub(super) fn active(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    /// The active segment.
    pub(super) fn active_mut(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    /// First offset there is.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// Offset that the next record gets.
    pub fn log_end_offset(&self) -> i64 {
        self.next_offset
    }

    /// Raft index that the next frame gets.
    pub fn next_index(&self) -> u64 {
        self.next_index
    }

    /// Leader epoch of the last frame; -1 for a new log.
    pub fn last_leader_epoch(&self) -> i32 {
        self.last_leader_epoch
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Segments, the active one included.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Which partition it is.
    pub fn identity(&self) -> LogIdentity {
        self.identity
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Offset ranges that cannot be served, as (first, first good behind).
    pub fn quarantined(&self) -> &[(i64, i64)] {
        &self.quarantined
    }

    /// Marks an offset range as bad: it is answered with an error, and the rest is served.
    pub fn quarantine(&mut self, mut from: i64, mut to: i64) {
        let touches = |(other_from, other_to): &(i64, i64)| *other_from <= to && from <= *other_to;
        let (joined, mut apart): (Vec<_>, Vec<_>) = self.quarantined.drain(..).partition(touches);
        for (other_from, other_to) in joined {
            (from, to) = (from.min(other_from), to.max(other_to));
        }
        if from < to && to > self.log_start_offset {
            apart.push((from, to));
        }
        apart.sort_unstable();
        self.quarantined = apart;
    }

    /// Its settings.
    pub fn config(&self) -> LogConfig {
        self.config
    }

    /// New settings; segments keep their shape, the next append and retention follow them.
    pub fn set_config(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// Leader epochs with the offset and Raft index each began at.
    pub fn leader_epochs(&self) -> &[EpochEntry] {
        self.epochs.entries()
    }

    /// A leader starts in this epoch at the log's end.
    pub fn begin_epoch(&mut self, epoch: i32) {
        self.epochs.begin(epoch, self.next_offset, self.next_index);
    }

    /// The largest epoch at or below `epoch` and the offset where it ends; `None` if there is none.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.epochs.end_offset_for(epoch, self.next_offset)
    }

    /// Leader epochs, rising, with where each begins; those that took no offset may be missing.
    pub fn epochs(&self) -> &[EpochEntry] {
        self.epochs.entries()
    }

    /// The offset where an epoch begins: the log's end for one that wrote nothing yet.
    pub fn epoch_start(&self, epoch: i32) -> i64 {
        let known = self.epochs.entries().iter().rfind(|entry| entry.epoch == epoch);
        known.map_or(self.next_offset, |entry| entry.start_offset)
    }

    /// The epoch that wrote an offset; -1 if unknown.
    pub fn epoch_at(&self, offset: i64) -> i32 {
        self.epochs.epoch_at(offset).unwrap_or(-1)
    }

    /// Producers with state, by id.
    pub fn producers(&self) -> Vec<ProducerInfo> {
        self.producers.describe()
    }

    /// Forgets producers silent for `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now_ms: i64) {
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms);
    }

    /// Tells that nothing below `offset` will be truncated any more.
    pub fn settle(&mut self, offset: i64) {
        self.producers.settle(offset);
    }

    /// Where the log ends.
    pub fn end(&self) -> LogEnd {
        let active = self.active();
        LogEnd {
            segment_base_offset: active.base_offset,
            position: active.size.into(),
            next_offset: self.next_offset,
            next_index: self.next_index,
            last_leader_epoch: self.last_leader_epoch,
            running_crc: active.running_crc,
        }
    }

    /// Whether anything was written since the last capture.
    pub fn is_dirty(&self) -> bool {
        self.dirty_dir || !self.dirty.is_empty()
    }

    /// The next capture syncs the log's end and its directory also if nothing was written: a process before this one may
    /// have cut or removed what lay behind the end, and died before a sync, so that a power cut would bring it back.
    ///
    /// # Errors
    /// The disk's.
    pub fn distrust_cache(&mut self) -> Result<(), LogError> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let file = self.active_mut().file(&*disk, &dir)?;
        self.dirty.push(file);
        self.dirty_dir = true;
        Ok(())
    }

    /// Writes out what is kept in memory and says what to sync. The caller holds the log's lock; the syncs come later. Index
    /// rows and producers that lack room or descriptors stay in memory: a start learns them from the segments.
    ///
    /// # Errors
    /// The disk's: the log is finished.
    pub fn capture(&mut self) -> Result<Capture, LogError> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let active = self.active_mut();
        let index_path = active.index_path(&dir);
        let index = unless_lacking(active.index.flush(&*disk, &index_path))?.flatten();
        self.dirty.extend(index);
        // one found at the start may be in the page cache only
        if self.next_offset > 0
            && self.snapshot_written != self.next_offset
            && unless_lacking(self.snapshot_producers())?.is_some()
        {
            self.dirty_dir = true;
            self.snapshot_written = self.next_offset;
            if self.checkpoint_snapshots.back() != Some(&self.next_offset) {
                self.checkpoint_snapshots.push_back(self.next_offset);
            }
            self.drop_old_snapshots()?;
        }
        let dir = std::mem::take(&mut self.dirty_dir).then_some((disk, dir));
        Ok(Capture {
            end: self.end(),
            log_start_offset: self.log_start_offset,
            quarantined: self.quarantined.clone(),
            files: std::mem::take(&mut self.dirty),
            dir,
        })
    }

    /// Takes back what was captured and could not be synced, for want of descriptors alone: it is still to be synced.
    pub fn take_back(&mut self, capture: &Capture) {
        self.dirty.extend(capture.files.iter().cloned());
        self.dirty_dir |= capture.dir.is_some();
    }

    /// The last two checkpoints may need theirs; a segment's own stays with the segment.
    fn drop_old_snapshots(&mut self) -> Result<(), LogError> {
        while self.checkpoint_snapshots.len() > 3 {
            let Some(offset) = self.checkpoint_snapshots.pop_front() else { break };
            let path = self.dir.join(file_name(offset, "snapshot"));
            if !self.segments.iter().any(|segment| segment.base_offset == offset) && self.disk.exists(&path) {
                at(&path, self.disk.remove_file(&path))?;
            }
        }
        Ok(())
    }

    /// Removes snapshots above the log's end: of entries that were lost or taken back, and whose offsets others will have.
    pub(super) fn drop_snapshots_beyond(&mut self, end_offset: i64) -> Result<(), LogError> {
        for known in [&mut self.snapshot_written, &mut self.snapshot_good] {
            *known = if *known > end_offset { 0 } else { *known };
        }
        while let Some(offset) = self.checkpoint_snapshots.pop_back_if(|offset| *offset > end_offset) {
            let path = self.dir.join(file_name(offset, "snapshot"));
            if self.disk.exists(&path) {
                at(&path, self.disk.remove_file(&path))?;
                self.dirty_dir = true;
            }
        }
        Ok(())
    }

    /// Closes the files of an idle log; the next touch opens them again.
    pub fn close_files(&mut self) {
        for segment in &mut self.segments {
            segment.close_files();
        }
    }

    /// Removes the log: the directory gets another name first, so that a crash leaves no half of it under its own.
    ///
    /// # Errors
    /// The disk's.
    pub fn delete(self) -> Result<(), LogError> {
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let doomed = self.dir.with_file_name(format!("{name}.{}-delete", self.identity.topic_id.simple()));
        at(&self.dir, self.disk.rename(&self.dir, &doomed))?;
        if let Some(above) = doomed.parent() {
            at(above, self.disk.sync_dir(above))?;
        }
        at(&doomed, self.disk.remove_dir_all(&doomed))
    }
}
