//! Opening a log that is there: cut to what a checkpoint says, or walked to where whole frames end. Not here: the cutting
//! (`cut`), the walking (`tail`), what follows from the segments (`derived`).

use std::path::Path;

use super::{
    LogEnd,
    config::{LogConfig, LogIdentity},
    error::{LogError, at},
    log::Log,
    segment::Segment,
};
use crate::os::disk::SharedDisk;

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

    pub(super) fn damaged(&self, what: &str) -> LogError {
        LogError::Damaged { path: self.dir.clone(), what: what.to_owned() }
    }
}
