//! What follows from the segments, learned again: the index of one, leader epochs, producers. Not here: what each of them is.

use tidemark_record::BatchHeader;

use super::{
    append::unless_lacking,
    error::LogError,
    leader_epoch::EpochCache,
    log::Log,
    open::OpenReport,
    producer_state::ProducerStates,
    segment::{Segment, file_name},
    walk::FrameWalk,
};
use crate::os::checksum;

impl Log {
    /// Makes the index of a segment anew from its frames; the Raft index behind the last.
    pub(super) fn rebuild_index(&mut self, place: usize) -> Result<u64, LogError> {
        let (disk, dir, interval) = (self.disk.clone(), self.dir.clone(), self.config.index_interval_bytes);
        let old = &self.segments[place];
        let mut fresh = Segment::empty(old.base_offset, old.first_index);
        let mut index = old.first_index;
        let mut walk = FrameWalk::new(old.file(&*disk, &dir)?, &old.path(&dir), 0, old.size.into());
        // a bad frame ends the index; what lies behind it is found to be damaged when it is read
        while let Ok(Some(frame)) = walk.next_frame() {
            let bytes = walk.read_frame(&frame)?;
            let full = fresh.note_frame(&frame.header, index, checksum::crc32c(&bytes), interval);
            index += u64::from(frame.position > 0);
            if full {
                unless_lacking(fresh.index.flush(&*disk, &fresh.index_path(&dir)))?;
            }
        }
        // rows that cannot be written now stay in memory until they can
        unless_lacking(fresh.index.flush(&*disk, &fresh.index_path(&dir)))?;
        fresh.size = old.size;
        self.segments[place] = fresh;
        Ok(index)
    }

    pub(super) fn load_epochs(&mut self, report: &mut OpenReport) -> Result<(), LogError> {
        if let Some(mut epochs) = EpochCache::read(&*self.disk, &self.dir) {
            epochs.truncate_from_end(self.next_offset, self.next_index);
            let last = epochs.entries().last().map_or(-1, |entry| entry.epoch);
            if last == self.last_leader_epoch || self.next_offset == 0 {
                self.epochs = epochs;
                return Ok(());
            }
        }
        let mut epochs = EpochCache::default();
        self.for_each_batch(i64::MIN, |header, index| {
            epochs.assign(header.partition_leader_epoch, header.base_offset, index);
        })?;
        if !epochs.entries().is_empty() {
            report.rebuilt.push("leader-epoch-checkpoint");
            epochs.write(&*self.disk, &self.dir)?;
        }
        self.epochs = epochs;
        Ok(())
    }

    /// Learns the producers' state again, from a snapshot and the frames behind it: frames were taken away that no undo knows.
    pub(super) fn reload_producers(&mut self) -> Result<(), LogError> {
        self.producers = ProducerStates::default();
        self.load_producers(&mut OpenReport::default())
    }

    pub(super) fn load_producers(&mut self, report: &mut OpenReport) -> Result<(), LogError> {
        let mut from = i64::MIN;
        let usable: Vec<i64> =
            self.checkpoint_snapshots.iter().copied().filter(|offset| *offset <= self.next_offset).collect();
        for offset in usable.into_iter().rev() {
            let path = self.dir.join(file_name(offset, "snapshot"));
            match ProducerStates::read(&*self.disk, &path) {
                Some(mut states) => {
                    states.settle(offset);
                    self.snapshot_good = offset;
                    self.producers = states;
                    from = offset;
                    break;
                }
                None => report.rebuilt.push("snapshot"),
            }
        }
        let mut producers = std::mem::take(&mut self.producers);
        if from < self.next_offset {
            self.for_each_batch(from, |header, _| producers.update(header, false))?;
        }
        self.producers = producers;
        Ok(())
    }

    /// Every batch whose base offset is at or above `from`, with its Raft index counted within its segment. Stops at damage.
    fn for_each_batch(&self, from: i64, mut take: impl FnMut(&BatchHeader, u64)) -> Result<(), LogError> {
        for (place, segment) in self.segments.iter().enumerate() {
            if self.segments.get(place + 1).is_some_and(|next| next.base_offset <= from) {
                continue;
            }
            let mut index =
                segment.read_header(&*self.disk, &self.dir).map_or(segment.first_index, |header| header.first_index);
            let mut walk =
                FrameWalk::new(segment.file(&*self.disk, &self.dir)?, &segment.path(&self.dir), 0, segment.size.into());
            while let Ok(Some(frame)) = walk.next_frame() {
                if !frame.header.is_internal() && frame.header.base_offset >= from {
                    take(&frame.header, index);
                }
                index += u64::from(frame.position > 0);
            }
        }
        Ok(())
    }
}
