//! Random work against a plain model: appends, rolls, checkpoints, topics made and deleted, log starts moved, write caching
//! switched; the power or the process goes at any disk call, the data directory is opened again, and work goes on. The same
//! seed gives the same story.
//!
//! What must hold: a synced batch is there after a power cut, a written one after kill -9, each once, in order, with its
//! bytes, its epoch and its producer; nothing that was not sent, and nothing that a start found lost comes back.

use std::collections::BTreeMap;

use tidemark_record::BatchHeader;

use super::*;
use crate::log::Log;

const SEEDS: u64 = 400;
const GENERATIONS: u64 = 4;

/// One batch that was sent.
#[derive(Debug, Clone)]
struct Sent {
    base: i64,
    next: i64,
    epoch: i32,
    bytes: Vec<u8>,
}

/// How far something came: asked for, done in the page cache, done on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Reach<T> {
    tried: T,
    written: T,
    synced: T,
}

impl<T: Copy> Reach<T> {
    fn all(value: T) -> Self {
        Self { tried: value, written: value, synced: value }
    }
}

/// What is known of one replica.
#[derive(Debug, Default)]
struct Known {
    name: String,
    sent: Vec<Sent>,
    batches: Reach<usize>,
    /// Batches that were synced before the last sync.
    before_last_sync: usize,
    start: Reach<i64>,
    made: Reach<bool>,
    gone: Reach<bool>,
    /// Its entries bypass the journal.
    cached: bool,
    /// A power cut took batches below a durable log start, which only the page cache had, and their producers with them.
    emptied: bool,
    replica: Option<Arc<Replica>>,
}

impl Known {
    fn end(&self) -> i64 {
        self.sent.last().map_or(0, |sent| sent.next).max(self.start.written)
    }

    /// Everything written through the journal is on the disk.
    fn synced(&mut self, segments_too: bool) {
        self.made.synced = self.made.written;
        self.gone.synced = self.gone.written;
        self.start.synced = self.start.written;
        if segments_too || !self.cached {
            self.before_last_sync = self.batches.synced;
            self.batches.synced = self.batches.written;
        }
    }
}

struct Story {
    seed: u64,
    random: Random,
    known: BTreeMap<u128, Known>,
    sequences: BTreeMap<i64, i32>,
}

/// Nobody asks why a disk without power refused.
struct Crashed;

impl Story {
    fn new(seed: u64) -> Self {
        Self { seed, random: Random::seeded(seed), known: BTreeMap::new(), sequences: BTreeMap::new() }
    }

    fn living(&self) -> Vec<u128> {
        self.known.iter().filter(|(_, known)| known.replica.is_some()).map(|(key, _)| *key).collect()
    }

    /// Works until the disk refuses or there was enough.
    fn work(&mut self, disk: &SimDisk) {
        let Ok(storage) = open(disk) else { return };
        for (key, replica) in storage.replicas() {
            if let Some(known) = self.known.get_mut(&key.0.as_u128()) {
                known.cached = replica.durability() == Durability::WriteCaching;
                replica.configure(log_config(), i64::MAX, i64::MAX);
                known.replica = Some(replica);
            }
        }
        for _ in 0..self.random.below(160) {
            if self.step(&storage).is_err() {
                break;
            }
        }
        self.known.values_mut().for_each(|known| known.replica = None);
    }

    fn step(&mut self, storage: &Arc<Storage>) -> Result<(), Crashed> {
        let living = self.living();
        let any = living.get(self.random.below(living.len() as u64) as usize).copied();
        match (self.random.below(40), any) {
            (0..=1, _) | (_, None) => self.make(storage),
            (2, Some(key)) => self.delete(storage, key),
            (3..=6, _) => {
                storage.sync().map_err(|_| Crashed)?;
                self.known.values_mut().for_each(|known| known.synced(false));
                Ok(())
            }
            (7..=8, _) => {
                storage.checkpoint().map_err(|_| Crashed)?;
                self.known.values_mut().for_each(|known| known.synced(true));
                Ok(())
            }
            (9..=10, Some(key)) => self.move_start(storage, key),
            (11, Some(key)) => self.switch(storage, key),
            (_, Some(key)) => self.append(key),
        }
    }

