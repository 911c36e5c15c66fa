//! A file whose header is neither whole nor zeros: torn by a power cut while it was written, or rotten. Its records tell.
//!
//! A record of a file is synced together with the file's header. So a header that was torn has no synced record behind it,
//! and one with a record written when an earlier record of the file was known synced is rot. Old records of a file that is
//! used again all lie before the place where replay starts. Not here: damage among the records.

use super::{
    error::JournalError,
    file::{FILE_HEADER_LEN, FileHeader, JournalFile, at},
    record::{Header, Lsn, RECORD_HEADER_LEN},
};

/// Bytes read at once.
const WINDOW: usize = 256 * 1024;

/// Where replay starts, and the checksum of the record before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplayStart {
    pub from: Lsn,
    pub previous: u32,
}

/// The header that the file's records at or behind `replay`'s start imply. `None`: it holds none that was ever synced.
///
/// # Errors
/// The disk's.
pub(super) fn header(
    file: &JournalFile,
    salts: [u64; 2],
    replay: ReplayStart,
) -> Result<Option<FileHeader>, JournalError> {
    find_salted(file, salts, |header, _| header.lsn >= replay.from)
}

/// As [`header`], for a file whose records all lie before the start, the last right before it.
pub(super) fn header_before(
    file: &JournalFile,
    salts: [u64; 2],
    replay: ReplayStart,
) -> Result<Option<FileHeader>, JournalError> {
    find_salted(file, salts, |header, salt| {
        let end = header.lsn.0.saturating_add(header.record_len());
        end == replay.from.0 && Header::chain(&header.encode(salt)) == replay.previous
    })
}

fn find_salted(
    file: &JournalFile,
    [one, other]: [u64; 2],
    lives: impl Fn(&Header, u64) -> bool,
) -> Result<Option<FileHeader>, JournalError> {
    match find(file, one, |header| lives(header, one))? {
        None if other != one => find(file, other, |header| lives(header, other)),
        found => Ok(found),
    }
}

fn find(file: &JournalFile, salt: u64, lives: impl Fn(&Header) -> bool) -> Result<Option<FileHeader>, JournalError> {
    let mut window = vec![0; WINDOW.min(file.len as usize)];
    let mut first = None;
    let mut offset = FILE_HEADER_LEN;
    while offset + RECORD_HEADER_LEN as u64 <= file.len {
        let len = WINDOW.min((file.len - offset) as usize);
        at(&file.path, file.file.read_exact_at(&mut window[..len], offset))?;
        for (place, bytes) in (0..).step_by(8).zip(window[..len].windows(RECORD_HEADER_LEN).step_by(8)) {
            let Some(header) = bytes.first_chunk().and_then(|head| Header::decode(head, salt)) else { continue };
            let before = offset + place - FILE_HEADER_LEN;
            let Some(start) = header.lsn.0.checked_sub(before).map(Lsn) else { continue };
            let implied = FileHeader { start, previous: 0, boot_epoch: header.boot_epoch, len: file.len, salt };
            if before == 0 {
                first = Some(FileHeader { previous: header.previous, ..implied });
            }
            if !lives(&header) {
                continue;
            }
            match first {
                Some(first) if first.start == start => return Ok(Some(first)),
                _ if header.synced > start => return Ok(Some(implied)),
                _ => {}
            }
        }
        // the next window takes the places that had no room for a whole header in this one
        offset += (len - RECORD_HEADER_LEN + 8) as u64 / 8 * 8;
    }
    Ok(None)
}
