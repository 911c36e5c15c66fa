//! Making a log end where a checkpoint says: what lies behind is cut off, and the active segment is readied to be appended to.
//! Not here: walking what no checkpoint vouches for (`tail`).

use std::path::Path;

use super::{
    LogEnd,
    error::{LogError, at},
    frame::HEADER_FRAME_LEN,
    log::Log,
    open::OpenReport,
    segment::{Segment, file_name},
    walk::FrameWalk,
};
use crate::os::{
    checksum,
    disk::{Disk, OpenMode, SharedFile},
};

/// Bytes read at once when a checksum is taken over a stretch of a segment.
const CHUNK: usize = 1 << 20;

impl Log {
    /// Makes the log end where the checkpoint says; the place of the segment it ends in.
    pub(super) fn cut(&mut self, end: &LogEnd, keep_tail: bool, report: &mut OpenReport) -> Result<usize, LogError> {
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

    pub(super) fn remove_segments_behind(&mut self, place: usize, report: &mut OpenReport) -> Result<(), LogError> {
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
        let mut whole = self.crc_behind_last_row(place)? == end.running_crc && self.last_row_fits(place)?;
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

    /// Whether the last index row tells of the frame that lies there: of one that was taken back it may not, though all before it
    /// is the same.
    fn last_row_fits(&self, place: usize) -> Result<bool, LogError> {
        let (disk, dir, segment) = (&*self.disk, &*self.dir, &self.segments[place]);
        let Some(row) = segment.row_where(disk, dir, |_| true) else { return Ok(true) };
        let mut walk = segment.walk_from_row(disk, dir, Some(row))?;
        Ok(match walk.next_frame() {
            Ok(Some(frame)) if frame.header.is_internal() => row.internal_len as usize == frame.header.size_in_bytes(),
            Ok(_) => row.internal_len == 0,
            // damage, which is found elsewhere
            Err(_) => true,
        })
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
}

/// Rows behind the kept ones must not come back at the next start, which would take them for rows of the frames that are written
/// in the places of those: the file is to be synced, if there were any.
pub(super) fn trim_index(disk: &dyn Disk, segment: &Segment, dir: &Path) -> std::io::Result<Option<SharedFile>> {
    let path = segment.index_path(dir);
    if !disk.exists(&path) {
        return Ok(None);
    }
    let file = disk.open(&path, OpenMode::ReadWrite)?;
    let len = (segment.index.len() * super::index::ROW_LEN) as u64;
    if file.size()? <= len {
        return Ok(None);
    }
    file.set_len(len)?;
    Ok(Some(file))
}

/// CRC-32C of a stretch of a file, going on from `crc`.
pub(super) fn checksum_of(file: &SharedFile, path: &Path, (from, to): (u64, u64), crc: u32) -> Result<u32, LogError> {
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