    fn make(&mut self, storage: &Arc<Storage>) -> Result<(), Crashed> {
        let key = self.known.len() as u128 + 1;
        // a name of a deleted topic comes back, with another id
        let name = format!("t{}-0", self.random.below(3));
        if self.known.values().any(|known| known.name == name && !known.gone.tried) {
            return Ok(());
        }
        let known = self.known.entry(key).or_default();
        known.name.clone_from(&name);
        known.made.tried = true;
        let made = storage
            .create_replica((Uuid::from_u128(key), 0), &name, log_config(), ReplicaKind::Solo)
            .map_err(|_| Crashed)?;
        known.made.written = true;
        known.replica = Some(made);
        Ok(())
    }

    fn delete(&mut self, storage: &Arc<Storage>, key: u128) -> Result<(), Crashed> {
        let known = self.known.get_mut(&key).unwrap();
        known.gone.tried = true;
        let replica = known.replica.take().unwrap();
        storage.delete_replica(&replica).map_err(|_| Crashed)?;
        known.gone.written = true;
        Ok(())
    }

    fn move_start(&mut self, storage: &Arc<Storage>, key: u128) -> Result<(), Crashed> {
        let known = self.known.get_mut(&key).unwrap();
        let to = self.random.below(known.end() as u64 + 1) as i64;
        let replica = known.replica.clone().unwrap();
        known.start.tried = known.start.tried.max(to);
        let (start, _) = replica.move_log_start(to).map_err(|_| Crashed)?;
        assert_eq!(start, to.max(known.start.written));
        known.start.written = start;
        storage.sync().map_err(|_| Crashed)?;
        self.known.values_mut().for_each(|known| known.synced(false));
        replica.delete_old_segments().map(drop).map_err(|_| Crashed)
    }

    fn switch(&mut self, storage: &Arc<Storage>, key: u128) -> Result<(), Crashed> {
        let known = self.known.get_mut(&key).unwrap();
        let (replica, on) = (known.replica.clone().unwrap(), !known.cached);
        if !on && self.random.below(2) == 0 {
            replica.flush().map_err(|_| Crashed)?;
            known.batches.synced = known.batches.written;
            return Ok(());
        }
        storage.set_write_caching(&[replica], on).map_err(|_| Crashed)?;
        known.cached = on;
        known.batches.synced = known.batches.written;
        Ok(())
    }

    fn append(&mut self, key: u128) -> Result<(), Crashed> {
        let known = self.known.get_mut(&key).unwrap();
        let producer = self.random.below(3) as i64;
        let count = 1 + self.random.below(4);
        let mut builder = BatchBuilder::new();
        let sequence = self.sequences.entry((key as i64) << 8 | producer).or_default();
        if producer > 0 {
            builder = builder.producer(producer, 0, *sequence);
        }
        for i in 0..count {
            let value = vec![self.random.u64() as u8; self.random.below(300) as usize];
            builder.append_plain(known.end() * 10 + i as i64, None, Some(&value));
        }
        let bytes = builder.build().unwrap().to_vec();
        let replica = known.replica.clone().unwrap();
        let (base, next) = (known.end(), known.end() + count as i64);
        known.sent.push(Sent { base, next, epoch: replica.leader_epoch(), bytes: bytes.clone() });
        known.batches.tried = known.sent.len();
        let appended = replica.append(&bytes, &batch::verify(&bytes).unwrap(), 0).map_err(|_| Crashed)?;
        assert_eq!((appended.base_offset, appended.duplicate_of), (base, None));
        known.batches.written = known.sent.len();
        *sequence += count as i32;
        Ok(())
    }

