//! Walks the records of the files in order, and tells damage from a torn tail.

use super::{
    error::JournalError,
    file::{FILE_HEADER_LEN, FileHeader, JournalFile, at},
    record::{Header, Lsn, RECORD_HEADER_LEN, ReplicaId},
};
use crate::os::checksum;

/// Bytes read ahead at once.
const WINDOW: usize = 256 * 1024;

/// A stretch of the stream that was once synced and can no longer be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// First bad byte.
    pub from: Lsn,
    /// First good byte behind it.
    pub to: Lsn,
    /// The replica and Raft index that the bad record names, where its header is whole.
    pub entry: Option<(ReplicaId, u64)>,
    /// Where the stretch is one record and its header is whole: the replica that alone has lost something.
    pub only: Option<ReplicaId>,
}

impl Damage {
    /// A stretch whose first record has this header, if that is whole.
    pub(super) fn of(from: Lsn, to: Lsn, named: Option<&Header>) -> Self {
        let about = named.and_then(|header| Some((header.about()?, header)));
        let entry = about.map(|(replica, header)| (replica, header.index));
        let only = about.filter(|(_, header)| from.0 + header.record_len() == to.0).map(|(replica, _)| replica);
        Self { from, to, entry, only }
    }
}

/// One file of the stream with what its header says.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub file: JournalFile,
    pub header: FileHeader,
    /// The header is what the records imply: the one on the disk is torn or rotten.
    pub salvaged: bool,
}

impl Part {
    /// The file lost its end.
    pub fn cut_off(&self) -> bool {
        self.file.len < self.header.len
    }
}

/// A good record: its header; the payload is in the scanner.
pub(super) struct Good {
    pub header: Header,
    pub end: Lsn,
}

/// Reads records one by one.
pub(super) struct Scanner<'a> {
    parts: &'a [Part],
    part: usize,
    at: Lsn,
    /// Checksum that the next record must carry; none right behind damage.
    chain: Option<u32>,
    boot_epoch: u32,
    window: Vec<u8>,
    window_at: u64,
    payload: Vec<u8>,
    /// Damage with nothing good behind it.
    at_end: Option<Damage>,
}

impl<'a> Scanner<'a> {
    /// Starts at `from`, which lies in one of `parts` or at the end of the last.
    pub fn new(parts: &'a [Part], from: Lsn, previous: u32) -> Self {
        let part = parts.iter().rposition(|part| part.header.start <= from).unwrap_or(0);
        Self {
            parts,
            part,
            at: from,
            chain: Some(previous),
            boot_epoch: 0,
            window: Vec::new(),
            window_at: 0,
            payload: Vec::new(),
            at_end: None,
        }
    }

    /// Where the next record would stand, and the checksum it would carry.
    pub fn position(&self) -> (Lsn, u32) {
        (self.at, self.chain.unwrap_or(0))
    }

    /// Damage that the stream ends with.
    pub fn damage_at_end(&self) -> Option<Damage> {
        self.at_end
    }

    /// The part that holds the position.
    pub fn part(&self) -> usize {
        self.part
    }

    /// The payload of the record returned last.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The next good record, and the damage skipped to reach it. `None` at the end of the stream.
    pub fn next(&mut self) -> Result<Option<(Good, Option<Damage>)>, JournalError> {
        if let Some(good) = self.try_record()? {
            return Ok(Some((good, None)));
        }
        // more than one where a file was cut off right behind its header
        while self.enter_next_part(|header, at| header.start == at) {
            if let Some(good) = self.try_record()? {
                return Ok(Some((good, None)));
            }
        }
        let from = self.at;
        let named = self.header_at(from)?.filter(|header| Some(header.previous) == self.chain);
        if !self.find_synced_beyond(from)? {
            self.at = from;
            return Ok(None);
        }
        let damage = Damage::of(from, self.at, named.as_ref());
        self.chain = None;
        match self.try_record()? {
            Some(good) => Ok(Some((good, Some(damage)))),
            // its header was whole and its payload is not: go on behind it, as one stretch of damage
            None => match self.next()? {
                Some((good, more)) => {
                    let to = more.map_or(good.header.lsn, |more| more.to);
                    Ok(Some((good, Some(Damage::of(from, to, named.as_ref())))))
                }
                None => {
                    self.at_end = Some(damage);
                    Ok(None)
                }
            },
        }
    }

