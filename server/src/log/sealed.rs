//! What sealed segments still hold when a log is opened: a segment that went missing or was cut short leaves a hole in the
//! offsets, which is set aside. Bytes behind the next segment's beginning are of a history that was lost: a start cut them
//! off, was killed before that was synced, and the power brought them back.
//!
//! Cheap: one index row a segment; the frames are walked only where that row does not fit. Not here: rot inside a sealed
//! segment (`scrub`), the active segment (`cut`).

use super::{
    error::{LogError, at},
    log::Log,
    open::OpenReport,
    segment::Segment,
    walk::FrameWalk,
};

impl Log {
    /// Looks at the ends of the first `count` segments, each of which another follows.
    pub(super) fn check_sealed(&mut self, count: usize, report: &mut OpenReport) -> Result<(), LogError> {
        for place in 0..count {
            let next_base = self.segments[place + 1].base_offset;
            let end = match self.recorded_end(&self.segments[place], next_base) {
                Some((position, end)) => {
                    self.cut_sealed(place, position, report)?;
                    end
                }
                None => self.walk_to_end(place, next_base, report)?,
            };
            self.segments[place].close_files();
            if end < next_base {
                self.quarantine(end, next_base);
            }
        }
        Ok(())
    }

    /// Where a segment ends, and the offset there, as its last index row tells: if that row speaks of all its bytes, or of all
    /// before the next segment.
    fn recorded_end(&self, segment: &Segment, next_base: i64) -> Option<(u32, i64)> {
        let last = segment.index.len().checked_sub(1)?;
        let row = segment.index.row(&*self.disk, &segment.index_path(&self.dir), last).ok()?;
        let all = row.position == segment.size || row.position < segment.size && row.offset == next_base;
        (all && row.internal_len == 0).then_some((row.position, row.offset))
    }

    /// Takes away what lies behind the end of a sealed segment.
    fn cut_sealed(&mut self, place: usize, position: u32, report: &mut OpenReport) -> Result<(), LogError> {
        let segment = &mut self.segments[place];
        if position < segment.size {
            report.truncated_bytes += u64::from(segment.size - position);
            let (path, file) = (segment.path(&self.dir), segment.file(&*self.disk, &self.dir)?);
            at(&path, file.set_len(position.into()))?;
            segment.size = position;
            self.dirty.push(file);
        }
        Ok(())
    }

    /// The offset behind the last frame that can be reached. Where that is the whole segment, its index is made anew; what
    /// lies behind a frame that is none is not counted any more.
    fn walk_to_end(&mut self, place: usize, next_base: i64, report: &mut OpenReport) -> Result<i64, LogError> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let next_index = self.segments[place + 1].read_header(&*disk, &dir).map(|header| header.first_index);
        let segment = &mut self.segments[place];
        let header = segment.read_header(&*disk, &dir);
        if let Err(error @ LogError::NewerVersion { .. }) = header {
            return Err(error);
        }
        let frames_max = match (&header, next_index) {
            (Ok(header), Ok(next_index)) => next_index.saturating_sub(header.first_index),
            _ => u64::MAX,
        };
        let mut walk = FrameWalk::new(segment.file(&*disk, &dir)?, &segment.path(&dir), 0, segment.size.into());
        let (mut end, mut position, mut frames) = (segment.base_offset, 0, 0);
        let mut whole = false;
        loop {
            match walk.next_frame() {
                Ok(Some(frame)) if frame.position == 0 || frames < frames_max => {
                    end = end.max(frame.header.next_offset().min(next_base));
                    position = frame.end() as u32;
                    frames += u64::from(frame.position > 0);
                }
                Ok(_) => {
                    whole = end == next_base;
                    break;
                }
                Err(_) => break,
            }
        }
        match header {
            Ok(header) if whole => {
                self.cut_sealed(place, position, report)?;
                self.segments[place].first_index = header.first_index;
                report.rebuilt.push("index");
                let next_index = self.rebuild_index(place)?;
                let index = self.segments[place].seal(&*disk, &dir, next_index, next_base)?;
                self.dirty.extend(index);
            }
            _ => segment.size = position,
        }
        Ok(end)
    }
}
