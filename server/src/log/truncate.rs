//! Taking back the end of a log: frames that a new leader does not have. Only above the high watermark, where no
//! reader holds a range.

use super::{
    append::unless_lacking,
    cut::trim_index,
    error::{LogError, at},
    log::Log,
    walk::FrameWalk,
};

impl Log {
    /// Removes every frame with a Raft index of `next_index` or more.
    ///
    /// # Errors
    /// The disk's, or damage on the way to the frame.
    pub fn truncate(&mut self, next_index: u64) -> Result<(), LogError> {
        if next_index >= self.next_index {
            return Ok(());
        }
        self.next_index = next_index;
        while self.segments.len() > 1 && self.active_first_index()? >= next_index {
            if let Some(segment) = self.segments.pop_back() {
                self.remove_files(segment.base_offset)?;
            }
        }
        self.cut_active(next_index)?;
        let undone = self.producers.truncate(self.next_offset);
        self.epochs.truncate_from_end(self.next_offset, self.next_index);
        if unless_lacking(self.epochs.write(&*self.disk, &self.dir))?.is_none() {
            self.epochs.save_later();
        }
        self.recent.clear();
        self.quarantined.retain(|(from, _)| *from < self.next_offset);
        // offsets below the log start were given out once: a gap before it does not bring them back
        self.next_offset = self.next_offset.max(self.log_start_offset);
        self.size_bytes = self.segments.iter().map(|segment| u64::from(segment.size)).sum();
        self.drop_snapshots_beyond(self.next_offset)?;
        // frames that a start found and that no majority had: no undo knows them
        if undone { Ok(()) } else { self.reload_producers() }
    }

    /// Raft index of the first frame behind the active segment's header.
    fn active_first_index(&mut self) -> Result<u64, LogError> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let header = self.active_mut().read_header(&*disk, &dir)?;
        self.active_mut().first_index = header.first_index;
        Ok(header.first_index)
    }

    /// Makes the active segment end before the frame with this index, as if what lay behind had never been written.
    fn cut_active(&mut self, next_index: u64) -> Result<(), LogError> {
        let first_index = self.active_first_index()?;
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let active = self.active();
        let (file, path) = (active.file(&*disk, &dir)?, active.path(&dir));
        let row = active.row_where(&*disk, &dir, |row| row.index < next_index || row.position == 0);
        let (from, mut index, mut crc, mut max_timestamp) =
            row.map_or((0, first_index, 0, -1), |row| (row.position, row.index, row.running_crc, row.timestamp));
        let mut walk = FrameWalk::new(file.clone(), &path, from.into(), active.size.into());
        let (mut position, mut next_offset, mut epoch) = (u64::from(from), active.base_offset, -1);
        while let Some(frame) = walk.next_frame()? {
            if frame.position > 0 {
                if index == next_index {
                    break;
                }
                index += 1;
            }
            if !frame.header.is_internal() {
                max_timestamp = max_timestamp.max(frame.header.max_timestamp);
            }
            position = frame.end();
            next_offset = frame.header.next_offset();
            epoch = frame.header.partition_leader_epoch;
        }
        crc = super::cut::checksum_of(&file, &path, (from.into(), position), crc)?;
        at(&path, file.set_len(position))?;
        let active = self.active_mut();
        active.forget_from(&*disk, &dir, position as u32);
        (active.running_crc, active.max_timestamp) = (crc, max_timestamp);
        active.bytes_since_row = position as u32 - from;
        if max_timestamp < 0 {
            active.first_timestamp = -1;
        }
        (self.next_offset, self.last_leader_epoch) = (next_offset, epoch);
        let last = self.segments.len() - 1;
        if row.is_none() {
            self.rebuild_index(last)?;
        }
        let trimmed = unless_lacking(at(&dir, trim_index(&*disk, &self.segments[last], &dir)))?.flatten();
        self.dirty.extend(trimmed.into_iter().chain([file]));
        Ok(())
    }
}
