//! Lookups by time: the first record at or after a moment, and the latest one; inside compressed batches too.

use tidemark_record::{BatchHeader, HEADER_LEN, RecordStream, TimestampType, inflate::INFLATED_BYTES_MAX};

use super::{error::ReadError, fit::Fit, log::Log, walk::FrameWalk};

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, milliseconds since 1970.
    pub timestamp: i64,
    /// The epoch that wrote it.
    pub leader_epoch: i32,
}

impl Log {
    /// The first record, by offset, whose timestamp is at or after `target`, below `upper_offset`.
    ///
    /// # Errors
    /// Damage, or the disk's.
    pub fn offset_for_timestamp(&self, target: i64, upper_offset: i64) -> Result<Option<TimestampOffset>, ReadError> {
        for place in 0..self.segments.len() {
            if self.max_timestamp_of(place)? < target {
                continue;
            }
            if let Some(found) = self.search_segment(place, target, upper_offset)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first record with the largest timestamp below `upper_offset`.
    ///
    /// # Errors
    /// Damage, or the disk's.
    pub fn max_timestamp_offset(&self, upper_offset: i64) -> Result<Option<TimestampOffset>, ReadError> {
        let mut largest = -1;
        for (place, segment) in self.segments.iter().enumerate() {
            let whole = self.segments.get(place + 1).map_or(self.next_offset, |next| next.base_offset) <= upper_offset;
            if whole && self.log_start_offset <= segment.base_offset {
                largest = largest.max(self.max_timestamp_of(place)?);
                continue;
            }
            let mut walk = self.walk(place, 0)?;
            while let Some(frame) = walk.next_frame()? {
                if frame.header.next_offset() > self.log_start_offset && frame.header.next_offset() <= upper_offset {
                    largest = largest.max(frame.header.max_timestamp);
                }
            }
        }
        if largest < 0 { Ok(None) } else { self.offset_for_timestamp(largest, upper_offset) }
    }

    pub(super) fn max_timestamp_of(&self, place: usize) -> Result<i64, ReadError> {
        let segment = &self.segments[place];
        if place + 1 == self.segments.len() {
            return Ok(segment.max_timestamp);
        }
        Ok(segment.sealed_max_timestamp(&*self.disk, &self.dir)?)
    }

    fn walk(&self, place: usize, position: u32) -> Result<FrameWalk, ReadError> {
        let segment = &self.segments[place];
        let file = segment.file(&*self.disk, &self.dir)?;
        Ok(FrameWalk::new(file, &segment.path(&self.dir), position.into(), segment.size.into()))
    }

    fn search_segment(
        &self,
        place: usize,
        target: i64,
        upper_offset: i64,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        // a row knows the largest timestamp before it: nothing before the last row below the target can match
        let row = self.segments[place].row_where(&*self.disk, &self.dir, |row| row.timestamp < target);
        let mut walk = self.walk(place, row.map_or(0, |row| row.position))?;
        let mut fit = Fit::new(self, place, row);
        while let Some(frame) = walk.next_frame()? {
            let header = frame.header;
            if !fit.takes(&frame) {
                return Err(fit.damaged());
            }
            if header.is_internal() || header.max_timestamp < target || header.next_offset() <= self.log_start_offset {
                continue;
            }
            if header.base_offset >= upper_offset {
                return Ok(None);
            }
            let bytes = walk.read_frame(&frame)?;
            tidemark_record::batch::verify(&bytes)
                .map_err(|_| ReadError::Damaged { from: header.base_offset, to: header.next_offset() })?;
            // a checksum that holds over records that do not: a producer compressed nonsense, and where it lies is an answer
            let found = first_at_or_after(&header, &bytes, target, self.log_start_offset)
                .unwrap_or(Some((header.base_offset.max(self.log_start_offset), header.max_timestamp)));
            if let Some((offset, timestamp)) = found.filter(|(offset, _)| *offset < upper_offset) {
                return Ok(Some(TimestampOffset { offset, timestamp, leader_epoch: header.partition_leader_epoch }));
            }
        }
        Ok(None)
    }
}

/// Outer `None`: the records cannot be read.
fn first_at_or_after(header: &BatchHeader, batch: &[u8], target: i64, from: i64) -> Option<Option<(i64, i64)>> {
    if header.attributes.timestamp_type() == TimestampType::LogAppend {
        return Some(Some((header.base_offset.max(from), header.max_timestamp)));
    }
    let payload = batch.get(HEADER_LEN..)?;
    let mut records =
        RecordStream::new(header.compression()?, payload, header.records_count, INFLATED_BYTES_MAX).ok()?;
    while let Some(record) = records.next_outline().ok()? {
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        let offset = header.base_offset.wrapping_add(i64::from(record.offset_delta));
        if timestamp >= target && offset >= from {
            return Some(Some((offset, timestamp)));
        }
    }
    Some(None)
}
