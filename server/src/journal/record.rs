//! One journal record: what it can say, and its bytes.
//!
//! ```text
//!  0 magic u16   2 kind u8   3 flags u8   4 payload length u32   8 lsn u64   16 synced mark u64   24 replica u64
//! 32 index u64  40 number i64  48 epoch i32  52 previous record's header crc u32  56 payload crc u32
//! 60 crc of the payload's first 61 bytes u32   64 writer's boot epoch u32   68 crc of salt and bytes 0..68 u32
//! ```
//! The salt is a random number of the journal, which its files' headers carry: a payload that somebody has made to look like
//! a record, in the hope that a start searches through it behind a torn tail, does not check.

use std::io::IoSlice;

use bytes::Bytes;

use super::checkpoint::LogEnd;
use crate::os::checksum;

/// Bytes before a payload.
pub(super) const RECORD_HEADER_LEN: usize = 72;
/// The most that one payload may hold; far above any batch.
pub(super) const PAYLOAD_BYTES_MAX: usize = 256 * 1024 * 1024;
const MAGIC: u16 = 0x544a;
/// How much of a frame has a checksum of its own: a batch header.
const FRAME_HEAD: usize = 61;

/// A position in the endless stream of record bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

/// A replica of a partition on this broker. Never used again after the replica is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u64);

/// What a record says, borrowed for writing.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// One frame, at the end of a replica's log, as it lies in the segment.
    Entry {
        /// Whose log.
        replica: ReplicaId,
        /// Raft index of the frame.
        index: u64,
        /// Leader epoch of the frame.
        leader_epoch: i32,
        /// Base offset of the frame.
        base_offset: i64,
        /// The frame's bytes, in parts.
        frame: &'a [IoSlice<'a>],
        /// CRC-32C of the whole frame.
        frame_crc: u32,
        /// It is the first of its segment: replay begins one with it too.
        opens_segment: bool,
    },
    /// A replica's log now ends before this index and offset.
    Truncate {
        /// Whose log.
        replica: ReplicaId,
        /// The first index that is gone.
        next_index: u64,
        /// The first offset that is gone.
        next_offset: i64,
    },
    /// A replica's log now starts at this offset.
    LogStart {
        /// Whose log.
        replica: ReplicaId,
        /// Records below it are gone.
        log_start_offset: i64,
    },
    /// A Raft vote.
    Vote {
        /// Whose vote.
        replica: ReplicaId,
        /// The term voted in.
        term: u64,
        /// Who got it.
        node: u64,
        /// Whether a quorum granted it.
        committed: bool,
    },
    /// A new start of this broker.
    BootEpoch {
        /// One above the last.
        epoch: i32,
        /// Any number. Without it a start that lost its first record would be followed by one whose first record is the same
        /// to the bit, and what the lost process wrote behind it would come back.
        nonce: u64,
    },
    /// A replica exists from here on.
    CreateReplica {
        /// Its id.
        replica: ReplicaId,
        /// Its topic.
        topic_id: [u8; 16],
        /// Its partition.
        partition: i32,
        /// The directory's name.
        dir: &'a str,
    },
    /// A replica is gone; its directory may still be there.
    DeleteReplica {
        /// Its id.
        replica: ReplicaId,
    },
    /// A replica that is a member of a Raft group exists from here on.
    CreateMember {
        /// Its id.
        replica: ReplicaId,
        /// Its topic.
        topic_id: [u8; 16],
        /// Its partition.
        partition: i32,
        /// What it is called in the group.
        node: u64,
        /// The directory's name.
        dir: &'a str,
        /// What its log's first frame says; empty for a log whose first frame comes from a leader.
        membership: &'a [u8],
    },
    /// A replica is a member of a Raft group from here on, or alone again.
    Join {
        /// Whose.
        replica: ReplicaId,
        /// What it is called in the group; `None`: alone.
        node: Option<u64>,
        /// The term that it has voted in, for itself.
        term: u64,
        /// The last frame that it committed alone: Raft index, leader epoch, and the offset behind it.
        committed: Option<(u64, i32, i64)>,
    },
    /// A replica's log now holds nothing and goes on here: all before it is gone.
    Reset {
        /// Whose log.
        replica: ReplicaId,
        /// The next frame's Raft index.
        next_index: u64,
        /// The next record's offset.
        next_offset: i64,
        /// Leader epoch of the frame before.
        leader_epoch: i32,
    },
    /// A replica's log is from here on what lies, synced, in another directory, which then gets the name of the old one.
    Install {
        /// Whose log.
        replica: ReplicaId,
        /// What it holds.
        installed: &'a Installed,
    },
}

