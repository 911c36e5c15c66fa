//! Which leader epoch began at which offset (Kafka `LeaderEpochFileCache`): a short list, also kept as a text file.
//!
//! Derived: the file is checked against the log's end when it is read, and rebuilt from the frames if it is bad.

use std::{fmt::Write, io::IoSlice, path::Path};

use super::error::{LogError, at};
use crate::os::disk::{Disk, OpenMode};

/// The file's name, as Kafka's.
pub(super) const FILE: &str = "leader-epoch-checkpoint";

/// One epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEntry {
    /// The leader epoch, which is the Raft term.
    pub epoch: i32,
    /// Offset of its first record.
    pub start_offset: i64,
    /// Raft index of its first frame.
    pub first_index: u64,
}

/// The epochs of one log, both fields rising.
#[derive(Debug, Clone, Default)]
pub(super) struct EpochCache {
    entries: Vec<EpochEntry>,
    /// The last epoch was begun and no frame of it was noted yet: the file does not have it.
    unsaved: bool,
}

impl EpochCache {
    /// Notes that a leader starts in `epoch` at the log's end. In memory only: without a frame it leaves no trace on disk.
    pub fn begin(&mut self, epoch: i32, start_offset: i64, first_index: u64) {
        if self.entries.last().is_some_and(|last| last.epoch >= epoch) {
            return;
        }
        // an epoch that began here and took no offset is replaced by the one that does
        self.entries.retain(|entry| entry.start_offset < start_offset);
        self.entries.push(EpochEntry { epoch, start_offset, first_index });
        self.unsaved = true;
    }

    /// Notes that a frame of `epoch` was appended. True if the file has to be written.
    pub fn assign(&mut self, epoch: i32, start_offset: i64, first_index: u64) -> bool {
        self.begin(epoch, start_offset, first_index);
        std::mem::take(&mut self.unsaved)
    }

    /// The file could not be written: the next frame tries again.
    pub fn save_later(&mut self) {
        self.unsaved = true;
    }

    /// The largest epoch at or below `epoch` and the offset where it ends; `None` for an epoch above all. Below all of them
    /// the answer is the epoch asked for and where the first begins (`LeaderEpochFileCache.endOffsetFor`).
    pub fn end_offset_for(&self, epoch: i32, log_end_offset: i64) -> Option<(i32, i64)> {
        let next = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let found = next.checked_sub(1).and_then(|place| self.entries.get(place));
        match (found, self.entries.get(next)) {
            (found, Some(higher)) => Some((found.map_or(epoch, |found| found.epoch), higher.start_offset)),
            (Some(found), None) => (found.epoch == epoch).then_some((epoch, log_end_offset)),
            (None, None) => None,
        }
    }

    /// The epoch that wrote this offset.
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        let next = self.entries.partition_point(|entry| entry.start_offset <= offset);
        self.entries.get(next.checked_sub(1)?).map(|entry| entry.epoch)
    }

    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// Forgets what lies at or behind a new end.
    pub fn truncate_from_end(&mut self, end_offset: i64, end_index: u64) {
        self.entries.retain(|entry| entry.start_offset < end_offset && entry.first_index < end_index);
    }

    /// Forgets epochs that ended before a new start; the one that spans it starts there.
    pub fn truncate_from_start(&mut self, start_offset: i64) {
        let keep = self.entries.partition_point(|entry| entry.start_offset <= start_offset).saturating_sub(1);
        self.entries.drain(..keep);
        if let Some(first) = self.entries.first_mut() {
            first.start_offset = first.start_offset.max(start_offset);
        }
    }

    /// Writes the file; not synced, since it can be rebuilt.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        let mut text = format!("1\n{}\n", self.entries.len());
        for entry in &self.entries {
            // writing to a String cannot fail
            let _ = writeln!(text, "{} {} {}", entry.epoch, entry.start_offset, entry.first_index);
        }
        let (path, temporary) = (dir.join(FILE), dir.join("leader-epoch-checkpoint.tmp"));
        let file = at(&temporary, disk.open(&temporary, OpenMode::Create))?;
        at(&temporary, file.write_all_at(&[IoSlice::new(text.as_bytes())], 0))?;
        at(&path, disk.rename(&temporary, &path))
    }

    /// Reads the file; `None` if it is missing or bad.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Option<Self> {
        let file = disk.open(&dir.join(FILE), OpenMode::Read).ok()?;
        let mut bytes = vec![0; usize::try_from(file.size().ok()?).ok()?];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        if lines.next()? != "1" {
            return None;
        }
        let count: usize = lines.next()?.parse().ok()?;
        let entry = |line: &str| {
            let mut fields = line.split(' ');
            Some(EpochEntry {
                epoch: fields.next()?.parse().ok()?,
                start_offset: fields.next()?.parse().ok()?,
                first_index: fields.next()?.parse().ok()?,
            })
        };
        let entries: Option<Vec<EpochEntry>> = lines.map(entry).collect();
        let entries = entries.filter(|entries| entries.len() == count)?;
        let rising = entries
            .windows(2)
            .all(|pair| pair[0].epoch < pair[1].epoch && pair[0].start_offset <= pair[1].start_offset);
        rising.then_some(Self { entries, unsaved: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_kafka_does() {
        let mut cache = EpochCache::default();
        assert!(cache.assign(1, 0, 1) && !cache.assign(1, 5, 6));
        assert!(cache.assign(3, 10, 11) && cache.assign(4, 10, 11));
        assert_eq!(cache.end_offset_for(0, 20), Some((0, 0)));
        assert_eq!(cache.end_offset_for(2, 20), Some((1, 10)));
        assert_eq!(cache.end_offset_for(4, 20), Some((4, 20)));
        assert_eq!(cache.end_offset_for(9, 20), None);
        assert_eq!((cache.epoch_at(9), cache.epoch_at(10)), (Some(1), Some(4)));
        cache.truncate_from_start(12);
        assert_eq!(cache.entries(), [EpochEntry { epoch: 4, start_offset: 12, first_index: 11 }]);
        cache.truncate_from_end(12, 11);
        assert!(cache.entries().is_empty());
    }

    #[test]
    fn an_epoch_is_saved_with_its_first_frame() {
        let mut cache = EpochCache::default();
        cache.begin(3, 5, 6);
        assert_eq!(cache.end_offset_for(3, 5), Some((3, 5)));
        assert!(cache.assign(3, 5, 6) && !cache.assign(3, 9, 10));
    }
}