    fn enter_next_part(&mut self, fits: impl Fn(&FileHeader, Lsn) -> bool) -> bool {
        match self.parts.get(self.part + 1) {
            Some(next) if fits(&next.header, self.at) && next.header.boot_epoch >= self.boot_epoch => {
                self.part += 1;
                self.window.clear();
                true
            }
            _ => false,
        }
    }

    fn try_record(&mut self) -> Result<Option<Good>, JournalError> {
        let (Some(header), Some(part)) = (self.header_at(self.at)?, self.parts.get(self.part)) else { return Ok(None) };
        if self.chain.is_some_and(|chain| chain != header.previous) || header.boot_epoch < self.boot_epoch {
            return Ok(None);
        }
        let end = Lsn(self.at.0 + header.record_len());
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(header.payload_len as usize, 0);
        let position = self.file_offset(self.at) + RECORD_HEADER_LEN as u64;
        let whole = self.read(&mut payload, position)?;
        let good = whole && checksum::crc32c(&payload) == header.payload_crc;
        self.payload = payload;
        if !good {
            return Ok(None);
        }
        self.chain = Some(Header::chain(&header.encode(part.header.salt)));
        self.boot_epoch = header.boot_epoch;
        self.at = end;
        Ok(Some(Good { header, end }))
    }

    /// The header at a position, if its checksum holds and it knows that position.
    fn header_at(&mut self, at: Lsn) -> Result<Option<Header>, JournalError> {
        let mut bytes = [0; RECORD_HEADER_LEN];
        let offset = self.file_offset(at);
        let Some(part) = self.parts.get(self.part) else { return Ok(None) };
        if !self.read(&mut bytes, offset)? {
            return Ok(None);
        }
        Ok(Header::decode(&bytes, part.header.salt).filter(|header| header.lsn == at))
    }

    /// Looks behind `from` for a record that was written when `from` was known synced, and stops there.
    fn find_synced_beyond(&mut self, from: Lsn) -> Result<bool, JournalError> {
        let mut at = Lsn(from.0 + 8);
        let here = self.part;
        loop {
            let len = self.parts.get(self.part).map_or(0, |part| part.file.len);
            while self.file_offset(at).saturating_add(RECORD_HEADER_LEN as u64) <= len {
                if let Some(header) = self.header_at(at)?
                    && header.synced > from
                    && header.boot_epoch >= self.boot_epoch
                {
                    self.at = at;
                    return Ok(true);
                }
                at.0 += 8;
            }
            self.at = from;
            if !self.enter_next_part(|header, at| header.start > at) {
                self.part = here;
                self.window.clear();
                return Ok(false);
            }
            at = self.parts[self.part].header.start;
        }
    }

    fn file_offset(&self, at: Lsn) -> u64 {
        self.parts.get(self.part).map_or(u64::MAX, |part| FILE_HEADER_LEN + at.0.saturating_sub(part.header.start.0))
    }

    /// Fills `out` from the current file; false where the file ends first.
    fn read(&mut self, out: &mut [u8], offset: u64) -> Result<bool, JournalError> {
        let Some(part) = self.parts.get(self.part) else { return Ok(false) };
        let end = offset.saturating_add(out.len() as u64);
        if end > part.file.len {
            return Ok(false);
        }
        if out.len() > WINDOW {
            at(&part.file.path, part.file.file.read_exact_at(out, offset))?;
            return Ok(true);
        }
        if offset < self.window_at || end > self.window_at + self.window.len() as u64 {
            self.window.resize(WINDOW.min((part.file.len - offset) as usize), 0);
            self.window_at = offset;
            at(&part.file.path, part.file.file.read_exact_at(&mut self.window, offset))?;
        }
        let start = (offset - self.window_at) as usize;
        out.copy_from_slice(&self.window[start..start + out.len()]);
        Ok(true)
    }
}
