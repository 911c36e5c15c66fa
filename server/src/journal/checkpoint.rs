//! The checkpoint: what a start needs beside the journal's tail. Two files take turns, so that one is always whole.
//!
//! It repeats the newest vote, purge point, epoch and replica list and each log's end, because the journal files that
//! held them are reused. Not here: deciding what is in it.

use std::{
    io::IoSlice,
    path::{Path, PathBuf},
};

use super::{
    error::JournalError,
    file::{FORMAT_VERSION, at, check_version},
    record::{Lsn, ReplicaId},
};
use crate::os::{
    checksum,
    disk::{OpenMode, SharedDisk},
};

const MAGIC: [u8; 8] = *b"TIDECKPT";
const NAMES: [&str; 2] = ["checkpoint-a", "checkpoint-b"];
const HEAD_LEN: usize = 28;

/// Where one log ends: plain data, whose meaning is the log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogEnd {
    /// Base offset of the active segment.
    pub segment_base_offset: i64,
    /// Bytes of it.
    pub position: u64,
    /// The next record's offset.
    pub next_offset: i64,
    /// The next frame's Raft index.
    pub next_index: u64,
    /// Leader epoch of the last frame.
    pub last_leader_epoch: i32,
    /// CRC-32C of the active segment's bytes.
    pub running_crc: u32,
}

/// What a checkpoint keeps of a replica that is a member of a Raft group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberCheckpoint {
    /// What it is called in the group.
    pub node: u64,
    /// The last frame known committed: Raft index, leader epoch, and the offset behind it.
    pub committed: Option<(u64, i32, i64)>,
    /// What it promised may be lost: it must never vote or acknowledge again under this name.
    pub given_up: bool,
    /// Who was a member from which frame on: Raft index, leader epoch, and the frame's own words. Those that may still matter.
    pub memberships: Vec<(u64, i32, Vec<u8>)>,
}

/// One replica's part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaCheckpoint {
    /// Its id.
    pub replica: ReplicaId,
    /// Its topic.
    pub topic_id: [u8; 16],
    /// Its partition.
    pub partition: i32,
    /// Its directory's name.
    pub dir: String,
    /// Its records below this are in the synced segments.
    pub captured: Lsn,
    /// Its entries bypass the journal.
    pub unjournaled: bool,
    /// Its log start offset.
    pub log_start_offset: i64,
    /// Its newest vote: term, node, committed.
    pub vote: Option<(u64, u64, bool)>,
    /// Where its synced segments end.
    pub end: LogEnd,
    /// Offset ranges that cannot be served: first, first good behind.
    pub quarantined: Vec<(i64, i64)>,
    /// Of a member of a group.
    pub member: Option<MemberCheckpoint>,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// Replay starts here.
    pub replay_from: Lsn,
    /// Checksum of the record before `replay_from`; filled in by the journal.
    pub previous: u32,
    /// The newest boot epoch.
    pub boot_epoch: i32,
    /// The id that the next replica gets.
    pub next_replica_id: u64,
    /// Every replica that exists.
    pub replicas: Vec<ReplicaCheckpoint>,
}

/// What the two files hold.
pub(super) struct Found {
    pub newest: Option<(u64, Checkpoint)>,
    /// Files that do not check. Rot: a write that was torn never got the name.
    pub bad: Vec<PathBuf>,
}

/// Reads both files; the newest whole one wins.
pub(super) fn read(disk: &SharedDisk, dir: &Path) -> Result<Found, JournalError> {
    let mut found = Found { newest: None, bad: Vec::new() };
    for name in NAMES {
        let path = dir.join(name);
        if !disk.exists(&path) {
            continue;
        }
        let file = at(&path, disk.open(&path, OpenMode::Read))?;
        let len = at(&path, file.size())?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        at(&path, file.read_exact_at(&mut bytes, 0))?;
        let newest = found.newest.as_ref().map(|(newest, _)| *newest);
        match decode(&bytes, &path)? {
            Some((generation, checkpoint)) if newest.is_none_or(|newest| generation > newest) => {
                found.newest = Some((generation, checkpoint));
            }
            Some(_) => {}
            None => found.bad.push(path),
        }
    }
    Ok(found)
}

