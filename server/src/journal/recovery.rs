//! Opens a journal: finds the newest checkpoint, walks what follows it, and readies the writer to go on behind it.

use std::{
    collections::BTreeMap,
    io::IoSlice,
    path::{Path, PathBuf},
};

use super::{
    checkpoint::{self, Checkpoint},
    error::JournalError,
    file::{FILE_HEADER_LEN, FoundHeader, JournalFile, at, is_making, sequence_of},
    record::{KIND_MAX, Lsn, OwnedRecord, ReplicaId},
    salvage::{self, ReplayStart},
    scan::{Damage, Part, Scanner},
    writer::{Journal, JournalConfig, Start},
};
use crate::os::disk::SharedDisk;

/// A journal that was read and is not written yet.
#[derive(Debug)]
pub struct Recovery {
    disk: SharedDisk,
    dir: PathBuf,
    config: JournalConfig,
    generation: u64,
    checkpoint: Option<Checkpoint>,
    bad_checkpoint: Option<PathBuf>,
    parts: Vec<Part>,
    /// The part that the stream ends in; those behind it hold nothing.
    last_part: usize,
    end: Lsn,
    chain: u32,
    damage: Vec<Damage>,
    log_starts: BTreeMap<ReplicaId, i64>,
    installs: BTreeMap<ReplicaId, Lsn>,
    truncates: BTreeMap<ReplicaId, Lsn>,
    next_sequence: u64,
    unused: Vec<PathBuf>,
}

/// Reads the journal in `dir`, which may not exist yet. Nothing is written but the directory.
///
/// # Errors
/// The disk's, a newer format, two damaged checkpoint files, or a journal that lacks its start.
pub fn recover(disk: &SharedDisk, dir: &Path, config: JournalConfig) -> Result<Recovery, JournalError> {
    at(dir, disk.create_dir_all(dir))?;
    if let Some(above) = dir.parent() {
        at(above, disk.sync_dir(above))?;
    }
    let found = checkpoint::read(disk, dir)?;
    if !found.bad.is_empty() && found.newest.is_none() {
        return Err(JournalError::Checkpoints { path: dir.to_path_buf() });
    }
    let (generation, checkpoint) =
        found.newest.map_or((0, None), |(generation, checkpoint)| (generation, Some(checkpoint)));
    let (from, previous) = checkpoint.as_ref().map_or((Lsn(0), 0), |known| (known.replay_from, known.previous));
    let mut recovery = Recovery {
        disk: disk.clone(),
        dir: dir.to_path_buf(),
        config,
        generation,
        checkpoint,
        bad_checkpoint: found.bad.into_iter().next(),
        parts: Vec::new(),
        last_part: 0,
        end: from,
        chain: previous,
        damage: Vec::new(),
        log_starts: BTreeMap::new(),
        installs: BTreeMap::new(),
        truncates: BTreeMap::new(),
        next_sequence: 1,
        unused: Vec::new(),
    };
    recovery.find_parts(ReplayStart { from, previous })?;
    recovery.walk(from, previous)?;
    Ok(recovery)
}

impl Recovery {
    fn find_parts(&mut self, replay: ReplayStart) -> Result<(), JournalError> {
        let mut any_record = false;
        let mut unknown = Vec::new();
        for entry in at(&self.dir, self.disk.read_dir(&self.dir))? {
            if is_making(&entry.name) {
                self.unused.push(self.dir.join(&entry.name));
            }
            let Some(sequence) = sequence_of(&entry.name) else { continue };
            self.next_sequence = self.next_sequence.max(sequence + 1);
            let file = JournalFile::open(&*self.disk, &self.dir, sequence)?;
            match file.header()? {
                FoundHeader::Whole(header) => {
                    any_record = true;
                    self.parts.push(Part { file, header, salvaged: false });
                }
                FoundHeader::Unused => self.unused.push(file.path),
                FoundHeader::Bad(salts) => match salvage::header(&file, salts, replay)? {
                    Some(header) => self.parts.push(Part { file, header, salvaged: true }),
                    None => unknown.push((file, salts)),
                },
            }
        }
        for (file, salts) in unknown {
            match salvage::header_before(&file, salts, replay)? {
                Some(header) if !self.covers(replay.from) => self.parts.push(Part { file, header, salvaged: true }),
                _ => self.unused.push(file.path),
            }
        }
        if !self.covers(replay.from) && (any_record || replay.from > Lsn(0)) {
            return Err(JournalError::Missing { path: self.dir.clone(), from: replay.from.0 });
        }
        self.parts.sort_by_key(|part| (part.header.start, part.file.sequence));
        Ok(())
    }

    fn covers(&self, from: Lsn) -> bool {
        self.parts.iter().any(|part| part.header.start <= from)
    }