/// A log that came from another member of the group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Installed {
    /// Name of the directory that it lies in.
    pub dir: String,
    /// Its log start offset.
    pub log_start_offset: i64,
    /// Where it ends.
    pub end: LogEnd,
    /// Who was a member from which frame on: Raft index, leader epoch, and the frame's own words.
    pub membership: Option<(u64, i32, Vec<u8>)>,
}

impl Installed {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.log_start_offset.to_le_bytes());
        out.extend_from_slice(&self.end.segment_base_offset.to_le_bytes());
        out.extend_from_slice(&self.end.position.to_le_bytes());
        out.extend_from_slice(&self.end.next_offset.to_le_bytes());
        out.extend_from_slice(&self.end.next_index.to_le_bytes());
        out.extend_from_slice(&self.end.last_leader_epoch.to_le_bytes());
        out.extend_from_slice(&self.end.running_crc.to_le_bytes());
        out.extend_from_slice(&(self.dir.len() as u16).to_le_bytes());
        out.extend_from_slice(self.dir.as_bytes());
        if let Some((index, leader_epoch, words)) = &self.membership {
            out.extend_from_slice(&index.to_le_bytes());
            out.extend_from_slice(&leader_epoch.to_le_bytes());
            out.extend_from_slice(words);
        }
        out
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
            let (head, rest) = bytes.split_first_chunk::<N>()?;
            *bytes = rest;
            Some(*head)
        }
        let bytes = &mut bytes;
        let log_start_offset = i64::from_le_bytes(take(bytes)?);
        let end = LogEnd {
            segment_base_offset: i64::from_le_bytes(take(bytes)?),
            position: u64::from_le_bytes(take(bytes)?),
            next_offset: i64::from_le_bytes(take(bytes)?),
            next_index: u64::from_le_bytes(take(bytes)?),
            last_leader_epoch: i32::from_le_bytes(take(bytes)?),
            running_crc: u32::from_le_bytes(take(bytes)?),
        };
        let dir_len = usize::from(u16::from_le_bytes(take(bytes)?));
        let (dir, rest) = bytes.split_at_checked(dir_len)?;
        *bytes = rest;
        let membership = match bytes.is_empty() {
            true => None,
            false => Some((u64::from_le_bytes(take(bytes)?), i32::from_le_bytes(take(bytes)?), bytes.to_vec())),
        };
        Some(Self { dir: std::str::from_utf8(dir).ok()?.to_owned(), log_start_offset, end, membership })
    }
}

/// What a record says, as replay hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of `Record`")]
pub enum OwnedRecord {
    /// See [`Record::Entry`].
    Entry { replica: ReplicaId, index: u64, leader_epoch: i32, base_offset: i64, frame: Bytes, opens_segment: bool },
    /// See [`Record::Truncate`].
    Truncate { replica: ReplicaId, next_index: u64, next_offset: i64 },
    /// See [`Record::LogStart`].
    LogStart { replica: ReplicaId, log_start_offset: i64 },
    /// See [`Record::Vote`].
    Vote { replica: ReplicaId, term: u64, node: u64, committed: bool },
    /// See [`Record::BootEpoch`].
    BootEpoch { epoch: i32 },
    /// See [`Record::CreateReplica`].
    CreateReplica { replica: ReplicaId, topic_id: [u8; 16], partition: i32, dir: String },
    /// See [`Record::DeleteReplica`].
    DeleteReplica { replica: ReplicaId },
    /// See [`Record::CreateMember`].
    CreateMember { replica: ReplicaId, topic_id: [u8; 16], partition: i32, node: u64, dir: String, membership: Bytes },
    /// See [`Record::Join`].
    Join { replica: ReplicaId, node: Option<u64>, term: u64, committed: Option<(u64, i32, i64)> },
    /// See [`Record::Install`].
    Install { replica: ReplicaId, installed: Box<Installed> },
    /// See [`Record::Reset`].
    Reset { replica: ReplicaId, next_index: u64, next_offset: i64, leader_epoch: i32 },
}

