//! A journal file: its name and its 64-byte header. Not here: the records behind the header.

use std::{
    cmp::Ordering,
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use super::{error::JournalError, record::Lsn};
use crate::os::{
    checksum,
    disk::{Disk, OpenMode, SharedDisk, SharedFile},
};

/// Bytes before the first record.
pub(super) const FILE_HEADER_LEN: u64 = 64;
/// The format that is written and read. 1 had neither salt nor members of groups, and was never released.
pub(super) const FORMAT_VERSION: u32 = 2;
const MAGIC: [u8; 8] = *b"TIDEJRNL";
const SUFFIX: &str = ".journal";
/// Of a file that is being made.
const MAKING: &str = ".new";

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// Stream position of its first record.
    pub start: Lsn,
    /// Checksum of the record before its first.
    pub previous: u32,
    /// Of the process that wrote it.
    pub boot_epoch: u32,
    /// Bytes of the file, which never change: with fewer it was cut off.
    pub len: u64,
    /// Of its records' checksums; the same in all files of a journal. It stands there twice: where one is rotten, the other
    /// still reads the records.
    pub salt: u64,
}

/// Refuses a format that this program does not read.
pub(super) fn check_version(found: u32, path: &Path) -> Result<(), JournalError> {
    let (path, known) = (path.to_path_buf(), FORMAT_VERSION);
    match found.cmp(&known) {
        Ordering::Less => Err(JournalError::OlderVersion { path, found, known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(JournalError::NewerVersion { path, found, known }),
    }
}

impl FileHeader {
    pub fn encode(&self) -> [u8; FILE_HEADER_LEN as usize] {
        let mut out = [0; FILE_HEADER_LEN as usize];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.start.0.to_le_bytes());
        out[24..28].copy_from_slice(&self.previous.to_le_bytes());
        out[28..32].copy_from_slice(&self.boot_epoch.to_le_bytes());
        out[32..40].copy_from_slice(&self.len.to_le_bytes());
        out[40..48].copy_from_slice(&self.salt.to_le_bytes());
        out[48..56].copy_from_slice(&self.salt.to_le_bytes());
        let crc = checksum::crc32c(&out[..60]);
        out[60..64].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `Ok(None)`: no whole header.
    pub fn decode(bytes: &[u8; FILE_HEADER_LEN as usize], path: &Path) -> Result<Option<Self>, JournalError> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[0..8] != MAGIC || word(60) != checksum::crc32c(&bytes[..60]) {
            return Ok(None);
        }
        check_version(word(8), path)?;
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let (start, salt) = (Lsn(long(16)), long(40));
        Ok(Some(Self { start, previous: word(24), boot_epoch: word(28), len: long(32), salt }))
    }

    /// The salts that a header may have had that is torn or rotten.
    pub fn likely_salts(bytes: &[u8; FILE_HEADER_LEN as usize]) -> [u64; 2] {
        [40, 48].map(|at| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i])))
    }
}

/// One file on disk.
#[derive(Debug, Clone)]
pub(super) struct JournalFile {
    pub sequence: u64,
    pub path: PathBuf,
    pub file: SharedFile,
    pub len: u64,
}

/// The path of the file with this sequence.
pub(super) fn path_of(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:020}{SUFFIX}"))
}

/// The path of that file while it is made.
pub(super) fn making_of(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:020}{MAKING}"))
}

/// Whether a file of this name was being made when the process ended.
pub(super) fn is_making(name: &str) -> bool {
    name.ends_with(MAKING)
}

/// The sequence in a file's name.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// Attaches the path to a disk's error.
pub(super) fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, JournalError> {
    result.map_err(|cause| JournalError::Io { path: path.to_path_buf(), cause })
}

impl JournalFile {
    /// Makes a file of `len` zeros, synced, its name too. It has another name until it is whole: a file under a journal's name
    /// that is shorter than its header lost its end.
    pub fn create(disk: &SharedDisk, dir: &Path, sequence: u64, len: u64) -> Result<Self, JournalError> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let (path, making) = (path_of(dir, sequence), making_of(dir, sequence));
        let file = at(&making, disk.open(&making, OpenMode::Create))?;
        let mut offset = 0;
        while offset < len {
            let piece = ZEROS.len().min((len - offset) as usize);
            at(&making, file.write_all_at(&[IoSlice::new(&ZEROS[..piece])], offset))?;
            offset += piece as u64;
        }
        at(&making, file.sync_data())?;
        at(&path, disk.rename(&making, &path))?;
        at(dir, disk.sync_dir(dir))?;
        Ok(Self { sequence, path, file, len })
    }

    /// Opens an existing file.
    pub fn open(disk: &dyn Disk, dir: &Path, sequence: u64) -> Result<Self, JournalError> {
        let path = path_of(dir, sequence);
        let file = at(&path, disk.open(&path, OpenMode::ReadWrite))?;
        let len = at(&path, file.size())?;
        Ok(Self { sequence, path, file, len })
    }

    /// Reads its header. What it is without one, [`salvage`](super::salvage) finds out.
    ///
    /// # Errors
    /// The disk's; or a file that is cut off inside its header, of which nothing can be told.
    pub fn header(&self) -> Result<FoundHeader, JournalError> {
        let mut bytes = [0; FILE_HEADER_LEN as usize];
        if self.len < FILE_HEADER_LEN {
            return Err(JournalError::CutOff { path: self.path.clone(), len: self.len });
        }
        at(&self.path, self.file.read_exact_at(&mut bytes, 0))?;
        if bytes == [0; FILE_HEADER_LEN as usize] {
            return Ok(FoundHeader::Unused);
        }
        let bad = FoundHeader::Bad(FileHeader::likely_salts(&bytes));
        Ok(FileHeader::decode(&bytes, &self.path)?.map_or(bad, FoundHeader::Whole))
    }
}

/// What stands where a header belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundHeader {
    Whole(FileHeader),
    /// Zeros: prepared, and no record in it was ever synced.
    Unused,
    /// Torn while it was written, or rotten; with the salts that it may have had.
    Bad([u64; 2]),
}
