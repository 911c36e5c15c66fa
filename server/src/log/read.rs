//! Reading: an offset becomes file ranges between internal frames, to be sent from the page cache.

use super::{
    error::{LogError, ReadError},
    log::Log,
    segment::Segment,
};
use crate::os::disk::SharedFile;

/// A range of a segment. Its bytes do not change while it is held; it stays readable after the segment is deleted.
#[derive(Debug, Clone)]
pub struct FileSlice {
    /// The segment's file.
    pub file: SharedFile,
    /// First byte.
    pub position: u64,
    /// Bytes.
    pub len: usize,
}

/// What a read found. Begins with the batch that holds the offset asked for; the last batch may be cut.
#[derive(Debug, Clone, Default)]
pub struct ReadSlices {
    /// One behind the other on the wire.
    pub slices: Vec<FileSlice>,
    /// Bytes of all.
    pub bytes: usize,
}

/// What a read is about, from `offset` up to `upper`.
struct Wanted {
    offset: i64,
    max_bytes: usize,
    min_one: bool,
    upper: i64,
}

impl Log {
    /// Reads from `offset` up to `upper_offset` (exclusive: the high watermark, or the last stable offset), at most `max_bytes`; with
    /// `min_one` the first batch comes whole even if it is larger. Goes on
    /// from segment to segment.
    ///
    /// # Errors
    /// An offset that does not exist, or damage at it.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        min_one: bool,
        upper_offset: i64,
    ) -> Result<ReadSlices, ReadError> {
        if offset < self.log_start_offset || offset > self.next_offset {
            let (log_start_offset, log_end_offset) = (self.log_start_offset, self.next_offset);
            return Err(ReadError::OutOfRange { log_start_offset, log_end_offset });
        }
        let mut upper = upper_offset.min(self.next_offset);
        if offset >= upper || (max_bytes == 0 && !min_one) {
            return Ok(ReadSlices::default());
        }
        for (from, to) in &self.quarantined {
            if (*from..*to).contains(&offset) {
                return Err(ReadError::Damaged { from: *from, to: *to });
            }
            if *from > offset {
                upper = upper.min(*from);
            }
        }
        let wanted = Wanted { offset, max_bytes, min_one, upper };
        let mut place = self.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1);
        let mut out = ReadSlices::default();
        while let Some(segment) = self.segments.get(place) {
            if segment.base_offset >= upper {
                break;
            }
            if out.bytes > 0 {
                // on into the next segment, or a reader near the end of an old one would wait for bytes that are there
                let max_bytes = max_bytes.saturating_sub(out.bytes);
                let rest = Wanted { offset: segment.base_offset, max_bytes, min_one: false, upper };
                match self.read_segment(place, segment, &rest) {
                    Ok(Some(more)) if more.bytes > 0 => {
                        out.bytes += more.bytes;
                        out.slices.extend(more.slices);
                    }
                    // what is wrong there is told to whoever starts there
                    _ => break,
                }
            } else if let Some(slices) = self.read_segment(place, segment, &wanted)? {
                out = slices;
                if out.bytes == 0 {
                    break;
                }
            }
            place += 1;
        }
        Ok(out)
    }

    /// `None` if the segment holds no batch from `offset` on (a gap at its end).
    fn read_segment(&self, place: usize, segment: &Segment, wanted: &Wanted) -> Result<Option<ReadSlices>, ReadError> {
        let Wanted { offset, max_bytes, min_one, upper } = *wanted;
        let (disk, dir) = (&*self.disk, &*self.dir);
        let found = self.find_fitting(place, segment, offset)?;
        let Some(first) = found.filter(|frame| frame.header.base_offset < upper) else { return Ok(None) };
        let start = first.position as u32;
        let end = self.position_of(place, segment, upper)?;
        if !min_one && max_bytes < first.header.size_in_bytes() {
            // a piece of a batch alone is of no use to anybody (Kafka `LogReadInfo.firstEntryIncomplete`)
            return Ok(Some(ReadSlices::default()));
        }
        let want = max_bytes.max(first.header.size_in_bytes());
        let file = segment.file(disk, dir)?;
        let mut out = ReadSlices::default();
        let mut position = start;
        let internals = segment.internals(disk, dir)?;
        let behind = internals.partition_point(|(at, _)| *at < start);
        for &(at, len) in internals[behind..].iter().chain(&[(end, 0)]) {
            let stop = at.min(end);
            let len_here = (stop.saturating_sub(position) as usize).min(want - out.bytes);
            if len_here > 0 {
                out.slices.push(FileSlice { file: file.clone(), position: position.into(), len: len_here });
                out.bytes += len_here;
            }
            position = position.max(at.saturating_add(len));
            if at >= end || out.bytes == want {
                break;
            }
        }
        Ok(Some(out))
    }

    /// Where the batches below `upper` end in a segment.
    fn position_of(&self, place: usize, segment: &Segment, upper: i64) -> Result<u32, ReadError> {
        let next_base = self.segments.get(place + 1).map_or(self.next_offset, |next| next.base_offset);
        if upper >= next_base {
            return Ok(segment.size);
        }
        if place + 1 == self.segments.len()
            && let Some((_, position)) = self.recent.iter().find(|(next_offset, _)| *next_offset == upper)
        {
            return Ok(*position);
        }
        // a row knows the place better than the frames, one of which may be what is wrong
        let row = segment.row_where(&*self.disk, &self.dir, |row| row.offset <= upper);
        if let Some(row) = row.filter(|row| row.offset == upper) {
            return Ok(row.position);
        }
        let found = segment.find(&*self.disk, &self.dir, upper).map_err(|error| self.as_damage(place, upper, error))?;
        Ok(found.map_or(segment.size, |frame| frame.position as u32))
    }

    /// A segment whose frames cannot be walked is damaged from the offset asked for to its end.
    fn as_damage(&self, place: usize, offset: i64, error: LogError) -> ReadError {
        match error {
            LogError::Damaged { .. } => {
                let to = self.segments.get(place + 1).map_or(self.next_offset, |next| next.base_offset);
                ReadError::Damaged { from: offset, to }
            }
            other => other.into(),
        }
    }
}
