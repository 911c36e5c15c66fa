//! What retention would like to drop, and dropping it. The owner decides: the new log start is journaled before files go.

use super::{
    append::unless_lacking,
    error::{LogError, ReadError},
    log::Log,
};

impl Log {
    /// The log start that `retention.ms` and `retention.bytes` ask for at `now_ms`, if it is above the present one. Whole
    /// segments only; the active one once all of it has expired.
    ///
    /// # Errors
    /// A segment's largest timestamp cannot be read.
    pub fn expired_log_start(&self, now_ms: i64) -> Result<Option<i64>, ReadError> {
        if !self.config.deletes {
            return Ok(None);
        }
        let mut start = self.log_start_offset;
        let mut bytes_left = self.size_bytes as i64;
        for (place, segment) in self.segments.iter().enumerate() {
            let end = self.segments.get(place + 1).map_or(self.next_offset, |next| next.base_offset);
            let active = place + 1 == self.segments.len();
            if active && !segment.has_batches() {
                break;
            }
            let timestamp = self.max_timestamp_of(place)?;
            let old = self.config.retention_ms >= 0
                && timestamp >= 0
                && now_ms.saturating_sub(timestamp) > self.config.retention_ms;
            let size = i64::from(segment.size);
            let over = !active && self.config.retention_bytes >= 0 && bytes_left - size >= self.config.retention_bytes;
            if !(old || over) {
                break;
            }
            bytes_left -= size;
            start = end;
        }
        Ok((start > self.log_start_offset).then_some(start))
    }

    /// The largest timestamp of the log's newest segment: what a clock is held against before it may expire anything.
    pub fn newest_timestamp(&self) -> i64 {
        self.active().max_timestamp
    }

    /// Moves the log start forward; it never goes back. Returns the start now.
    pub fn set_log_start(&mut self, offset: i64) -> i64 {
        self.log_start_offset = self.log_start_offset.max(offset.min(self.next_offset));
        self.epochs.truncate_from_start(self.log_start_offset);
        self.quarantined.retain(|(_, to)| *to > self.log_start_offset);
        self.log_start_offset
    }

    /// Removes the files of segments that lie wholly below the log start. Readers that hold a range of them go on reading. Returns how many
    /// segments went.
    ///
    /// # Errors
    /// The disk's.
    pub fn delete_old_segments(&mut self) -> Result<usize, LogError> {
        self.roll_expired()?;
        let mut deleted = 0;
        while self.segments.get(1).is_some_and(|next| next.base_offset <= self.log_start_offset) {
            self.delete_first()?;
            deleted += 1;
        }
        Ok(deleted)
    }

    /// The same, but keeps every frame whose Raft index is above `upto`: another member may still need it.
    ///
    /// # Errors
    /// The disk's.
    pub fn delete_purged_segments(&mut self, upto: u64) -> Result<(), LogError> {
        while self.segments.get(1).is_some_and(|next| next.base_offset <= self.log_start_offset) {
            let next = self.segments[1].read_header(&*self.disk, &self.dir)?;
            if next.first_index > upto.saturating_add(1) {
                break;
            }
            self.delete_first()?;
        }
        Ok(())
    }

    /// The Raft index of the last frame in segments that lie wholly below the log start; `None` if there is none. The active
    /// segment is sealed first where all of it lies there.
    ///
    /// # Errors
    /// The disk's.
    pub fn last_expired_index(&mut self) -> Result<Option<u64>, LogError> {
        self.roll_expired()?;
        let place = self.segments.partition_point(|segment| segment.base_offset <= self.log_start_offset);
        let Some(kept) = place.checked_sub(1).filter(|kept| *kept > 0) else { return Ok(None) };
        Ok(self.segments[kept].read_header(&*self.disk, &self.dir)?.first_index.checked_sub(1))
    }

    fn roll_expired(&mut self) -> Result<(), LogError> {
        let all = self.log_start_offset == self.next_offset && self.next_offset > self.active().base_offset;
        if all && self.active().has_batches() {
            // without room or descriptors the others go, and this one at the next round
            unless_lacking(self.roll())?;
        }
        Ok(())
    }

    fn delete_first(&mut self) -> Result<(), LogError> {
        if let Some(segment) = self.segments.pop_front() {
            self.size_bytes -= u64::from(segment.size);
            self.remove_files(segment.base_offset)?;
        }
        Ok(())
    }
}
