//! What idempotent producers wrote last: enough to tell a repeat from a gap (Kafka `ProducerStateManager`).
//!
//! Follows the log's end. Each change above the settled offset can be undone, so that a truncation needs no rescan.

use std::{
    collections::{HashMap, VecDeque},
    io::IoSlice,
    path::Path,
};

use tidemark_record::{BatchHeader, batch::increment_sequence};

use super::error::{LogError, SequenceError, at};
use crate::os::{
    checksum,
    disk::{Disk, OpenMode, SharedFile},
};

/// Batches remembered per producer (Kafka `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
const BATCHES_MAX: usize = 5;
/// Changes that can be undone; older ones are settled without being told, since no log holds more unsettled batches.
const UNDO_MAX: usize = 8192;
/// Producers remembered; beyond it the longest silent one is forgotten, so that fresh ids cannot grow memory without end.
const PRODUCERS_MAX: usize = 100_000;
const SNAPSHOT_MAGIC: [u8; 8] = *b"TIDEPROD";

/// One batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    last_offset: i64,
    timestamp: i64,
}

/// One producer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    last_timestamp: i64,
    txn_start_offset: Option<i64>,
    batches: VecDeque<Batch>,
}

/// A producer as DescribeProducers shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of its last record; -1 if none.
    pub last_sequence: i32,
    /// Timestamp of its last batch, milliseconds since 1970.
    pub last_timestamp: i64,
    /// First offset of its open transaction; -1 if none.
    pub current_txn_start_offset: i64,
}

/// What a batch is to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceCheck {
    /// To be appended.
    Fresh,
    /// Already there, at these offsets.
    Duplicate {
        /// Offset of its first record.
        base_offset: i64,
        /// Offset of its last.
        last_offset: i64,
        /// Its max timestamp.
        timestamp: i64,
    },
}

#[derive(Debug)]
struct Undo {
    base_offset: i64,
    producer_id: i64,
    before: Option<Producer>,
}

/// All producers of one log.
#[derive(Debug, Default)]
pub(super) struct ProducerStates {
    producers: HashMap<i64, Producer>,
    undo: VecDeque<Undo>,
    /// Changes of batches below this offset cannot be undone.
    undoable_from: i64,
}

impl ProducerStates {
    /// Judges a batch by Kafka's `ProducerAppendInfo`. An unknown producer may start with any sequence (KAFKA-5494's rule for
    /// expired state).
    pub fn check(&self, header: &BatchHeader) -> Result<SequenceCheck, SequenceError> {
        if !header.has_producer_id() {
            return Ok(SequenceCheck::Fresh);
        }
        let Some(known) = self.producers.get(&header.producer_id) else { return Ok(SequenceCheck::Fresh) };
        let (producer_id, sequence) = (header.producer_id, header.base_sequence);
        if header.producer_epoch < known.epoch {
            return Err(SequenceError::InvalidEpoch {
                producer_id,
                epoch: header.producer_epoch,
                current: known.epoch,
            });
        }
        let last = known.batches.back().map_or(-1, |batch| batch.last_sequence);
        if header.producer_epoch > known.epoch {
            return if sequence == 0 {
                Ok(SequenceCheck::Fresh)
            } else {
                Err(SequenceError::OutOfOrder { producer_id, sequence, last })
            };
        }
        let same = |batch: &&Batch| batch.base_sequence == sequence && batch.last_sequence == header.last_sequence();
        if let Some(batch) = known.batches.iter().find(same) {
            let Batch { base_offset, last_offset, timestamp, .. } = *batch;
            return Ok(SequenceCheck::Duplicate { base_offset, last_offset, timestamp });
        }
        if known.batches.is_empty() || sequence == increment_sequence(last, 1) {
            Ok(SequenceCheck::Fresh)
        } else {
            Err(SequenceError::OutOfOrder { producer_id, sequence, last })
        }
    }

