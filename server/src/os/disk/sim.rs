//! A disk in memory for tests: it loses what was not synced, tears the last writes, fails on demand, and can lose power
//! at any step. The same seed gives the same damage.
//!
//! Names follow POSIX at its strictest: a file's bytes survive after `sync_data`, its name after `sync_dir` of its
//! directory. Not here: timing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{DirEntry, Disk, DiskLock, File, FileSystem, OpenMode, SharedFile, SharedFileSystem};
use crate::os::random::Random;

/// Unit in which a power cut tears a write.
const SECTOR: usize = 512;

/// The simulated disk; clones share it.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What programs see, and what a power cut leaves.
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    files: Vec<Content>,
    locks: BTreeSet<PathBuf>,
    steps: u64,
    crash_at: Option<u64>,
    failing: Vec<Fault>,
    syncs: u64,
    writes: u64,
    free_bytes: Option<u64>,
    /// Before this disk's power came back for the last time.
    power_cuts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// One planned failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The nth sync of a file from now fails, and the kernel drops the dirty pages.
    Sync(u64),
    /// The nth write from now fails with this raw error number (28 is ENOSPC, 5 is EIO).
    Write(u64, i32),
    /// Reads that touch this byte of this file fail with EIO.
    Read(PathBuf, u64),
    /// Opens of paths that end so fail with this raw error number (24 is EMFILE), until [`SimDisk::mend`].
    Open(&'static str, i32),
}

impl SimDisk {
    /// An empty disk with power.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changing calls so far: creates, writes, syncs, renames, removals.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Power fails in the middle of this step (counted from the first); it and all later calls fail.
    pub fn crash_at(&self, step: u64) {
        self.state().crash_at = Some(step);
    }

    /// Plans a failure.
    pub fn fail(&self, fault: Fault) {
        let mut state = self.state();
        let fault = match fault {
            Fault::Sync(nth) => Fault::Sync(state.syncs + nth),
            Fault::Write(nth, error) => Fault::Write(state.writes + nth, error),
            other @ (Fault::Read(..) | Fault::Open(..)) => other,
        };
        state.failing.push(fault);
    }

    /// Forgets every planned failure.
    pub fn mend(&self) {
        self.state().failing.clear();
    }

    /// Bounds the bytes that can still be written; `None` lifts the bound.
    pub fn limit_free_space(&self, bytes: Option<u64>) {
        self.state().free_bytes = bytes;
    }

    #[allow(clippy::panic, reason = "a test tool: a missing file is a mistake in the test")]
    /// Flips bits of a stored byte, as rot does: programs and the platter both see it.
    ///
    /// # Panics
    /// If there is no such byte: the test would prove nothing.
    pub fn corrupt(&self, path: &Path, offset: usize, mask: u8) {
        let mut state = self.state();
        let Some(Node::File(file)) = state.names.get(path).copied() else { panic!("no file {}", path.display()) };
        let content = &mut state.files[file];
        content.bytes[offset] ^= mask;
        if let Some(byte) = content.durable.get_mut(offset) {
            *byte ^= mask;
        }
    }

    /// The disk after power came back: each unsynced change is kept, lost or torn, as the seed says.
    #[must_use]
    pub fn power_cut(&self, seed: u64) -> Self {
        let random = Random::seeded(seed);
        let state = self.state();
        let mut names = state.durable_names.clone();
        let dirs: BTreeSet<PathBuf> =
            state.names.keys().filter_map(|path| path.parent().map(Path::to_path_buf)).collect();
        for dir in dirs {
            if random.below(2) == 0 {
                settle(&mut names, &state.names, &dir);
            }
        }
        let orphan = |path: &PathBuf, names: &BTreeMap<PathBuf, Node>| {
            path.ancestors().skip(1).any(|above| above.parent().is_some() && names.get(above) != Some(&Node::Dir))
        };
        let known = names.clone();
        names.retain(|path, _| !orphan(path, &known));
        let files: Vec<Content> = state.files.iter().map(|content| content.after_power_cut(&random)).collect();
        let power_cuts = state.power_cuts + 1;
        Self(Arc::new(Mutex::new(State { durable_names: names.clone(), names, files, power_cuts, ..State::default() })))
    }