/// Writes the file whose turn it is: synced, renamed, its directory synced.
pub(super) fn write(
    disk: &SharedDisk,
    dir: &Path,
    generation: u64,
    checkpoint: &Checkpoint,
) -> Result<(), JournalError> {
    let path = dir.join(NAMES[(generation % 2) as usize]);
    let temporary = dir.join("checkpoint.tmp");
    let file = at(&temporary, disk.open(&temporary, OpenMode::Create))?;
    at(&temporary, file.write_all_at(&[IoSlice::new(&encode(generation, checkpoint))], 0))?;
    at(&temporary, file.sync_data())?;
    at(&path, disk.rename(&temporary, &path))?;
    at(dir, disk.sync_dir(dir))
}

fn encode(generation: u64, checkpoint: &Checkpoint) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&generation.to_le_bytes());
    body.extend_from_slice(&checkpoint.replay_from.0.to_le_bytes());
    body.extend_from_slice(&checkpoint.previous.to_le_bytes());
    body.extend_from_slice(&checkpoint.boot_epoch.to_le_bytes());
    body.extend_from_slice(&checkpoint.next_replica_id.to_le_bytes());
    body.extend_from_slice(&(checkpoint.replicas.len() as u32).to_le_bytes());
    for replica in &checkpoint.replicas {
        encode_replica(&mut body, replica);
    }
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    out.extend_from_slice(&checksum::crc32c(&body).to_le_bytes());
    out.extend_from_slice(&checksum::crc32c(&out).to_le_bytes());
    out.extend_from_slice(&body);
    out
}

fn encode_replica(body: &mut Vec<u8>, replica: &ReplicaCheckpoint) {
    let (term, node, committed) = replica.vote.unwrap_or_default();
    let flags = u8::from(replica.unjournaled) | u8::from(replica.vote.is_some()) << 1 | u8::from(committed) << 2;
    let flags = flags | u8::from(replica.member.is_some()) << 3;
    body.extend_from_slice(&replica.replica.0.to_le_bytes());
    body.extend_from_slice(&replica.topic_id);
    body.extend_from_slice(&replica.partition.to_le_bytes());
    body.push(flags);
    body.extend_from_slice(&replica.captured.0.to_le_bytes());
    body.extend_from_slice(&replica.log_start_offset.to_le_bytes());
    body.extend_from_slice(&term.to_le_bytes());
    body.extend_from_slice(&node.to_le_bytes());
    body.extend_from_slice(&replica.end.segment_base_offset.to_le_bytes());
    body.extend_from_slice(&replica.end.position.to_le_bytes());
    body.extend_from_slice(&replica.end.next_offset.to_le_bytes());
    body.extend_from_slice(&replica.end.next_index.to_le_bytes());
    body.extend_from_slice(&replica.end.last_leader_epoch.to_le_bytes());
    body.extend_from_slice(&replica.end.running_crc.to_le_bytes());
    body.extend_from_slice(&(replica.quarantined.len() as u32).to_le_bytes());
    for (from, to) in &replica.quarantined {
        body.extend_from_slice(&from.to_le_bytes());
        body.extend_from_slice(&to.to_le_bytes());
    }
    body.extend_from_slice(&(replica.dir.len() as u16).to_le_bytes());
    body.extend_from_slice(replica.dir.as_bytes());
    if let Some(member) = &replica.member {
        encode_member(body, member);
    }
}

