//! A log on its way to another broker: which files, how far, and what makes a received one a log. Not here: the way.

use std::path::{Path, PathBuf};

use super::{
    config::{LogConfig, LogIdentity},
    error::{LogError, at},
    leader_epoch,
    log::Log,
    open::Extent,
    segment::file_name,
    walk::FrameWalk,
};
use crate::os::disk::{OpenMode, SharedDisk, SharedFile};

/// One file of a log, up to a length. It stays readable after it was removed.
#[derive(Debug, Clone)]
pub struct PinnedFile {
    /// Its name in the log's directory.
    pub name: String,
    /// The file.
    pub file: SharedFile,
    /// Bytes of it that belong to the copy.
    pub len: u64,
}

impl Log {
    /// The files that hold this log's frames below Raft index `next_index`, and what is derived from frames that are gone.
    ///
    /// # Errors
    /// The disk's, or damage.
    pub fn pin(&self, next_index: u64) -> Result<Vec<PinnedFile>, LogError> {
        let (disk, dir) = (&*self.disk, &*self.dir);
        let mut pinned = Vec::new();
        for (place, segment) in self.segments.iter().enumerate() {
            let header = segment.read_header(disk, dir)?;
            if place > 0 && header.first_index >= next_index {
                break;
            }
            let last = self
                .segments
                .get(place + 1)
                .is_none_or(|next| next.read_header(disk, dir).map_or(true, |header| header.first_index >= next_index));
            let len = if last { self.position_of_index(place, next_index)? } else { segment.size.into() };
            let file = segment.file(disk, dir)?;
            pinned.push(PinnedFile { name: file_name(segment.base_offset, "log"), file, len });
        }
        let end = self.frames_end(next_index)?;
        let snapshot = self.newest_snapshot(end).map(|offset| file_name(offset, "snapshot"));
        for name in snapshot.into_iter().chain([leader_epoch::FILE.to_owned()]) {
            let path = dir.join(&name);
            if disk.exists(&path) {
                let file = at(&path, disk.open(&path, OpenMode::Read))?;
                let len = at(&path, file.size())?;
                pinned.push(PinnedFile { name, file, len });
            }
        }
        Ok(pinned)
    }

    /// The offset behind the frame before `next_index`.
    fn frames_end(&self, next_index: u64) -> Result<i64, LogError> {
        let last = next_index.checked_sub(1).map(|last| self.header_at(last)).transpose()?.flatten();
        Ok(last.map_or(self.first_offset(), |last| last.next_offset()))
    }

    /// The newest producer snapshot that has nothing of what lies at or behind `end`.
    fn newest_snapshot(&self, end: i64) -> Option<i64> {
        let bases = self.segments.iter().map(|segment| segment.base_offset);
        let known = bases.chain(self.checkpoint_snapshots.iter().copied()).filter(|offset| *offset <= end);
        known.filter(|offset| self.disk.exists(&self.dir.join(file_name(*offset, "snapshot")))).max()
    }

    /// Where the frames below `next_index` end in a segment.
    fn position_of_index(&self, place: usize, next_index: u64) -> Result<u64, LogError> {
        let (disk, dir, segment) = (&*self.disk, &*self.dir, &self.segments[place]);
        let mut walk = FrameWalk::new(segment.file(disk, dir)?, &segment.path(dir), 0, segment.size.into());
        let mut index = segment.read_header(disk, dir)?.first_index;
        if let Some(row) = segment.row_where(disk, dir, |row| row.position == 0 || row.index <= next_index)
            && row.position > 0
        {
            (walk, index) = (walk.from(row.position.into()), row.index);
        }
        while let Some(frame) = walk.next_frame()? {
            if frame.position > 0 {
                if index >= next_index {
                    return Ok(frame.position);
                }
                index += 1;
            }
        }
        Ok(segment.size.into())
    }

    /// Whether a name is one that [`Self::pin`] gives.
    pub fn is_pinned_name(name: &str) -> bool {
        let digits = |stem: &str| stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
        name == leader_epoch::FILE
            || name.strip_suffix(".log").is_some_and(digits)
            || name.strip_suffix(".snapshot").is_some_and(digits)
    }

    /// Makes a log of files that came from another broker. Every frame is checked; all of it is synced when this returns. Slow.
    ///
    /// # Errors
    /// The disk's, or bytes that are no log of this partition.
    pub fn open_received(
        disk: SharedDisk,
        dir: &Path,
        identity: LogIdentity,
        config: LogConfig,
    ) -> Result<Self, LogError> {
        let (mut log, report) = Self::open(disk, dir, identity, config, Extent::LastSegment)?;
        let damaged = |what: &str| LogError::Damaged { path: dir.to_path_buf(), what: what.to_owned() };
        if report.truncated_bytes > 0 || !log.quarantined.is_empty() {
            return Err(damaged("frames of it are bad or missing"));
        }
        for segment in &log.segments {
            let (disk, dir) = (&*log.disk, &*log.dir);
            let mut walk = FrameWalk::new(segment.file(disk, dir)?, &segment.path(dir), 0, segment.size.into());
            while let Some(frame) = walk.next_frame()? {
                let bytes = walk.read_frame(&frame)?;
                tidemark_record::batch::verify(&bytes).map_err(|_| damaged("a frame's checksum does not hold"))?;
            }
            log.dirty.push(segment.file(disk, dir)?);
        }
        log.write_metadata()?;
        log.dirty_dir = true;
        log.capture()?.sync()?;
        Ok(log)
    }

    /// Tells the log that its directory has another name now.
    pub fn moved_to(&mut self, dir: PathBuf) {
        self.close_files();
        self.dir = dir;
    }
}
