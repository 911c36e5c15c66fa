//! Taking back the end of a log: frames that a new leader does not have. Only above the high watermark, where no
//! reader holds a range.

use tidemark_record::BatchHeader;

use super::{
    append::unless_lacking,
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
        self.producers.truncate(self.next_offset);
        self.epochs.truncate_from_end(self.next_offset, self.next_index);
        if unless_lacking(self.epochs.write(&*self.disk, &self.dir))?.is_none() {
            self.epochs.save_later();
        }
        self.recent.clear();
        self.quarantined.retain(|(from, _)| *from < self.next_offset);
        // offsets below the log start were given out once: a gap before it does not bring them back
        self.next_offset = self.next_offset.max(self.log_start_offset);
        self.size_bytes = self.segments.iter().map(|segment| u64::from(segment.size)).sum();
        self.drop_snapshots_beyond(self.next_offset)
    }

    /// The header of the frame with this Raft index; `None` below the first and behind the last.
    ///
    /// # Errors
    /// The disk's, or damage on the way to the frame.
    pub(super) fn header_at(&self, wanted: u64) -> Result<Option<BatchHeader>, LogError> {
        let (disk, dir) = (&*self.disk, &*self.dir);
        for segment in self.segments.iter().rev() {
            let mut index = segment.read_header(disk, dir)?.first_index;
            if index > wanted {
                continue;
            }
            let mut walk = FrameWalk::new(segment.file(disk, dir)?, &segment.path(dir), 0, segment.size.into());
            if let Some(row) = segment.row_where(disk, dir, |row| row.position > 0 && row.index <= wanted) {
                (walk, index) = (walk.from(row.position.into()), row.index);
            }
            while let Some(frame) = walk.next_frame()? {
                if frame.position > 0 {
                    if index == wanted {
                        return Ok(Some(frame.header));
                    }
                    index += 1;
                }
            }
            return Ok(None);
        }
        Ok(None)
    }

    /// Raft index of the first frame behind the active segment's header.
    fn active_first_index(&mut self) -> Result<u64, LogError> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let header = self.active_mut().read_header(&*disk, &dir)?;
        self.active_mut().first_index = header.first_index;
        Ok(header.first_index)
    }

    /// Walks to the frame with this index and makes the segment end before it, as if what lay behind had never been written.
    fn cut_active(&mut self, next_index: u64) -> Result<(), LogError> {
        let place = self.segments.len() - 1;
        let mut index = self.active_first_index()?;
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let active = self.active();
        let (file, path) = (active.file(&*disk, &dir)?, active.path(&dir));
        let mut walk = FrameWalk::new(file.clone(), &path, 0, active.size.into());
        let (mut position, mut next_offset, mut epoch) = (0, active.base_offset, -1);
        while let Some(frame) = walk.next_frame()? {
            if frame.position > 0 {
                if index == next_index {
                    break;
                }
                index += 1;
            }
            position = frame.end();
            next_offset = frame.header.next_offset();
            epoch = frame.header.partition_leader_epoch;
        }
        at(&path, file.set_len(position))?;
        self.active_mut().size = position as u32;
        (self.next_offset, self.last_leader_epoch) = (next_offset, epoch);
        self.rebuild_index(place)?;
        self.dirty.push(file);
        Ok(())
    }
}
