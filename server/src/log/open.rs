//! Opening a log that is there: cut to what a checkpoint says, or walked to where whole frames end.

use std::path::Path;

use tidemark_record::BatchHeader;

use super::{
    LogEnd,
    append::unless_lacking,
    config::{LogConfig, LogIdentity},
    error::{LogError, at},
    frame::HEADER_FRAME_LEN,
    leader_epoch::EpochCache,
    log::Log,
    producer_state::ProducerStates,
    segment::{Segment, file_name},
    walk::FrameWalk,
};
use crate::os::{checksum, disk::SharedDisk};

/// Bytes read at once when a checksum is taken over a stretch of a segment.
const CHUNK: usize = 1 << 20;

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// Bytes behind the end that were cut off.
    pub truncated_bytes: u64,
    /// Offsets of the last checked stretch whose bytes are bad.
    pub damaged: Option<(i64, i64)>,
    /// Derived files that were made anew.
    pub rebuilt: Vec<&'static str>,
}

/// How far a log is taken to be good.
#[derive(Debug, Clone, Copy)]
pub enum Extent<'a> {
    /// To a checkpoint's end, where it is cut. Only the stretch behind the last index row is checked.
    Checkpoint(&'a LogEnd),
    /// From there on over whole frames: for a log whose entries bypass the journal.
    Beyond(&'a LogEnd),
    /// To the last whole frame of the last segment; the others are sealed.
    LastSegment,
    /// To the last whole frame of all: nothing of it was ever synced.
    AllSegments,
}

impl Log {
    /// Opens the log in `dir`, as far as `extent` says. Offsets that sealed segments have lost are set aside: reads of them
    /// are refused, and the rest is served.
    ///
    /// # Errors
    /// The disk's, a newer format, another topic's directory, or a segment that the checkpoint names and that is not there.
    pub fn open(
        disk: SharedDisk,
        dir: &Path,
        identity: LogIdentity,
        config: LogConfig,
        extent: Extent<'_>,
    ) -> Result<(Self, OpenReport), LogError> {
        let mut log = Self::bare(disk, dir, identity, config);
        log.dirty_dir = false;
        let mut report = OpenReport::default();
        log.find_segments()?;
        let first_walked = match extent {
            Extent::Checkpoint(end) => log.cut(end, false, &mut report)?,
            Extent::Beyond(end) => {
                let place = log.cut(end, true, &mut report)?;
                log.walk_tail(place, end.position, &mut report)?;
                place
            }
            Extent::LastSegment => {
                let place = log.last_headed_segment(&mut report)?;
                log.walk_tail(place, 0, &mut report)?;
                place
            }
            Extent::AllSegments => {
                log.begin_walk(0)?;
                log.walk_tail(0, 0, &mut report)?;
                0
            }
        };
        log.check_sealed(first_walked, &mut report)?;
        // one behind the checkpoint may be of another history: removing it was not synced, and the power went
        let vouched = match extent {
            Extent::Checkpoint(end) | Extent::Beyond(end) => end.next_offset,
            Extent::LastSegment | Extent::AllSegments => 0,
        };
        log.drop_snapshots_beyond(vouched)?;
        log.restored(&mut report)?;
        Ok((log, report))
    }

    /// Goes on at `end` with an empty segment: what lay before it is below the log start and was deleted, what lies behind
    /// it will be written again.
    ///
    /// # Errors
    /// The disk's.
    pub fn open_emptied(
        disk: SharedDisk,
        dir: &Path,
        identity: LogIdentity,
        config: LogConfig,
        end: &LogEnd,
    ) -> Result<Self, LogError> {
        let mut log = Self::bare(disk, dir, identity, config);
        at(dir, log.disk.create_dir_all(dir))?;
        log.list_snapshots()?;
        for base_offset in super::segments_in(&*log.disk, dir)? {
            log.remove_files(base_offset)?;
        }
        (log.next_offset, log.next_index) = (end.next_offset, end.next_index);
        log.last_leader_epoch = end.last_leader_epoch;
        log.start_segment()?;
        log.drop_snapshots_beyond(end.next_offset)?;
        log.restored(&mut OpenReport::default())?;
        Ok(log)
    }

    /// What follows from the segments.
    fn restored(&mut self, report: &mut OpenReport) -> Result<(), LogError> {
        self.size_bytes = self.segments.iter().map(|segment| u64::from(segment.size)).sum();
        self.log_start_offset = self.segments.front().map_or(0, |first| first.base_offset);
        self.load_epochs(report)?;
        self.load_producers(report)?;
        self.close_files();
        Ok(())
    }

    /// The topic that a log's `partition.metadata` names; `None` if it is missing or bad.
    pub fn topic_id_in(disk: &dyn crate::os::disk::Disk, dir: &Path) -> Option<uuid::Uuid> {
        let file = disk.open(&dir.join("partition.metadata"), crate::os::disk::OpenMode::Read).ok()?;
        let mut bytes = [0; 128];
        let len = file.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(bytes.get(..len)?).ok()?;
        text.lines().find_map(|line| line.strip_prefix("topic_id: ")?.trim().parse().ok())
    }

    /// Tells an opened log where it starts; the journal and its checkpoints keep that number. Offsets from there to the first
    /// segment are lost.
    pub fn restore_log_start(&mut self, offset: i64) {
        let first = self.segments.front().map_or(0, |first| first.base_offset);
        if offset < first && first <= self.log_start_offset {
            self.log_start_offset = offset;
            self.quarantine(offset, first);
        }
        self.log_start_offset = self.log_start_offset.max(offset);
        self.quarantined.retain(|(_, to)| *to > self.log_start_offset);
        self.next_offset = self.next_offset.max(self.log_start_offset);
        self.epochs.truncate_from_start(self.log_start_offset);
    }

    fn find_segments(&mut self) -> Result<(), LogError> {
        for entry in at(&self.dir, self.disk.read_dir(&self.dir))? {
            let base = entry.name.strip_suffix(".log").filter(|stem| stem.len() == 20);
            if let Some(base_offset) = base.and_then(|stem| stem.parse::<i64>().ok()) {
                self.segments.push_back(Segment::found(&*self.disk, &self.dir, base_offset, entry.len)?);
            }
        }
        self.segments.make_contiguous().sort_by_key(|segment| segment.base_offset);
        if self.segments.is_empty() {
            return Err(self.damaged("it holds no segment"));
        }
        self.list_snapshots()
    }

    fn list_snapshots(&mut self) -> Result<(), LogError> {
        for entry in at(&self.dir, self.disk.read_dir(&self.dir))? {
            let stem = entry.name.strip_suffix(".snapshot").and_then(|stem| stem.parse::<i64>().ok());
            self.checkpoint_snapshots.extend(stem);
        }
        self.checkpoint_snapshots.make_contiguous().sort_unstable();
        Ok(())
    }

    fn damaged(&self, what: &str) -> LogError {
        LogError::Damaged { path: self.dir.clone(), what: what.to_owned() }
    }

    /// Makes the log end where the checkpoint says; the place of the segment it ends in.
    fn cut(&mut self, end: &LogEnd, keep_tail: bool, report: &mut OpenReport) -> Result<usize, LogError> {
        let place = self.segments.iter().position(|segment| segment.base_offset == end.segment_base_offset);
        let place =
            place.ok_or_else(|| LogError::Missing { path: self.dir.clone(), segment: end.segment_base_offset })?;
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let segment = &mut self.segments[place];
        let header = segment.read_header(&*disk, &dir)?;
        segment.first_index = header.first_index;
        if header.topic_id != self.identity.topic_id {
            return Err(LogError::WrongTopic { path: dir, found: header.topic_id, expected: self.identity.topic_id });
        }
        if header.first_index >= end.next_index && end.position > HEADER_FRAME_LEN as u64 {
            // begun anew by a start that crashed before its checkpoint
            return Err(LogError::Missing { path: dir, segment: end.segment_base_offset });
        }
        if u64::from(segment.size) < end.position {
            let (base, size) = (segment.base_offset, segment.size);
            return Err(
                self.damaged(&format!("segment {base} has {size} bytes of the {} that were synced", end.position))
            );
        }
        if !keep_tail && u64::from(segment.size) > end.position {
            report.truncated_bytes += u64::from(segment.size) - end.position;
            let file = segment.file(&*disk, &dir)?;
            at(&dir, file.set_len(end.position))?;
            // or a power cut brings back what was cut off, behind an end that a later checkpoint names
            self.dirty.push(file);
        }
        segment.size = end.position as u32;
        if !keep_tail {
            self.remove_segments_behind(place, report)?;
        }
        self.restore_active(place, end, report)?;
        (self.next_offset, self.next_index) = (end.next_offset, end.next_index);
        self.last_leader_epoch = end.last_leader_epoch;
        Ok(place)
    }

    fn remove_segments_behind(&mut self, place: usize, report: &mut OpenReport) -> Result<(), LogError> {
        while self.segments.len() > place + 1 {
            let Some(segment) = self.segments.pop_back() else { break };
            report.truncated_bytes += u64::from(segment.size);
            self.remove_files(segment.base_offset)?;
        }
        Ok(())
    }

    /// Removes the files of one segment; a snapshot that a checkpoint may need stays until that is over.
    pub(super) fn remove_files(&mut self, base_offset: i64) -> Result<(), LogError> {
        let needed = self.checkpoint_snapshots.contains(&base_offset);
        for suffix in ["log", "index", "snapshot"] {
            if suffix == "snapshot" && needed {
                continue;
            }
            let path = self.dir.join(file_name(base_offset, suffix));
            if self.disk.exists(&path) {
                at(&path, self.disk.remove_file(&path))?;
            }
        }
        self.dirty_dir = true;
        Ok(())
    }

    /// What the active segment needs to be appended to: from its last row on. A checksum that differs is damage.
    fn restore_active(&mut self, place: usize, end: &LogEnd, report: &mut OpenReport) -> Result<(), LogError> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let segment = &mut self.segments[place];
        segment.forget_from(&*disk, &dir, end.position as u32);
        if segment.row_where(&*disk, &dir, |_| true).is_none() {
            report.rebuilt.push("index");
            self.rebuild_index(place)?;
        }
        let trimmed = at(&dir, trim_index(&*disk, &self.segments[place], &dir))?;
        self.dirty.extend(trimmed);
        let mut whole = self.crc_behind_last_row(place)? == end.running_crc;
        if !whole && self.crc_of_all(place)? == end.running_crc {
            // a row of a history that was lost came back with the power: the segment itself is right
            report.rebuilt.push("index");
            self.rebuild_index(place)?;
            whole = true;
        }
        let segment = &mut self.segments[place];
        let row = segment.row_where(&*disk, &dir, |_| true);
        let (position, timestamp) = row.map_or((0, -1), |row| (row.position, row.timestamp));
        segment.max_timestamp = timestamp;
        segment.bytes_since_row = segment.size - position;
        let file = segment.file(&*disk, &dir)?;
        let path = segment.path(&dir);
        let mut walk = FrameWalk::new(file.clone(), &path, position.into(), end.position);
        let mut good = true;
        while let Some(frame) = walk.next_frame().unwrap_or_else(|_| {
            good = false;
            None
        }) {
            if !frame.header.is_internal() {
                segment.max_timestamp = segment.max_timestamp.max(frame.header.max_timestamp);
            }
        }
        let mut first = FrameWalk::new(file, &path, 0, end.position);
        while let Ok(Some(frame)) = first.next_frame() {
            if !frame.header.is_internal() {
                segment.first_timestamp = frame.header.max_timestamp;
                break;
            }
        }
        segment.running_crc = end.running_crc;
        if !whole || !good {
            let from = row.map_or(self.segments[place].base_offset, |row| row.offset);
            report.damaged = Some((from, end.next_offset));
            self.quarantine(from, end.next_offset);
        }
        Ok(())
    }

    /// CRC-32C of a segment's bytes, from what its last index row says of those before it.
    fn crc_behind_last_row(&self, place: usize) -> Result<u32, LogError> {
        let (disk, dir, segment) = (&*self.disk, &*self.dir, &self.segments[place]);
        let (from, crc) = segment.row_where(disk, dir, |_| true).map_or((0, 0), |row| (row.position, row.running_crc));
        checksum_of(&segment.file(disk, dir)?, &segment.path(dir), (from.into(), segment.size.into()), crc)
    }

    /// CRC-32C of a segment's bytes, all of them read.
    fn crc_of_all(&self, place: usize) -> Result<u32, LogError> {
        let (disk, dir, segment) = (&*self.disk, &*self.dir, &self.segments[place]);
        checksum_of(&segment.file(disk, dir)?, &segment.path(dir), (0, segment.size.into()), 0)
    }

    /// Makes the index of a segment anew from its frames; the Raft index behind the last.
    pub(super) fn rebuild_index(&mut self, place: usize) -> Result<u64, LogError> {
        let (disk, dir, interval) = (self.disk.clone(), self.dir.clone(), self.config.index_interval_bytes);
        let old = &self.segments[place];
        let mut fresh = Segment::empty(old.base_offset, old.first_index);
        let mut index = old.first_index;
        let mut walk = FrameWalk::new(old.file(&*disk, &dir)?, &old.path(&dir), 0, old.size.into());
        // a bad frame ends the index; what lies behind it is found to be damaged when it is read
        while let Ok(Some(frame)) = walk.next_frame() {
            let bytes = walk.read_frame(&frame)?;
            let full = fresh.note_frame(&frame.header, index, checksum::crc32c(&bytes), interval);
            index += u64::from(frame.position > 0);
            if full {
                unless_lacking(fresh.index.flush(&*disk, &fresh.index_path(&dir)))?;
            }
        }
        // rows that cannot be written now stay in memory until they can
        unless_lacking(fresh.index.flush(&*disk, &fresh.index_path(&dir)))?;
        fresh.size = old.size;
        self.segments[place] = fresh;
        Ok(index)
    }

    /// Walks whole, checked frames from a position in a segment on; the first bad one ends the log.
    fn walk_tail(&mut self, mut place: usize, mut from: u64, report: &mut OpenReport) -> Result<(), LogError> {
        loop {
            let whole = self.walk_segment(place, from, report)?;
            // a file of the same name may be of a process whose last writes were lost
            let follows = self.segments.get(place + 1).is_some_and(|next| {
                let header = next.read_header(&*self.disk, &self.dir);
                let fits = header.is_ok_and(|header| {
                    (header.first_index, header.previous_epoch) == (self.next_index, self.last_leader_epoch)
                });
                whole && next.base_offset == self.next_offset && fits
            });
            if !follows {
                break;
            }
            let (next_index, next_offset, disk, dir) =
                (self.next_index, self.next_offset, self.disk.clone(), self.dir.clone());
            let index = self.segments[place].seal(&*disk, &dir, next_index, next_offset)?;
            self.dirty.extend(index);
            place += 1;
            from = 0;
        }
        self.remove_segments_behind(place, report)
    }

    /// The last segment whose header frame is whole; those behind it were being made when the process ended.
    fn last_headed_segment(&mut self, report: &mut OpenReport) -> Result<usize, LogError> {
        for place in (0..self.segments.len()).rev() {
            match self.begin_walk(place) {
                Ok(()) => return Ok(place),
                Err(error @ (LogError::NewerVersion { .. } | LogError::WrongTopic { .. })) => return Err(error),
                Err(_) if place > 0 => report.truncated_bytes += u64::from(self.segments[place].size),
                Err(error) => return Err(error),
            }
        }
        Err(self.damaged("it holds no whole segment"))
    }

    /// Takes the log to end where a segment begins.
    fn begin_walk(&mut self, place: usize) -> Result<(), LogError> {
        let header = self.segments[place].read_header(&*self.disk, &self.dir)?;
        if header.topic_id != self.identity.topic_id {
            let (found, expected) = (header.topic_id, self.identity.topic_id);
            return Err(LogError::WrongTopic { path: self.dir.clone(), found, expected });
        }
        self.segments[place].first_index = header.first_index;
        self.next_index = header.first_index;
        self.next_offset = self.segments[place].base_offset;
        self.last_leader_epoch = header.previous_epoch;
        Ok(())
    }

    /// Walks one segment from a position. True if it is whole to its end; else it is cut behind the last good frame.
    fn walk_segment(&mut self, place: usize, from: u64, report: &mut OpenReport) -> Result<bool, LogError> {
        let (disk, dir, interval) = (self.disk.clone(), self.dir.clone(), self.config.index_interval_bytes);
        let found = at(&dir, self.segments[place].file(&*disk, &dir)?.size())?;
        if from == 0 {
            let old = &self.segments[place];
            self.segments[place] = Segment::empty(old.base_offset, self.next_index);
        }
        let segment = &mut self.segments[place];
        let file = segment.file(&*disk, &dir)?;
        let mut walk = FrameWalk::new(file.clone(), &segment.path(&dir), from, found);
        let mut good_end = from;
        let mut epoch = self.last_leader_epoch;
        let mut batches: Vec<BatchHeader> = Vec::new();
        while let Ok(Some(frame)) = walk.next_frame() {
            let bytes = walk.read_frame(&frame)?;
            let header = &frame.header;
            let fits = header.base_offset >= self.next_offset && header.partition_leader_epoch >= epoch;
            if !fits || tidemark_record::batch::verify(&bytes).is_err() {
                break;
            }
            epoch = header.partition_leader_epoch;
            let full = segment.note_frame(header, self.next_index, checksum::crc32c(&bytes), interval);
            if full {
                self.dirty.extend(segment.index.flush(&*disk, &segment.index_path(&dir))?);
            }
            if frame.position > 0 {
                self.next_index += 1;
            }
            if !header.is_internal() {
                self.next_offset = header.next_offset();
                batches.push(*header);
            }
            good_end = frame.end();
        }
        self.last_leader_epoch = epoch;
        // written by a process that may have been killed before it synced: the next checkpoint must not take it for synced
        self.dirty.push(file.clone());
        self.dirty_dir = true;
        if good_end == 0 {
            // its checksum is right, and does not cover base offset and epoch: never cut away what opens a segment
            return Err(self.damaged("a header frame does not fit its segment"));
        }
        if good_end < found {
            report.truncated_bytes += found - good_end;
            at(&dir, file.set_len(good_end))?;
        }
        Ok(good_end == found)
    }

    fn load_epochs(&mut self, report: &mut OpenReport) -> Result<(), LogError> {
        if let Some(mut epochs) = EpochCache::read(&*self.disk, &self.dir) {
            epochs.truncate_from_end(self.next_offset, self.next_index);
            let last = epochs.entries().last().map_or(-1, |entry| entry.epoch);
            if last == self.last_leader_epoch || self.next_offset == 0 {
                self.epochs = epochs;
                return Ok(());
            }
        }
        let mut epochs = EpochCache::default();
        self.for_each_batch(i64::MIN, |header, index| {
            epochs.assign(header.partition_leader_epoch, header.base_offset, index);
        })?;
        if !epochs.entries().is_empty() {
            report.rebuilt.push("leader-epoch-checkpoint");
            epochs.write(&*self.disk, &self.dir)?;
        }
        self.epochs = epochs;
        Ok(())
    }

    /// Learns the producers' state again, from a snapshot and the frames behind it: frames were taken away that no undo knows.
    pub(super) fn reload_producers(&mut self) -> Result<(), LogError> {
        self.producers = ProducerStates::default();
        self.load_producers(&mut OpenReport::default())
    }

    fn load_producers(&mut self, report: &mut OpenReport) -> Result<(), LogError> {
        let mut from = i64::MIN;
        let usable: Vec<i64> =
            self.checkpoint_snapshots.iter().copied().filter(|offset| *offset <= self.next_offset).collect();
        for offset in usable.into_iter().rev() {
            let path = self.dir.join(file_name(offset, "snapshot"));
            match ProducerStates::read(&*self.disk, &path) {
                Some(states) => {
                    self.snapshot_good = offset;
                    self.producers = states;
                    from = offset;
                    break;
                }
                None => report.rebuilt.push("snapshot"),
            }
        }
        let mut producers = std::mem::take(&mut self.producers);
        if from < self.next_offset {
            self.for_each_batch(from, |header, _| producers.update(header, false))?;
        }
        self.producers = producers;
        Ok(())
    }

    /// Every batch whose base offset is at or above `from`, with its Raft index counted within its segment. Stops at damage.
    fn for_each_batch(&self, from: i64, mut take: impl FnMut(&BatchHeader, u64)) -> Result<(), LogError> {
        for (place, segment) in self.segments.iter().enumerate() {
            if self.segments.get(place + 1).is_some_and(|next| next.base_offset <= from) {
                continue;
            }
            let mut index =
                segment.read_header(&*self.disk, &self.dir).map_or(segment.first_index, |header| header.first_index);
            let mut walk =
                FrameWalk::new(segment.file(&*self.disk, &self.dir)?, &segment.path(&self.dir), 0, segment.size.into());
            while let Ok(Some(frame)) = walk.next_frame() {
                if !frame.header.is_internal() && frame.header.base_offset >= from {
                    take(&frame.header, index);
                }
                index += u64::from(frame.position > 0);
            }
        }
        Ok(())
    }
}