fn encode_member(body: &mut Vec<u8>, member: &MemberCheckpoint) {
    body.extend_from_slice(&member.node.to_le_bytes());
    body.push(member.given_up.into());
    let (index, epoch, offset) = member.committed.unwrap_or((u64::MAX, 0, 0));
    body.extend_from_slice(&index.to_le_bytes());
    body.extend_from_slice(&epoch.to_le_bytes());
    body.extend_from_slice(&offset.to_le_bytes());
    body.extend_from_slice(&(member.memberships.len() as u32).to_le_bytes());
    for (index, epoch, words) in &member.memberships {
        body.extend_from_slice(&index.to_le_bytes());
        body.extend_from_slice(&epoch.to_le_bytes());
        body.extend_from_slice(&(words.len() as u32).to_le_bytes());
        body.extend_from_slice(words);
    }
}

/// `Ok(None)` for a damaged file.
fn decode(bytes: &[u8], path: &Path) -> Result<Option<(u64, Checkpoint)>, JournalError> {
    let Some((head, body)) = bytes.split_first_chunk::<HEAD_LEN>() else { return Ok(None) };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if head[0..8] != MAGIC || word(24) != checksum::crc32c(&head[..24]) {
        return Ok(None);
    }
    check_version(word(8), path)?;
    let whole = u64::from(word(12)) | u64::from(word(16)) << 32 == body.len() as u64;
    if !whole || word(20) != checksum::crc32c(body) {
        return Ok(None);
    }
    Ok(decode_body(&mut Reader(body)))
}

/// Takes numbers off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }
}

fn decode_body(body: &mut Reader<'_>) -> Option<(u64, Checkpoint)> {
    let generation = body.u64()?;
    let mut checkpoint = Checkpoint {
        replay_from: Lsn(body.u64()?),
        previous: body.u32()?,
        boot_epoch: body.u32()? as i32,
        next_replica_id: body.u64()?,
        replicas: Vec::new(),
    };
    for _ in 0..body.u32()? {
        checkpoint.replicas.push(decode_replica(body)?);
    }
    body.0.is_empty().then_some((generation, checkpoint))
}

fn decode_replica(body: &mut Reader<'_>) -> Option<ReplicaCheckpoint> {
    let replica = ReplicaId(body.u64()?);
    let topic_id = body.take()?;
    let partition = body.u32()? as i32;
    let [flags] = body.take()?;
    let captured = Lsn(body.u64()?);
    let log_start_offset = body.i64()?;
    let vote = (body.u64()?, body.u64()?, flags & 4 != 0);
    let end = LogEnd {
        segment_base_offset: body.i64()?,
        position: body.u64()?,
        next_offset: body.i64()?,
        next_index: body.u64()?,
        last_leader_epoch: body.u32()? as i32,
        running_crc: body.u32()?,
    };
    let mut quarantined = Vec::new();
    for _ in 0..body.u32()? {
        quarantined.push((body.i64()?, body.i64()?));
    }
    let len = body.take().map(u16::from_le_bytes)?;
    let dir = std::str::from_utf8(body.bytes(usize::from(len))?).ok()?.to_owned();
    let member = if flags & 8 != 0 { Some(decode_member(body)?) } else { None };
    let vote = (flags & 2 != 0).then_some(vote);
    let unjournaled = flags & 1 != 0;
    Some(ReplicaCheckpoint {
        replica,
        topic_id,
        partition,
        dir,
        captured,
        unjournaled,
        log_start_offset,
        vote,
        end,
        quarantined,
        member,
    })
}

fn decode_member(body: &mut Reader<'_>) -> Option<MemberCheckpoint> {
    let node = body.u64()?;
    let [given_up] = body.take()?;
    let committed = (body.u64()?, body.u32()? as i32, body.i64()?);
    let mut memberships = Vec::new();
    for _ in 0..body.u32()? {
        let (index, epoch, len) = (body.u64()?, body.u32()? as i32, body.u32()?);
        memberships.push((index, epoch, body.bytes(len as usize)?.to_vec()));
    }
    let committed = (committed.0 != u64::MAX).then_some(committed);
    Some(MemberCheckpoint { node, given_up: given_up != 0, committed, memberships })
}