    /// The disk after kill -9 of the process: the page cache lives on.
    #[must_use]
    pub fn process_killed(&self) -> Self {
        let state = self.state();
        let (names, durable_names, files) = (state.names.clone(), state.durable_names.clone(), state.files.clone());
        let power_cuts = state.power_cuts;
        Self(Arc::new(Mutex::new(State { names, durable_names, files, power_cuts, ..State::default() })))
    }
}

/// Makes the entries directly below `dir` in `names` what they are in `current`.
fn settle(names: &mut BTreeMap<PathBuf, Node>, current: &BTreeMap<PathBuf, Node>, dir: &Path) {
    names.retain(|path, _| path.parent() != Some(dir));
    names.extend(
        current.iter().filter(|(path, _)| path.parent() == Some(dir)).map(|(path, node)| (path.clone(), *node)),
    );
}

impl Content {
    fn after_power_cut(&self, random: &Random) -> Self {
        let mut bytes = self.durable.clone();
        let fate = random.below(4);
        let kept = random.below(self.pending.len() as u64 + 1) as usize;
        for (place, change) in self.pending.iter().enumerate() {
            match fate {
                0 => {}
                1 if place < kept => apply(&mut bytes, change, |_| true),
                1 => {}
                2 => apply(&mut bytes, change, |_| random.below(2) == 0),
                _ => apply(&mut bytes, change, |_| true),
            }
        }
        Self { durable: bytes.clone(), bytes, pending: Vec::new() }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change, keep_sector: impl Fn(usize) -> bool) {
    match change {
        Change::SetLen(len) => bytes.resize(*len, 0),
        Change::Write { offset, bytes: new } => {
            for (place, sector) in new.chunks(SECTOR).enumerate() {
                if keep_sector(place) {
                    let at = offset + place * SECTOR;
                    let end = at + sector.len();
                    if bytes.len() < end {
                        bytes.resize(end, 0);
                    }
                    bytes[at..end].copy_from_slice(sector);
                }
            }
        }
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the simulated disk has no power")
}

impl State {
    /// Counts a changing call. `Ok(true)`: power fails in the middle of it.
    fn step(&mut self) -> io::Result<bool> {
        self.steps += 1;
        match self.crash_at {
            Some(at) if self.steps > at => Err(power_is_off()),
            Some(at) => Ok(self.steps == at),
            None => Ok(false),
        }
    }

    fn powered(&self) -> io::Result<()> {
        if self.crash_at.is_some_and(|at| self.steps >= at) { Err(power_is_off()) } else { Ok(()) }
    }

    /// Whether a descriptor is to be had for a path.
    fn openable(&self, path: &Path) -> io::Result<()> {
        let text = path.to_string_lossy();
        let refusal = self.failing.iter().find_map(|fault| match fault {
            Fault::Open(end, error) if text.ends_with(end) => Some(*error),
            _ => None,
        });
        refusal.map_or(Ok(()), |error| Err(io::Error::from_raw_os_error(error)))
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A change of names: none happens at the step where power fails.
    fn rename_step(&mut self) -> io::Result<()> {
        if self.step()? { Err(power_is_off()) } else { Ok(()) }
    }
}

impl FileSystem for SimDisk {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.rename_step()?;
        state.syncs += 1;
        let fails = state.failing.contains(&Fault::Sync(state.syncs));
        for content in &mut state.files {
            content.pending.clear();
            if !fails {
                content.durable = content.bytes.clone();
            }
        }
        if fails {
            return Err(io::Error::from_raw_os_error(5));
        }
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SharedFile> {
        let mut state = self.state();
        state.powered()?;
        state.openable(path)?;
        let file = match (state.names.get(path).copied(), mode) {
            (Some(Node::File(file)), OpenMode::Read | OpenMode::ReadWrite) => file,
            (Some(Node::Dir), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (None, OpenMode::Read | OpenMode::ReadWrite) => return Err(io::ErrorKind::NotFound.into()),
            (_, OpenMode::Create) => {
                state.rename_step()?;
                if path.parent().is_some_and(|dir| dir.parent().is_some() && state.names.get(dir) != Some(&Node::Dir)) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                state.files.push(Content::default());
                let file = state.files.len() - 1;
                state.names.insert(path.to_path_buf(), Node::File(file));
                file
            }
        };
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_path_buf(), file }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.powered()?;
        for dir in path.ancestors().filter(|dir| dir.parent().is_some()).map(Path::to_path_buf) {
            if let std::collections::btree_map::Entry::Vacant(place) = state.names.entry(dir) {
                place.insert(Node::Dir);
            }
        }
        state.rename_step()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state();
        state.powered()?;
        if state.node(path)? != Node::Dir {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let below = state.names.iter().filter(|(name, _)| name.parent() == Some(path));
        let entry = |(name, node): (&PathBuf, &Node)| DirEntry {
            name: name.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            is_dir: *node == Node::Dir,
            len: if let Node::File(file) = node { state.files[*file].bytes.len() as u64 } else { 0 },
        };
        Ok(below.map(entry).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.node(from)?;
        state.rename_step()?;
        let moved: Vec<PathBuf> = state.names.keys().filter(|name| name.starts_with(from)).cloned().collect();
        for name in moved {
            let rest = name.strip_prefix(from).unwrap_or(Path::new(""));
            let target = if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) };
            if let Some(node) = state.names.remove(&name) {
                // what is durable inside a directory moves with it: the directory is one object
                if let Some(durable) = state.durable_names.get(&name).copied().filter(|_| name != from) {
                    state.durable_names.insert(target.clone(), durable);
                }
                state.names.insert(target, node);
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.node(path)?;
        state.rename_step()?;
        state.names.remove(path);
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.node(path)?;
        state.rename_step()?;
        state.names.retain(|name, _| !name.starts_with(path));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.openable(path)?;
        state.rename_step()?;
        let State { names, durable_names, .. } = &mut *state;
        settle(durable_names, names, path);
        Ok(())
    }

    fn file_system(&self, _path: &Path) -> io::Result<SharedFileSystem> {
        Ok(Arc::new(self.clone()))
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().names.contains_key(path)
    }

    fn free_space(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.state().free_bytes.unwrap_or(1 << 40))
    }

    fn total_space(&self, _path: &Path) -> io::Result<u64> {
        Ok(1 << 40)
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok(self.state().power_cuts.to_string())
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        if !self.state().locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_path_buf() }))
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    file: usize,
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        state.powered()?;
        let touched = |at: u64| (offset..offset + buf.len() as u64).contains(&at);
        if state
            .failing
            .iter()
            .any(|fault| matches!(fault, Fault::Read(path, at) if *path == self.path && touched(*at)))
        {
            return Err(io::Error::from_raw_os_error(5));
        }
        let bytes = state.files[self.file].bytes.get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(buf.len());
        buf[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let crash = state.step()?;
        state.writes += 1;
        let nth = state.writes;
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let planned = state.failing.iter().find_map(|fault| match fault {
            Fault::Write(at, error) if *at == nth => Some(*error),
            _ => None,
        });
        if let Some(error) = planned {
            return Err(io::Error::from_raw_os_error(error));
        }
        if let Some(free) = state.free_bytes {
            let grown = (offset + bytes.len() as u64).saturating_sub(state.files[self.file].bytes.len() as u64);
            let Some(left) = free.checked_sub(grown) else {
                return Err(io::Error::from_raw_os_error(28));
            };
            state.free_bytes = Some(left);
        }
        let change = Change::Write { offset: offset as usize, bytes };
        let content = &mut state.files[self.file];
        apply(&mut content.bytes, &change, |_| true);
        content.pending.push(change);
        if crash { Err(power_is_off()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.rename_step()?;
        state.syncs += 1;
        let nth = state.syncs;
        let fails = state.failing.contains(&Fault::Sync(nth));
        let content = &mut state.files[self.file];
        content.pending.clear();
        if fails {
            // as ext4, XFS and Btrfs do: the pages are marked clean, and their content is lost at the next power cut
            return Err(io::Error::from_raw_os_error(5));
        }
        content.durable = content.bytes.clone();
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.powered()?;
        Ok(state.files[self.file].bytes.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.rename_step()?;
        let content = &mut state.files[self.file];
        content.bytes.resize(len as usize, 0);
        content.pending.push(Change::SetLen(len as usize));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(disk: &SimDisk, name: &str, bytes: &[u8], sync: bool) -> SharedFile {
        let file = disk.open(Path::new(name), OpenMode::Create).unwrap();
        file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
        if sync {
            file.sync_data().unwrap();
            disk.sync_dir(Path::new(name).parent().unwrap()).unwrap();
        }
        file
    }

    fn bytes_of(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(name), OpenMode::Read).ok()?;
        let mut bytes = vec![0; file.size().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        Some(bytes)
    }

    #[test]
    fn synced_bytes_survive_and_unsynced_ones_may_not() {
        let mut lost = 0;
        for seed in 0..40 {
            let disk = SimDisk::new();
            let file = put(&disk, "/a", b"kept", true);
            file.write_all_at(&[IoSlice::new(b"more")], 4).unwrap();
            let after = bytes_of(&disk.power_cut(seed), "/a").unwrap();
            assert_eq!(&after[..4], b"kept");
            lost += usize::from(after.len() == 4);
            assert_eq!(bytes_of(&disk.process_killed(), "/a").unwrap(), b"keptmore");
        }
        assert!(lost > 0 && lost < 40);
    }

    #[test]
    fn power_fails_at_the_chosen_step_and_stays_off() {
        let disk = SimDisk::new();
        let file = put(&disk, "/a", b"1", true);
        disk.crash_at(disk.steps() + 1);
        assert!(file.write_all_at(&[IoSlice::new(b"2")], 1).is_err());
        assert!(file.sync_data().is_err() && file.size().is_err());
        assert_eq!(bytes_of(&disk.power_cut(1), "/a").unwrap()[0], b'1');
    }

    #[test]
    fn a_failed_sync_loses_the_pages_though_reads_still_show_them() {
        let disk = SimDisk::new();
        let file = put(&disk, "/a", b"1", true);
        disk.fail(Fault::Sync(1));
        file.write_all_at(&[IoSlice::new(b"2")], 0).unwrap();
        assert!(file.sync_data().is_err());
        assert_eq!(bytes_of(&disk, "/a").unwrap(), b"2");
        assert_eq!(bytes_of(&disk.power_cut(3), "/a").unwrap(), b"1");
    }

    #[test]
    fn planned_errors_come_when_planned() {
        let disk = SimDisk::new();
        let file = put(&disk, "/a", b"1", true);
        disk.fail(Fault::Write(2, 28));
        file.write_all_at(&[IoSlice::new(b"2")], 1).unwrap();
        assert_eq!(file.write_all_at(&[IoSlice::new(b"3")], 2).unwrap_err().raw_os_error(), Some(28));
        disk.limit_free_space(Some(1));
        file.write_all_at(&[IoSlice::new(b"3")], 2).unwrap();
        assert!(file.write_all_at(&[IoSlice::new(b"4")], 3).is_err());
        disk.fail(Fault::Read("/a".into(), 1));
        assert!(file.read_at(&mut [0; 4], 0).is_err());
        assert_eq!(file.read_at(&mut [0; 1], 0).unwrap(), 1);
    }
}