    /// Notes a batch that was appended, with its final offsets in the header.
    pub fn update(&mut self, header: &BatchHeader, undoable: bool) {
        if !header.has_producer_id() || header.attributes.is_control() {
            return;
        }
        let before = self.producers.get(&header.producer_id);
        if undoable {
            if self.undo.len() >= UNDO_MAX
                && let Some(oldest) = self.undo.pop_front()
            {
                self.undoable_from = self.undoable_from.max(oldest.base_offset.saturating_add(1));
            }
            let (producer_id, base_offset) = (header.producer_id, header.base_offset);
            self.undo.push_back(Undo { base_offset, producer_id, before: before.cloned() });
        } else {
            self.undoable_from = self.undoable_from.max(header.next_offset());
        }
        if before.is_none() && self.producers.len() >= PRODUCERS_MAX {
            self.forget_one();
        }
        let fresh = || Producer {
            epoch: header.producer_epoch,
            last_timestamp: -1,
            txn_start_offset: None,
            batches: VecDeque::new(),
        };
        let producer = self.producers.entry(header.producer_id).or_insert_with(fresh);
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_MAX {
            producer.batches.pop_front();
        }
        producer.last_timestamp = header.max_timestamp;
        if header.attributes.is_transactional() && producer.txn_start_offset.is_none() {
            producer.txn_start_offset = Some(header.base_offset);
        }
        producer.batches.push_back(Batch {
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            timestamp: header.max_timestamp,
        });
    }

    fn forget_one(&mut self) {
        let silent = self.producers.iter().filter(|(_, producer)| producer.txn_start_offset.is_none());
        let oldest = silent.min_by_key(|(id, producer)| (producer.last_timestamp, **id)).map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.producers.remove(&id);
        }
    }

    /// Nothing below `offset` will be truncated any more.
    pub fn settle(&mut self, offset: i64) {
        while self.undo.front().is_some_and(|undo| undo.base_offset < offset) {
            self.undo.pop_front();
        }
        self.undoable_from = self.undoable_from.max(offset);
    }

    /// Takes back what was noted at or above `offset`. False if that is more than it remembers: it must be learned again.
    #[must_use]
    pub fn truncate(&mut self, offset: i64) -> bool {
        while let Some(undo) = self.undo.pop_back_if(|undo| undo.base_offset >= offset) {
            match undo.before {
                Some(before) => self.producers.insert(undo.producer_id, before),
                None => self.producers.remove(&undo.producer_id),
            };
        }
        offset >= self.undoable_from
    }

    /// Forgets producers silent for longer than `expiration_ms`; never one with an open transaction.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, producer| {
            producer.txn_start_offset.is_some() || now_ms.saturating_sub(producer.last_timestamp) < expiration_ms
        });
    }

    /// All, by id.
    pub fn describe(&self) -> Vec<ProducerInfo> {
        let mut all: Vec<ProducerInfo> = self
            .producers
            .iter()
            .map(|(id, producer)| ProducerInfo {
                producer_id: *id,
                producer_epoch: producer.epoch,
                last_sequence: producer.batches.back().map_or(-1, |batch| batch.last_sequence),
                last_timestamp: producer.last_timestamp,
                current_txn_start_offset: producer.txn_start_offset.unwrap_or(-1),
            })
            .collect();
        all.sort_by_key(|producer| producer.producer_id);
        all
    }

    /// Writes a snapshot; the caller syncs it.
    pub fn write(&self, disk: &dyn Disk, path: &Path) -> Result<SharedFile, LogError> {
        let mut body = Vec::new();
        let mut ids: Vec<&i64> = self.producers.keys().collect();
        ids.sort();
        for id in ids {
            let producer = &self.producers[id];
            body.extend_from_slice(&id.to_le_bytes());
            body.extend_from_slice(&producer.epoch.to_le_bytes());
            body.extend_from_slice(&producer.last_timestamp.to_le_bytes());
            body.extend_from_slice(&producer.txn_start_offset.unwrap_or(-1).to_le_bytes());
            body.push(producer.batches.len() as u8);
            for batch in &producer.batches {
                body.extend_from_slice(&batch.base_sequence.to_le_bytes());
                body.extend_from_slice(&batch.last_sequence.to_le_bytes());
                body.extend_from_slice(&batch.base_offset.to_le_bytes());
                body.extend_from_slice(&batch.last_offset.to_le_bytes());
                body.extend_from_slice(&batch.timestamp.to_le_bytes());
            }
        }
        let crc = checksum::crc32c(&body).to_le_bytes();
        let file = at(path, disk.open(path, OpenMode::Create))?;
        at(path, file.write_all_at(&[IoSlice::new(&SNAPSHOT_MAGIC), IoSlice::new(&crc), IoSlice::new(&body)], 0))?;
        Ok(file)
    }

    /// Reads a snapshot; `None` if it is missing or bad.
    pub fn read(disk: &dyn Disk, path: &Path) -> Option<Self> {
        let file = disk.open(path, OpenMode::Read).ok()?;
        let mut bytes = vec![0; usize::try_from(file.size().ok()?).ok()?];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let body = bytes.strip_prefix(&SNAPSHOT_MAGIC)?;
        let (crc, mut body) = body.split_first_chunk::<4>()?;
        if *crc != checksum::crc32c(body).to_le_bytes() {
            return None;
        }
        let mut states = Self::default();
        while !body.is_empty() {
            let id = i64::from_le_bytes(take(&mut body)?);
            let epoch = i16::from_le_bytes(take(&mut body)?);
            let last_timestamp = i64::from_le_bytes(take(&mut body)?);
            let txn_start = i64::from_le_bytes(take(&mut body)?);
            let [count] = take(&mut body)?;
            let batches: Option<VecDeque<Batch>> = (0..count).map(|_| read_batch(&mut body)).collect();
            let txn_start_offset = (txn_start >= 0).then_some(txn_start);
            states.producers.insert(id, Producer { epoch, last_timestamp, txn_start_offset, batches: batches? });
        }
        Some(states)
    }
}

