//! What a walk over headers can be held against: no checksum of a batch covers its first 16 bytes, the offset, the length and
//! the epoch. Not here: rot elsewhere, which a reader's own check finds, and the scrub.

use super::{
    error::{LogError, ReadError},
    index::Row,
    log::Log,
    segment::Segment,
    walk::WalkedFrame,
};

/// Judges the frames of one walk through a segment, in their order.
pub(super) struct Fit<'a> {
    log: &'a Log,
    /// The row that the walk starts from.
    row: Option<Row>,
    /// No frame may begin below it.
    next_offset: i64,
    epoch: i32,
    /// No frame may end behind it: here the next segment begins.
    end: i64,
}

impl<'a> Fit<'a> {
    /// For a walk from `row`, or from the segment's start.
    pub fn new(log: &'a Log, place: usize, row: Option<Row>) -> Self {
        let end = log.segments.get(place + 1).map_or(log.next_offset, |next| next.base_offset);
        let next_offset = row.map_or(log.segments[place].base_offset, |row| row.offset);
        Self { log, row, next_offset, epoch: -1, end }
    }

    /// From the last frame that fitted to the segment's end.
    pub fn damaged(&self) -> ReadError {
        ReadError::Damaged { from: self.next_offset, to: self.end }
    }

    /// Whether the frame can be one that was written there.
    pub fn takes(&mut self, frame: &WalkedFrame) -> bool {
        let header = &frame.header;
        let epoch = header.partition_leader_epoch;
        let at_row = self.row.is_none_or(|row| {
            let internal_len = if header.is_internal() { header.size_in_bytes() as u32 } else { 0 };
            u64::from(row.position) != frame.position
                || (row.offset, row.internal_len) == (header.base_offset, internal_len)
        });
        let rising = header.base_offset >= self.next_offset && epoch >= self.epoch;
        let inside = header.base_offset <= self.end && header.next_offset() <= self.end;
        let known = if header.is_internal() { None } else { self.log.epochs.epoch_at(header.base_offset) };
        let fits = at_row && rising && inside && known.is_none_or(|known| known == epoch);
        if fits {
            self.next_offset = header.next_offset();
            self.epoch = epoch;
        }
        fits
    }
}

impl Log {
    /// The first batch of a segment that ends behind `offset`. Every frame must fit from the index row before it up to the next
    /// one, and that row must be met exactly.
    pub(super) fn find_fitting(
        &self,
        place: usize,
        segment: &Segment,
        offset: i64,
    ) -> Result<Option<WalkedFrame>, ReadError> {
        let (disk, dir) = (&*self.disk, &*self.dir);
        let (row, next_row) = segment.rows_around(disk, dir, offset).unwrap_or_default();
        let mut fit = Fit::new(self, place, row);
        let segment_end = fit.end;
        // without an index the walk would be one through the whole segment
        let (stop, stretch_end) = match (row, next_row) {
            (_, Some(next)) => (next.position, next.offset),
            (Some(_), None) => (segment.size, segment_end),
            (None, None) => (0, segment_end),
        };
        let damaged = ReadError::Damaged { from: offset, to: stretch_end };
        let mut walk = segment.walk_from_row(disk, dir, row)?;
        let mut found = None;
        loop {
            let frame = match walk.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(found),
                Err(LogError::Damaged { .. }) => return Err(damaged),
                Err(error) => return Err(error.into()),
            };
            let before = frame.position < stop.into();
            fit.end = if before { stretch_end } else { segment_end };
            if before && frame.end() > stop.into() || !fit.takes(&frame) {
                return Err(damaged);
            }
            if found.is_none() && !frame.header.is_internal() && frame.header.next_offset() > offset {
                found = Some(frame);
            }
            if found.is_some() && frame.end() >= stop.into() {
                return Ok(found);
            }
        }
    }
}