    fn walk(&mut self, from: Lsn, previous: u32) -> Result<(), JournalError> {
        let mut scanner = Scanner::new(&self.parts, from, previous);
        let first_part = scanner.part();
        while let Some((good, damage)) = scanner.next()? {
            self.damage.extend(damage);
            self.log_starts.extend(good.header.log_start());
            self.installs.extend(good.header.install().map(|replica| (replica, good.end)));
            self.truncates.extend(good.header.truncate().map(|replica| (replica, good.end)));
        }
        self.damage.extend(scanner.damage_at_end());
        (self.end, self.chain) = scanner.position();
        self.last_part = scanner.part();
        // the writer never goes on in one of them: what was lost is told until a checkpoint no longer needs it
        for part in self.parts.iter().skip(first_part).filter(|part| part.cut_off()) {
            let bytes_behind_header = |len: u64| len.saturating_sub(FILE_HEADER_LEN);
            let from = Lsn(part.header.start.0.saturating_add(bytes_behind_header(part.file.len)));
            let to = Lsn(part.header.start.0.saturating_add(bytes_behind_header(part.header.len)));
            tracing::error!(path = %part.file.path.display(), len = part.file.len, was = part.header.len, "journal file is cut off");
            self.damage.push(Damage::of(from, to, None));
        }
        self.damage.sort_by_key(|damage| damage.from);
        Ok(())
    }

    /// What the last checkpoint says; none before the first.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// A checkpoint file that does not check: it may have been the newest.
    pub fn bad_checkpoint(&self) -> Option<&Path> {
        self.bad_checkpoint.as_deref()
    }

    /// Stretches that were synced once and are bad now, in order.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Where replicas' logs start in the end, where replay moves their starts: what lies below may have been deleted already.
    pub fn log_starts(&self) -> &BTreeMap<ReplicaId, i64> {
        &self.log_starts
    }

    /// The position behind the last record that gives a replica another log: what it had before may be gone already.
    pub fn installs(&self) -> &BTreeMap<ReplicaId, Lsn> {
        &self.installs
    }

    /// The position behind the last record that cuts a replica's log.
    pub fn truncates(&self) -> &BTreeMap<ReplicaId, Lsn> {
        &self.truncates
    }

    /// Where the good records end.
    pub fn end(&self) -> Lsn {
        self.end
    }

    /// Hands out every good record from the checkpoint on, in order, each with the position behind it. Records of a kind
    /// that this program does not know end the walk.
    ///
    /// # Errors
    /// The disk's, or `take`'s.
    pub fn replay<E: From<JournalError>>(
        &self,
        mut take: impl FnMut(Lsn, OwnedRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let (from, previous) =
            self.checkpoint.as_ref().map_or((Lsn(0), 0), |known| (known.replay_from, known.previous));
        let mut scanner = Scanner::new(&self.parts, from, previous);
        while let Some((good, _)) = scanner.next()? {
            match OwnedRecord::read(&good.header, scanner.payload()) {
                Some(record) => take(good.end, record)?,
                None => {
                    let found = u32::from(good.header.kind);
                    return Err(
                        JournalError::NewerVersion { path: self.dir.clone(), found, known: KIND_MAX.into() }.into()
                    );
                }
            }
        }
        Ok(())
    }

    /// Makes what was replayed durable, drops what lies behind it, and starts writing there. `nonce` is any random number: a
    /// new journal is salted with it.
    ///
    /// # Errors
    /// The disk's.
    pub fn start(self, boot_epoch: i32, nonce: u64) -> Result<Journal, JournalError> {
        let Self { disk, dir, config, mut parts, mut unused, .. } = self;
        let behind = parts.split_off((self.last_part + 1).min(parts.len()));
        unused.extend(behind.into_iter().map(|part| part.file.path));
        for path in &unused {
            at(path, disk.remove_file(path))?;
        }
        // after kill -9 the page cache can show bytes that the disk lacks
        for part in &parts {
            if part.salvaged {
                let header = part.header.encode();
                at(&part.file.path, part.file.file.write_all_at(&[IoSlice::new(&header)], 0))?;
            }
            at(&part.file.path, part.file.file.sync_data())?;
        }
        at(&dir, disk.sync_dir(&dir))?;
        let position = parts.last().map_or(0, |part| match part.cut_off() {
            true => part.header.len,
            false => FILE_HEADER_LEN + (self.end.0 - part.header.start.0),
        });
        let salt = parts.last().map_or(nonce, |part| part.header.salt);
        let start = Start {
            disk,
            dir,
            config,
            generation: self.generation,
            replay_from: self.checkpoint.as_ref().map_or(Lsn(0), |known| known.replay_from),
            replay_chain: self.checkpoint.as_ref().map_or(0, |known| known.previous),
            parts: parts.into_iter().map(|part| (part.file, part.header.start)).collect(),
            position,
            end: self.end,
            chain: self.chain,
            next_sequence: self.next_sequence,
            boot_epoch: boot_epoch as u32,
            salt,
        };
        Journal::start(start)
    }
}