/// A record header's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: u8,
    pub flags: u8,
    pub payload_len: u32,
    pub lsn: Lsn,
    pub synced: Lsn,
    pub replica: u64,
    pub index: u64,
    pub number: i64,
    pub epoch: i32,
    pub previous: u32,
    pub payload_crc: u32,
    pub frame_head_crc: u32,
    pub boot_epoch: u32,
}

impl Header {
    pub fn encode(&self, salt: u64) -> [u8; RECORD_HEADER_LEN] {
        let mut out = [0; RECORD_HEADER_LEN];
        out[0..2].copy_from_slice(&MAGIC.to_le_bytes());
        out[2] = self.kind;
        out[3] = self.flags;
        out[4..8].copy_from_slice(&self.payload_len.to_le_bytes());
        out[8..16].copy_from_slice(&self.lsn.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.synced.0.to_le_bytes());
        out[24..32].copy_from_slice(&self.replica.to_le_bytes());
        out[32..40].copy_from_slice(&self.index.to_le_bytes());
        out[40..48].copy_from_slice(&self.number.to_le_bytes());
        out[48..52].copy_from_slice(&self.epoch.to_le_bytes());
        out[52..56].copy_from_slice(&self.previous.to_le_bytes());
        out[56..60].copy_from_slice(&self.payload_crc.to_le_bytes());
        out[60..64].copy_from_slice(&self.frame_head_crc.to_le_bytes());
        out[64..68].copy_from_slice(&self.boot_epoch.to_le_bytes());
        let crc = salted_crc(salt, &out);
        out[68..72].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None` for bytes that are no record header of a journal with this salt.
    pub fn decode(bytes: &[u8; RECORD_HEADER_LEN], salt: u64) -> Option<Self> {
        if bytes[0..2] != MAGIC.to_le_bytes() || bytes[68..72] != salted_crc(salt, bytes).to_le_bytes() {
            return None;
        }
        let header = Self {
            kind: bytes[2],
            flags: bytes[3],
            payload_len: u32::from_le_bytes(part(bytes, 4)),
            lsn: Lsn(u64::from_le_bytes(part(bytes, 8))),
            synced: Lsn(u64::from_le_bytes(part(bytes, 16))),
            replica: u64::from_le_bytes(part(bytes, 24)),
            index: u64::from_le_bytes(part(bytes, 32)),
            number: i64::from_le_bytes(part(bytes, 40)),
            epoch: i32::from_le_bytes(part(bytes, 48)),
            previous: u32::from_le_bytes(part(bytes, 52)),
            payload_crc: u32::from_le_bytes(part(bytes, 56)),
            frame_head_crc: u32::from_le_bytes(part(bytes, 60)),
            boot_epoch: u32::from_le_bytes(part(bytes, 64)),
        };
        (header.payload_len as usize <= PAYLOAD_BYTES_MAX).then_some(header)
    }

    /// The value that the next record carries as `previous`.
    pub fn chain(bytes: &[u8; RECORD_HEADER_LEN]) -> u32 {
        u32::from_le_bytes(part(bytes, 68))
    }

    /// Bytes of the whole record in the stream.
    pub fn record_len(&self) -> u64 {
        record_len(self.payload_len as usize)
    }

    /// Where a replica's log starts from here on, for a record that says so.
    pub fn log_start(&self) -> Option<(ReplicaId, i64)> {
        (self.kind == KIND_LOG_START).then_some((ReplicaId(self.replica), self.number))
    }

    /// The replica whose log is another from here on, for a record that says so.
    pub fn install(&self) -> Option<ReplicaId> {
        (self.kind == KIND_INSTALL).then_some(ReplicaId(self.replica))
    }

    /// The replica whose log lost its end here, for a record that says so.
    pub fn truncate(&self) -> Option<ReplicaId> {
        (self.kind == KIND_TRUNCATE).then_some(ReplicaId(self.replica))
    }

    /// The replica it is about, for kinds that are about one.
    pub fn about(&self) -> Option<ReplicaId> {
        (self.kind != KIND_BOOT_EPOCH).then_some(ReplicaId(self.replica))
    }
}

fn salted_crc(salt: u64, header: &[u8; RECORD_HEADER_LEN]) -> u32 {
    checksum::append(checksum::crc32c(&salt.to_le_bytes()), &header[..68])
}

/// Bytes that a record with such a payload takes.
pub(super) fn record_len(payload_len: usize) -> u64 {
    ((RECORD_HEADER_LEN + payload_len) as u64).next_multiple_of(8)
}

fn part<const N: usize>(bytes: &[u8; RECORD_HEADER_LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

const KIND_ENTRY: u8 = 1;
const KIND_TRUNCATE: u8 = 2;
const KIND_LOG_START: u8 = 3;
const KIND_VOTE: u8 = 4;
const KIND_BOOT_EPOCH: u8 = 5;
const KIND_CREATE_REPLICA: u8 = 6;
const KIND_DELETE_REPLICA: u8 = 7;
const KIND_CREATE_MEMBER: u8 = 8;
const KIND_JOIN: u8 = 9;
const KIND_RESET: u8 = 10;
const KIND_INSTALL: u8 = 11;
/// The newest kind that this program knows.
pub(super) const KIND_MAX: u8 = KIND_INSTALL;
/// Of an entry: its frame is the first of its segment.
const FLAG_OPENS_SEGMENT: u8 = 1;

/// A header without the fields that only the writer knows, and the payload behind it.
pub(super) struct Parts<'a> {
    pub header: Header,
    pub small: Vec<u8>,
    pub frame: &'a [IoSlice<'a>],
}

impl<'a> Record<'a> {
    pub(super) fn parts(&self) -> Parts<'a> {
        let plain = |kind, replica: ReplicaId, index, number, epoch| Header {
            kind,
            flags: 0,
            payload_len: 0,
            lsn: Lsn(0),
            synced: Lsn(0),
            replica: replica.0,
            index,
            number,
            epoch,
            previous: 0,
            payload_crc: 0,
            frame_head_crc: 0,
            boot_epoch: 0,
        };
        let mut small = Vec::new();
        let mut frame_parts: &[IoSlice<'_>] = &[];
        let header = match *self {
            Self::Entry { replica, index, leader_epoch, base_offset, frame, frame_crc, opens_segment } => {
                frame_parts = frame;
                let len: usize = frame.iter().map(|part| part.len()).sum();
                let flags = if opens_segment { FLAG_OPENS_SEGMENT } else { 0 };
                let header = Header { flags, ..plain(KIND_ENTRY, replica, index, base_offset, leader_epoch) };
                Header { payload_len: len as u32, payload_crc: frame_crc, frame_head_crc: head_crc(frame), ..header }
            }
            Self::Truncate { replica, next_index, next_offset } => {
                plain(KIND_TRUNCATE, replica, next_index, next_offset, 0)
            }
            Self::LogStart { replica, log_start_offset } => plain(KIND_LOG_START, replica, 0, log_start_offset, 0),
            Self::Vote { replica, term, node, committed } => {
                plain(KIND_VOTE, replica, term, node as i64, i32::from(committed))
            }
            Self::BootEpoch { epoch, nonce } => plain(KIND_BOOT_EPOCH, ReplicaId(0), nonce, 0, epoch),
            Self::CreateReplica { replica, topic_id, partition, dir } => {
                small.extend_from_slice(&topic_id);
                small.extend_from_slice(dir.as_bytes());
                plain(KIND_CREATE_REPLICA, replica, 0, i64::from(partition), 0)
            }
            Self::DeleteReplica { replica } => plain(KIND_DELETE_REPLICA, replica, 0, 0, 0),
            Self::CreateMember { replica, topic_id, partition, node, dir, membership } => {
                small.extend_from_slice(&topic_id);
                small.extend_from_slice(&(dir.len() as u16).to_le_bytes());
                small.extend_from_slice(dir.as_bytes());
                small.extend_from_slice(membership);
                plain(KIND_CREATE_MEMBER, replica, node, i64::from(partition), 0)
            }
            Self::Join { replica, node, term, committed } => {
                if let Some((index, leader_epoch, offset)) = committed {
                    small.extend_from_slice(&index.to_le_bytes());
                    small.extend_from_slice(&leader_epoch.to_le_bytes());
                    small.extend_from_slice(&offset.to_le_bytes());
                }
                plain(KIND_JOIN, replica, node.unwrap_or(0), term as i64, i32::from(node.is_some()))
            }
            Self::Reset { replica, next_index, next_offset, leader_epoch } => {
                plain(KIND_RESET, replica, next_index, next_offset, leader_epoch)
            }
            Self::Install { replica, installed } => {
                small = installed.encode();
                plain(KIND_INSTALL, replica, 0, 0, 0)
            }
        };
        let header = if small.is_empty() {
            header
        } else {
            Header { payload_len: small.len() as u32, payload_crc: checksum::crc32c(&small), ..header }
        };
        Parts { header, small, frame: frame_parts }
    }
}

fn head_crc(frame: &[IoSlice<'_>]) -> u32 {
    let mut left = FRAME_HEAD;
    frame.iter().fold(0, |crc, part| {
        let take = part.len().min(left);
        left -= take;
        checksum::append(crc, &part[..take])
    })
}

impl OwnedRecord {
    /// From a header and a payload whose checksums held. `None` for a kind this program does not know or a payload that does
    /// not fit the kind.
    pub(super) fn read(header: &Header, payload: &[u8]) -> Option<Self> {
        let replica = ReplicaId(header.replica);
        Some(match header.kind {
            KIND_ENTRY => Self::Entry {
                replica,
                index: header.index,
                leader_epoch: header.epoch,
                base_offset: header.number,
                frame: Bytes::copy_from_slice(payload),
                opens_segment: header.flags & FLAG_OPENS_SEGMENT != 0,
            },
            KIND_TRUNCATE => Self::Truncate { replica, next_index: header.index, next_offset: header.number },
            KIND_LOG_START => Self::LogStart { replica, log_start_offset: header.number },
            KIND_VOTE => {
                Self::Vote { replica, term: header.index, node: header.number as u64, committed: header.epoch != 0 }
            }
            KIND_BOOT_EPOCH => Self::BootEpoch { epoch: header.epoch },
            KIND_CREATE_REPLICA => {
                let (topic_id, dir) = payload.split_first_chunk::<16>()?;
                let dir = std::str::from_utf8(dir).ok()?.to_owned();
                Self::CreateReplica { replica, topic_id: *topic_id, partition: i32::try_from(header.number).ok()?, dir }
            }
            KIND_DELETE_REPLICA => Self::DeleteReplica { replica },
            KIND_CREATE_MEMBER => {
                let (topic_id, rest) = payload.split_first_chunk::<16>()?;
                let (dir_len, rest) = rest.split_first_chunk::<2>()?;
                let (dir, membership) = rest.split_at_checked(usize::from(u16::from_le_bytes(*dir_len)))?;
                Self::CreateMember {
                    replica,
                    topic_id: *topic_id,
                    partition: i32::try_from(header.number).ok()?,
                    node: header.index,
                    dir: std::str::from_utf8(dir).ok()?.to_owned(),
                    membership: Bytes::copy_from_slice(membership),
                }
            }
            KIND_JOIN => {
                let number = |at: usize| payload.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
                let epoch =
                    payload.get(8..).and_then(|rest| rest.first_chunk()).map(|bytes| i32::from_le_bytes(*bytes));
                let committed = number(0).zip(epoch).zip(number(12));
                let committed = committed.map(|((index, leader_epoch), offset)| (index, leader_epoch, offset as i64));
                let node = (header.epoch != 0).then_some(header.index);
                Self::Join { replica, node, term: header.number as u64, committed }
            }
            KIND_RESET => Self::Reset {
                replica,
                next_index: header.index,
                next_offset: header.number,
                leader_epoch: header.epoch,
            },
            KIND_INSTALL => Self::Install { replica, installed: Box::new(Installed::decode(payload)?) },
            _ => return None,
        })
    }
}

/// Reads any bytes as a record: for the fuzz runner. Must never panic.
pub fn fuzz_journal_record(bytes: &[u8]) {
    if let Some((head, rest)) = bytes.split_first_chunk::<RECORD_HEADER_LEN>()
        && let Some(header) = Header::decode(head, 0)
    {
        let payload = rest.get(..header.payload_len as usize).unwrap_or(rest);
        let _ = (OwnedRecord::read(&header, payload), header.record_len(), header.about());
    }
}