fn read_batch(body: &mut &[u8]) -> Option<Batch> {
    Some(Batch {
        base_sequence: i32::from_le_bytes(take(body)?),
        last_sequence: i32::from_le_bytes(take(body)?),
        base_offset: i64::from_le_bytes(take(body)?),
        last_offset: i64::from_le_bytes(take(body)?),
        timestamp: i64::from_le_bytes(take(body)?),
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::disk::MemoryDisk;

    fn header(epoch: i16, base_sequence: i32, count: i32, base_offset: i64) -> BatchHeader {
        let mut builder =
            tidemark_record::BatchBuilder::new().producer(9, epoch, base_sequence).base_offset(base_offset);
        for _ in 0..count {
            builder.append_plain(1, None, None);
        }
        BatchHeader::parse(&builder.build().unwrap()).unwrap()
    }

    #[test]
    fn follows_kafkas_sequence_rules() {
        let mut states = ProducerStates::default();
        assert_eq!(states.check(&header(1, 77, 1, 0)), Ok(SequenceCheck::Fresh), "unknown producer: any sequence");
        for i in 0..7 {
            let batch = header(1, i * 2, 2, i64::from(i) * 2);
            assert_eq!(states.check(&batch), Ok(SequenceCheck::Fresh));
            states.update(&batch, true);
        }
        let duplicate = SequenceCheck::Duplicate { base_offset: 4, last_offset: 5, timestamp: 1 };
        assert_eq!(states.check(&header(1, 4, 2, 0)), Ok(duplicate));
        assert!(
            matches!(states.check(&header(1, 2, 2, 0)), Err(SequenceError::OutOfOrder { last: 13, .. })),
            "sixth last"
        );
        assert!(matches!(states.check(&header(1, 15, 1, 0)), Err(SequenceError::OutOfOrder { .. })));
        assert!(matches!(states.check(&header(0, 14, 1, 0)), Err(SequenceError::InvalidEpoch { .. })));
        assert!(matches!(states.check(&header(2, 14, 1, 0)), Err(SequenceError::OutOfOrder { .. })));
        assert_eq!(states.check(&header(2, 0, 1, 0)), Ok(SequenceCheck::Fresh));
    }

    #[test]
    fn truncation_takes_back_and_snapshots_keep() {
        let (disk, mut states) = (MemoryDisk::new(), ProducerStates::default());
        for i in 0..6 {
            states.update(&header(1, i, 1, i64::from(i)), true);
        }
        states.settle(3);
        states.update(&header(2, 0, 1, 6), true);
        assert!(states.truncate(4));
        assert_eq!(states.describe()[0].last_sequence, 3);
        assert_eq!(states.describe()[0].producer_epoch, 1);
        assert!(!states.truncate(2), "settled: it must be learned again");
        states.write(&disk, Path::new("/s")).unwrap();
        let read = ProducerStates::read(&disk, Path::new("/s")).unwrap();
        assert_eq!(read.producers, states.producers);
        let file = disk.open(Path::new("/s"), OpenMode::ReadWrite).unwrap();
        file.write_all_at(&[IoSlice::new(b"!")], 20).unwrap();
        assert!(ProducerStates::read(&disk, Path::new("/s")).is_none());
        states.expire(1 + 86_400_000, 86_400_000);
        assert!(states.producers.is_empty());
    }
}
