//! One rotten byte, or one file cut short, anywhere in the data directory after random work and a clean or a killed end.
//!
//! What must hold: the start refuses and names the place; or every batch is there, or its offsets are known as damaged, or its
//! replica refuses. Only what the journal wrote behind its last provable sync may look like a torn tail. Nothing else is lost
//! without a word, and nothing is read that was not sent. Not here: write caching, whose unsynced tail nothing vouches for.

use std::path::PathBuf;

use super::*;
use crate::log::Log;

const SEEDS: u64 = 1000;

/// One replica: its batches by base offset, and how many of them no rot may take without a word.
#[derive(Default)]
struct Known {
    sent: Vec<(i64, Vec<u8>)>,
    end: i64,
    start: i64,
    synced: usize,
    /// Synced, and the journal says so in a later record, or a checkpoint holds them.
    provable: usize,
    /// As above, of the replica itself.
    made_synced: bool,
    made_provable: bool,
}

struct Story {
    random: Random,
    known: Vec<(ReplicaKey, Known)>,
}

impl Story {
    fn work(&mut self, storage: &Arc<Storage>) {
        for _ in 0..20 + self.random.below(100) {
            let any = self.random.below(3) as usize;
            match self.random.below(20) {
                _ if any >= self.known.len() => self.make(storage),
                0 => {
                    storage.checkpoint().unwrap();
                    self.synced();
                    self.wrote();
                }
                1..=3 => {
                    storage.sync().unwrap();
                    self.synced();
                }
                4 => {
                    let (key, known) = &mut self.known[any];
                    known.start = known.start.max(self.random.below(known.end as u64 + 1) as i64);
                    let (replica, start) = (replica_of(storage, *key).unwrap(), known.start);
                    self.wrote();
                    replica.move_log_start(start).unwrap();
                    storage.sync().unwrap();
                    self.synced();
                    replica.delete_old_segments().unwrap();
                }
                _ => self.append(storage, any),
            }
        }
    }

    fn make(&mut self, storage: &Arc<Storage>) {
        let number = self.known.len();
        let key = (Uuid::from_u128(number as u128 + 1), 0);
        self.wrote();
        storage.create_replica(key, &format!("t{number}-0"), log_config(), ReplicaKind::Solo).unwrap();
        self.known.push((key, Known::default()));
    }

    fn append(&mut self, storage: &Arc<Storage>, place: usize) {
        self.wrote();
        let (key, known) = &mut self.known[place];
        let mut builder = BatchBuilder::new();
        let count = 1 + self.random.below(3) as i64;
        for i in 0..count {
            let value = vec![self.random.u64() as u8; self.random.below(300) as usize];
            builder.append_plain(known.end + i, None, Some(&value));
        }
        let bytes = builder.build().unwrap().to_vec();
        replica_of(storage, *key).unwrap().append(&bytes, &batch::verify(&bytes).unwrap(), 0).unwrap();
        known.sent.push((known.end, bytes));
        known.end += count;
    }

    fn synced(&mut self) {
        for (_, known) in &mut self.known {
            (known.synced, known.made_synced) = (known.sent.len(), true);
        }
    }

    /// A record in the journal says how far it was synced.
    fn wrote(&mut self) {
        for (_, known) in &mut self.known {
            (known.provable, known.made_provable) = (known.synced, known.made_synced);
        }
    }

    fn check(&self, storage: &Arc<Storage>, in_journal: bool, about: &str) {
        for (key, known) in &self.known {
            let Some(replica) = replica_of(storage, *key) else {
                assert!(in_journal && !known.made_provable, "{about}: replica {key:?} is lost");
                continue;
            };
            let least = if in_journal { known.provable } else { known.sent.len() };
            // a replica that refuses says that it is damaged
            let _ = replica.look(|log| check_log(log, known, least, about));
        }
    }
}

fn replica_of(storage: &Storage, key: ReplicaKey) -> Option<Arc<Replica>> {
    storage.replicas().into_iter().find(|(found, _)| *found == key).map(|(_, replica)| replica)
}

fn check_log(log: &Log, known: &Known, least: usize, about: &str) {
    let end = log.log_end_offset();
    assert!(end <= known.end, "{about}: end {end}, {} were sent", known.end);
    let least_end = known.sent.get(least).map_or(known.end, |(base, _)| *base);
    assert!(end >= least_end, "{about}: end {end}, not {least_end}");
    assert!(log.log_start_offset() <= known.start, "{about}: start {}", log.log_start_offset());
    for (base, sent) in known.sent.iter().filter(|(base, _)| *base >= known.start && *base < end) {
        let read = match log.read(*base, 1, true, i64::MAX) {
            Ok(read) => read,
            Err(ReadError::Damaged { .. }) => continue,
            Err(error) => panic!("{about} offset {base}: {error}"),
        };
        let mut bytes = Vec::new();
        for slice in &read.slices {
            let mut piece = vec![0; slice.len];
            slice.file.read_exact_at(&mut piece, slice.position).unwrap();
            bytes.extend(piece);
        }
        // the checksum in the batch is the client's to check, as with Kafka; what it does not cover must be right
        let header = match batch::verify(&bytes) {
            Ok(header) => header,
            Err(_) if about.ends_with(".log") => continue,
            Err(error) => panic!("{about} offset {base}: {error}"),
        };
        assert_eq!((header.base_offset, &bytes[16..]), (*base, &sent[16..]), "{about}");
    }
}

/// Every file of the data directory that this is about.
fn files(disk: &SimDisk, dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in disk.read_dir(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            found.extend(files(disk, &path));
        } else if dir != Path::new(DIR) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Spoils one file; `None` where there was nothing to spoil.
fn spoil(disk: &SimDisk, random: &Random) -> Option<(PathBuf, String)> {
    let mut files = files(disk, Path::new(DIR));
    if random.below(2) == 0 {
        files.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
    }
    let victim = files.get(random.below(files.len() as u64) as usize)?.clone();
    let file = disk.open(&victim, OpenMode::ReadWrite).unwrap();
    let len = file.size().unwrap();
    if len == 0 {
        return None;
    }
    // now and then all of it goes
    let place = random.below(len) * random.below(8).min(1);
    if random.below(2) > 0 {
        disk.corrupt(&victim, place as usize, 1 << random.below(8));
        return Some((victim.clone(), format!("byte {place} of {}", victim.display())));
    }
    file.set_len(place).unwrap();
    Some((victim.clone(), format!("{place} of {len} bytes left in {}", victim.display())))
}

#[test]
fn rot_anywhere_is_mended_or_told() {
    let mut refused = 0;
    for seed in seeds(SEEDS) {
        let disk = fresh();
        let mut story = Story { random: Random::seeded(seed), known: Vec::new() };
        let storage = open(&disk).unwrap();
        story.work(&storage);
        if story.random.below(2) == 0 {
            storage.close().unwrap();
            story.synced();
            story.wrote();
        }
        let disk = disk.process_killed();
        let Some((victim, what)) = spoil(&disk, &story.random) else { continue };
        let in_journal = victim.starts_with(Path::new(DIR).join("journal"));
        for start in 0..2 {
            let about = format!("seed {seed} start {start}: {what}");
            match open(&disk) {
                Ok(storage) => story.check(&storage, in_journal, &about),
                Err(error) => {
                    let named = victim.parent().unwrap().display().to_string();
                    assert!(error.to_string().contains(&named), "{about}: {error}");
                    refused += 1;
                }
            }
        }
    }
    let stories = seeds(SEEDS).count();
    assert!(refused < stories / 5, "{refused} of {stories} stories had refused starts");
}