/// Rows behind the kept ones must not come back at the next start: the file is to be synced, if there were any.
fn trim_index(
    disk: &dyn crate::os::disk::Disk,
    segment: &Segment,
    dir: &Path,
) -> std::io::Result<Option<crate::os::disk::SharedFile>> {
    let path = segment.index_path(dir);
    if !disk.exists(&path) {
        return Ok(None);
    }
    let file = disk.open(&path, crate::os::disk::OpenMode::ReadWrite)?;
    let len = (segment.index.len() * super::index::ROW_LEN) as u64;
    if file.size()? <= len {
        return Ok(None);
    }
    file.set_len(len)?;
    Ok(Some(file))
}

/// CRC-32C of a stretch of a file, going on from `crc`.
pub(super) fn checksum_of(
    file: &crate::os::disk::SharedFile,
    path: &Path,
    (from, to): (u64, u64),
    crc: u32,
) -> Result<u32, LogError> {
    let (mut crc, mut from) = (crc, from);
    let mut bytes = vec![0; CHUNK.min((to - from) as usize)];
    while from < to {
        let piece = CHUNK.min((to - from) as usize);
        at(path, file.read_exact_at(&mut bytes[..piece], from))?;
        crc = checksum::append(crc, &bytes[..piece]);
        from += piece as u64;
    }
    Ok(crc)
}