    /// Opens what is left, twice, and holds it against what is known; then goes on from what was found.
    fn check(&mut self, disk: &SimDisk, killed: bool) {
        for _ in 0..2 {
            let storage = open(disk).unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
            // what recovery leaves must not look like rot
            scrub::scrub(&storage);
            let found: BTreeMap<u128, Arc<Replica>> =
                storage.replicas().into_iter().map(|(key, replica)| (key.0.as_u128(), replica)).collect();
            for (key, known) in &mut self.known {
                let reached = |reach: Reach<bool>| if killed { reach.written } else { reach.synced };
                let (made, gone) = (reached(known.made), reached(known.gone));
                let about = format!("seed {} replica {key} killed {killed}", self.seed);
                match found.get(key) {
                    None => {
                        assert!(!made || known.gone.tried, "{about}: it is lost");
                        known.gone = Reach::all(true);
                        continue;
                    }
                    Some(_) if gone => panic!("{about}: it came back"),
                    Some(_) if !known.made.tried => panic!("{about}: nobody made it"),
                    // its files went first and the record of it was lost: the metadata, synced before, knows it as gone
                    Some(replica) if known.gone.tried && replica.look(|_| ()).is_err() => {
                        storage.abandon_replica(replica).unwrap();
                        storage.sync().unwrap();
                        known.gone = Reach::all(true);
                    }
                    Some(replica) => {
                        known.made = Reach::all(true);
                        known.gone = Reach::default();
                        // until the next checkpoint a start does not know that write caching was switched off
                        known.cached = replica.durability() == Durability::WriteCaching;
                        replica.look(|log| check_log(log, known, killed, &about)).unwrap();
                    }
                }
            }
            for (key, replica) in &found {
                for info in replica.look(Log::producers).unwrap_or_default() {
                    self.sequences.insert((*key as i64) << 8 | info.producer_id, info.last_sequence + 1);
                }
            }
            drop(storage.clear_leftovers());
        }
    }
}

fn bytes_at(log: &Log, offset: i64) -> Result<Vec<u8>, ReadError> {
    let read = log.read(offset, 1, true, i64::MAX)?;
    let mut bytes = Vec::new();
    for slice in &read.slices {
        let mut piece = vec![0; slice.len];
        slice.file.read_exact_at(&mut piece, slice.position).unwrap();
        bytes.extend(piece);
    }
    Ok(bytes)
}

fn check_log(log: &Log, known: &mut Known, killed: bool, about: &str) {
    let end = log.log_end_offset();
    let count = known.sent.iter().position(|sent| sent.next > end).unwrap_or(known.sent.len());
    let least = if killed { known.batches.written } else { known.batches.synced };
    assert!((least..=known.batches.tried).contains(&count), "{about}: {count} batches, at least {least}");
    let at_end = count.checked_sub(1).map_or(0, |last| known.sent[last].next);
    assert!(end == at_end || end == log.log_start_offset(), "{about}: end {end} inside a batch");
    let start = log.log_start_offset();
    let least = if killed { known.start.written } else { known.start.synced };
    assert!((least..=known.start.tried).contains(&start), "{about}: start {start}, at least {least}");
    assert_eq!(log.quarantined(), [], "{about}");
    known.sent.truncate(count);
    known.batches =
        Reach { synced: if known.cached { known.batches.synced.min(count) } else { count }, ..Reach::all(count) };
    known.start = Reach::all(start);
    for sent in known.sent.iter().filter(|sent| sent.next > start) {
        let bytes = bytes_at(log, sent.base.max(start)).unwrap_or_else(|error| panic!("{about}: {error}"));
        let header = batch::verify(&bytes).unwrap();
        assert_eq!((header.base_offset, &bytes[16..]), (sent.base, &sent.bytes[16..]), "{about}");
        assert_eq!(header.partition_leader_epoch, sent.epoch, "{about}");
        assert_eq!(log.epoch_at(sent.base.max(start)), sent.epoch, "{about} at {}", sent.base);
        let time = sent.base * 10;
        if sent.base >= start {
            let found = log.offset_for_timestamp(time, i64::MAX).unwrap().map(|found| found.offset);
            assert_eq!(found, Some(sent.base), "{about}: time {time}");
        }
    }
    known.emptied |= known.cached && !killed && end == start;
    for info in log.producers().into_iter().filter(|_| !known.emptied) {
        let sent = known.sent.iter().map(|sent| BatchHeader::parse(&sent.bytes).unwrap());
        let last = sent.rev().find(|header| header.producer_id == info.producer_id);
        assert_eq!(Some(info.last_sequence), last.map(|header| header.last_sequence()), "{about}: {info:?}");
    }
}

#[test]
fn random_work_agrees_with_a_model_whatever_call_the_crash_hits() {
    for seed in seeds(SEEDS) {
        let (mut story, mut disk) = (Story::new(seed), fresh());
        for _ in 0..GENERATIONS {
            if story.random.below(8) > 0 {
                disk.crash_at(disk.steps() + 1 + story.random.below(400));
            }
            story.work(&disk);
            let killed = story.random.below(2) == 0;
            disk = if killed { disk.process_killed() } else { disk.power_cut(story.random.u64()) };
            story.check(&disk, killed);
        }
    }
}
