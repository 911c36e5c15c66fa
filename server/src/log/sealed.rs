//! What sealed segments still hold when a log is opened: a segment that went missing or was cut short leaves a hole in the
//! offsets, which is set aside. Cheap: one index row a segment; the frames are walked only where that row does not fit.
//! Not here: rot inside a sealed segment (`scrub`), the active segment (`cut`).

use super::{error::LogError, log::Log, open::OpenReport, segment::Segment, walk::FrameWalk};

impl Log {
    /// Looks at the ends of the first `count` segments, each of which another follows.
    pub(super) fn check_sealed(&mut self, count: usize, report: &mut OpenReport) -> Result<(), LogError> {
        for place in 0..count {
            let next_base = self.segments[place + 1].base_offset;
            let end = match self.recorded_end(&self.segments[place]) {
                Some(end) => end,
                None => self.walk_to_end(place, next_base, report)?,
            };
            self.segments[place].close_files();
            if end < next_base {
                self.quarantine(end, next_base);
            }
        }
        Ok(())
    }

    /// The offset behind a segment as its last index row tells, if that row speaks of all its bytes.
    fn recorded_end(&self, segment: &Segment) -> Option<i64> {
        let last = segment.index.len().checked_sub(1)?;
        let row = segment.index.row(&*self.disk, &segment.index_path(&self.dir), last).ok()?;
        (row.position == segment.size && row.internal_len == 0).then_some(row.offset)
    }

    /// The offset behind the last frame that can be reached. Where that is the whole segment, its index is made anew; what
    /// lies behind a frame that is none is not counted any more.
    fn walk_to_end(&mut self, place: usize, next_base: i64, report: &mut OpenReport) -> Result<i64, LogError> {
        let (disk, dir) = (self.disk.clone(), self.dir.clone());
        let segment = &mut self.segments[place];
        let header = segment.read_header(&*disk, &dir);
        if let Err(error @ LogError::NewerVersion { .. }) = header {
            return Err(error);
        }
        let mut walk = FrameWalk::new(segment.file(&*disk, &dir)?, &segment.path(&dir), 0, segment.size.into());
        let mut end = segment.base_offset;
        while let Ok(Some(frame)) = walk.next_frame() {
            end = end.max(frame.header.next_offset().min(next_base));
        }
        let whole = walk.position() == u64::from(segment.size);
        segment.size = walk.position() as u32;
        if let (true, Ok(header)) = (whole && end == next_base, header) {
            segment.first_index = header.first_index;
            report.rebuilt.push("index");
            let next_index = self.rebuild_index(place)?;
            let index = self.segments[place].seal(&*disk, &dir, next_index, next_base)?;
            self.dirty.extend(index);
        }
        Ok(end)
    }
}
