//! Walking the end of a log for which no checkpoint vouches: over whole, checked frames that follow each other; the first bad
//! one ends the log. Not here: a log that a checkpoint cuts (`cut`).

use tidemark_record::BatchHeader;

use super::{
    error::{LogError, at},
    log::Log,
    open::OpenReport,
    segment::Segment,
    walk::FrameWalk,
};
use crate::os::checksum;

impl Log {
    /// Walks whole, checked frames from a position in a segment on; the first bad one ends the log.
    pub(super) fn walk_tail(
        &mut self,
        mut place: usize,
        mut from: u64,
        report: &mut OpenReport,
    ) -> Result<(), LogError> {
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
    pub(super) fn last_headed_segment(&mut self, report: &mut OpenReport) -> Result<usize, LogError> {
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
    pub(super) fn begin_walk(&mut self, place: usize) -> Result<(), LogError> {
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
}
