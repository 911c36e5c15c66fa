//! Requests between the members of a group, and their answers, as bytes. Big endian; every length is held against what is
//! there. Not here: frames on the network, what a request does.
//!
//! ```text
//! request   topic id 16, partition i32, kind u8, to u64, then:
//!   append    vote, log id before, committed log id, count u32, then so many frames as a segment has them: the index of the
//!             first follows the log id before, the term of each is its leader epoch
//!   vote      vote, last log id, whether a leader asked for it u8            pre-vote the same
//!   transfer  vote, to u64, last log id
//!   begin     vote, last log id, members' log id, their words' length u32, words, log start i64, files u16, each: name length u8,
//!             name, length u64
//!   piece     last log id, file u16, offset u64, then the bytes
//!   end       vote, last log id
//! vote      term u64, node u64, committed u8          log id   there u8, term u64, index u64
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use openraft::{
    entry::RaftEntry,
    impls::leader_id_std::LeaderId,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};
use tidemark_record::BatchHeader;
use uuid::Uuid;

use super::{
    super::{node_id::NodeId, storage::ReplicaKey},
    config::{GroupTypes, LogId, StoredMembership, Vote},
    entry::{Entry, Frame, Payload},
    membership,
    snapshot::SnapshotMeta,
    transfer::FILES_MAX,
};

/// Entries that one append may carry; openraft sends fewer.
const ENTRIES_MAX: u32 = 65_536;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Append = 1,
    Vote = 2,
    PreVote = 3,
    Transfer = 4,
    SnapshotBegin = 5,
    SnapshotPiece = 6,
    SnapshotEnd = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Append,
            2 => Self::Vote,
            3 => Self::PreVote,
            4 => Self::Transfer,
            5 => Self::SnapshotBegin,
            6 => Self::SnapshotPiece,
            7 => Self::SnapshotEnd,
            _ => return None,
        })
    }
}

/// Who asks whom, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub key: ReplicaKey,
    pub kind: Kind,
    pub to: NodeId,
}

/// Bytes that are not what they claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed request or answer: {0}")]
pub struct Malformed(pub(super) &'static str);

/// Takes fields off the front.
pub(super) struct Fields(pub Bytes);

impl Fields {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let head = self.0.first_chunk::<N>().copied().ok_or(Malformed("it is too short"))?;
        let _ = self.0.split_to(N);
        Ok(head)
    }
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.take::<1>().map(|[byte]| byte)
    }
    fn u32(&mut self) -> Result<u32, Malformed> {
        self.take().map(u32::from_be_bytes)
    }
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.take().map(u64::from_be_bytes)
    }
    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a flag is neither 0 nor 1")),
        }
    }
    /// A term that can be a leader epoch: any other would end the group that takes it.
    fn term(&mut self) -> Result<u64, Malformed> {
        let term = self.u64()?;
        i32::try_from(term).map(|_| term).map_err(|_| Malformed("a term is above what a leader epoch can be"))
    }
    fn vote(&mut self) -> Result<Vote, Malformed> {
        let leader_id = LeaderId { term: self.term()?, voted_for: NodeId::from(self.u64()?) };
        Ok(Vote { leader_id, committed: self.flag()? })
    }
    fn log_id(&mut self) -> Result<Option<LogId>, Malformed> {
        let (there, term, index) = (self.flag()?, self.term()?, self.u64()?);
        if index == u64::MAX {
            return Err(Malformed("an index is too large"));
        }
        Ok(there.then(|| LogId::new_term_index(term, index)))
    }
    fn bytes(&mut self, len: usize) -> Result<Bytes, Malformed> {
        if len > self.0.len() {
            return Err(Malformed("it is too short"));
        }
        Ok(self.0.split_to(len))
    }
    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("something follows its end")) }
    }
}

fn put_vote(out: &mut BytesMut, vote: &Vote) {
    out.put_u64(vote.leader_id.term);
    out.put_u64(vote.leader_id.voted_for.as_u64());
    out.put_u8(vote.committed.into());
}

fn put_log_id(out: &mut BytesMut, id: Option<&LogId>) {
    out.put_u8(id.is_some().into());
    out.put_u64(id.map_or(0, |id| id.leader_id.term));
    out.put_u64(id.map_or(0, |id| id.index));
}

impl Head {
    fn encode(&self, room: usize) -> BytesMut {
        let mut out = BytesMut::with_capacity(29 + room);
        out.put_slice(self.key.0.as_bytes());
        out.put_i32(self.key.1);
        out.put_u8(self.kind as u8);
        out.put_u64(self.to.as_u64());
        out
    }

    pub fn decode(fields: &mut Fields) -> Result<Self, Malformed> {
        let topic_id = Uuid::from_bytes(fields.take()?);
        let partition = i32::from_be_bytes(fields.take()?);
        let kind = Kind::from_byte(fields.u8()?).ok_or(Malformed("its kind is unknown"))?;
        Ok(Self { key: (topic_id, partition), kind, to: NodeId::from(fields.u64()?) })
    }
}

/// An append; the frames' bytes are passed on as they are.
pub(super) fn append(head: Head, request: AppendEntriesRequest<GroupTypes>) -> Vec<Bytes> {
    let mut out = head.encode(64);
    put_vote(&mut out, &request.vote);
    put_log_id(&mut out, request.prev_log_id.as_ref());
    put_log_id(&mut out, request.leader_commit.as_ref());
    out.put_u32(request.entries.len() as u32);
    let mut parts = Vec::with_capacity(1 + request.entries.len());
    parts.push(out.freeze());
    for entry in request.entries {
        if let Payload::Frame(frame) = entry.payload {
            parts.push(frame.bytes);
        }
    }
    parts
}

/// Reads an append. Every frame is whole and its checksum holds.
pub(super) fn read_append(fields: &mut Fields) -> Result<AppendEntriesRequest<GroupTypes>, Malformed> {
    let (vote, prev_log_id, leader_commit) = (fields.vote()?, fields.log_id()?, fields.log_id()?);
    let count = fields.u32()?;
    if count > ENTRIES_MAX || count as usize > fields.0.len() / tidemark_record::HEADER_LEN {
        return Err(Malformed("it claims more entries than there are bytes"));
    }
    let mut entries = Vec::with_capacity(count as usize);
    let mut index = prev_log_id.map_or(0, |id| id.index + 1);
    let mut last_term = prev_log_id.map_or(0, |id| id.leader_id.term);
    for _ in 0..count {
        let header = BatchHeader::parse(&fields.0).map_err(|_| Malformed("an entry is no frame"))?;
        if header.size_in_bytes() > fields.0.len() {
            return Err(Malformed("a frame is cut off"));
        }
        let frame = fields.0.split_to(header.size_in_bytes());
        tidemark_record::batch::verify(&frame).map_err(|_| Malformed("a frame's checksum does not hold"))?;
        let term = u64::try_from(header.partition_leader_epoch).map_err(|_| Malformed("a frame has no epoch"))?;
        if term < last_term || term > vote.leader_id.term {
            return Err(Malformed("epochs are out of order"));
        }
        last_term = term;
        let id = LogId::new_term_index(term, index);
        entries.push(Entry::new(id, Payload::Frame(Frame::new(&header, frame))));
        index = index.checked_add(1).ok_or(Malformed("an index is too large"))?;
    }
    fields.end()?;
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

pub(super) fn append_answer(answer: &AppendEntriesResponse<GroupTypes>) -> Result<Bytes, Malformed> {
    let mut out = BytesMut::with_capacity(18);
    match answer {
        AppendEntriesResponse::Success => out.put_u8(0),
        AppendEntriesResponse::Conflict => out.put_u8(1),
        AppendEntriesResponse::HigherVote(vote) => {
            out.put_u8(2);
            put_vote(&mut out, vote);
        }
        AppendEntriesResponse::PartialSuccess(_) => return Err(Malformed("an append was taken in part")),
    }
    Ok(out.freeze())
}

pub(super) fn read_append_answer(bytes: Bytes) -> Result<AppendEntriesResponse<GroupTypes>, Malformed> {
    let mut fields = Fields(bytes);
    let answer = match fields.u8()? {
        0 => AppendEntriesResponse::Success,
        1 => AppendEntriesResponse::Conflict,
        2 => AppendEntriesResponse::HigherVote(fields.vote()?),
        _ => return Err(Malformed("its kind is unknown")),
    };
    fields.end()?;
    Ok(answer)
}

pub(super) fn vote(head: Head, request: &VoteRequest<GroupTypes>) -> Vec<Bytes> {
    let mut out = head.encode(48);
    put_vote(&mut out, &request.vote);
    put_log_id(&mut out, request.last_log_id.as_ref());
    out.put_u8(request.leadership_transfer.into());
    vec![out.freeze()]
}

pub(super) fn read_vote(fields: &mut Fields) -> Result<VoteRequest<GroupTypes>, Malformed> {
    let mut request = VoteRequest::new(fields.vote()?, fields.log_id()?);
    request.leadership_transfer = fields.flag()?;
    fields.end()?;
    Ok(request)
}

pub(super) fn vote_answer(answer: &VoteResponse<GroupTypes>) -> Bytes {
    let mut out = BytesMut::with_capacity(40);
    put_vote(&mut out, &answer.vote);
    out.put_u8(answer.vote_granted.into());
    put_log_id(&mut out, answer.last_log_id.as_ref());
    out.freeze()
}

pub(super) fn read_vote_answer(bytes: Bytes) -> Result<VoteResponse<GroupTypes>, Malformed> {
    let mut fields = Fields(bytes);
    let (vote, granted, last) = (fields.vote()?, fields.flag()?, fields.log_id()?);
    fields.end()?;
    Ok(VoteResponse::new(vote, last, granted))
}

pub(super) fn transfer(head: Head, request: &TransferLeaderRequest<GroupTypes>) -> Vec<Bytes> {
    let mut out = head.encode(48);
    put_vote(&mut out, request.from_leader());
    out.put_u64(request.to_node_id().as_u64());
    put_log_id(&mut out, request.last_log_id());
    vec![out.freeze()]
}

pub(super) fn read_transfer(fields: &mut Fields) -> Result<TransferLeaderRequest<GroupTypes>, Malformed> {
    let request = TransferLeaderRequest::new(fields.vote()?, NodeId::from(fields.u64()?), fields.log_id()?);
    fields.end()?;
    Ok(request)
}

pub(super) fn transfer_answer(answer: &TransferLeaderResponse<GroupTypes>) -> Bytes {
    let mut out = BytesMut::with_capacity(40);
    match answer {
        Ok(()) => out.put_u8(0),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            out.put_u8(1);
            put_vote(&mut out, expected);
            put_vote(&mut out, actual);
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            out.put_u8(2);
            put_log_id(&mut out, expected.as_ref());
            put_log_id(&mut out, actual.as_ref());
        }
    }
    out.freeze()
}

pub(super) fn read_transfer_answer(bytes: Bytes) -> Result<TransferLeaderResponse<GroupTypes>, Malformed> {
    let mut fields = Fields(bytes);
    let answer = match fields.u8()? {
        0 => Ok(()),
        1 => Err(TransferLeaderError::VoteChanged { expected: fields.vote()?, actual: fields.vote()? }),
        2 => Err(TransferLeaderError::LogNotFlushed { expected: fields.log_id()?, actual: fields.log_id()? }),
        _ => return Err(Malformed("its kind is unknown")),
    };
    fields.end()?;
    Ok(answer)
}

/// A snapshot is announced.
#[derive(Debug)]
pub(super) struct Begin {
    pub vote: Vote,
    pub meta: SnapshotMeta,
    pub log_start_offset: i64,
    /// Name and length of each file.
    pub files: Vec<(String, u64)>,
}

/// What a member says to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BeginAnswer {
    GoOn,
    HigherVote(Vote),
}

/// Bytes of one of its files.
#[derive(Debug)]
pub(super) struct Piece {
    pub last: Option<LogId>,
    pub file: u16,
    pub offset: u64,
    pub bytes: Bytes,
}

pub(super) fn begin(head: Head, begin: &Begin) -> Vec<Bytes> {
    let mut out = head.encode(256);
    put_vote(&mut out, &begin.vote);
    put_log_id(&mut out, begin.meta.last_log_id.as_ref());
    put_log_id(&mut out, begin.meta.last_membership.log_id().as_ref());
    let words = membership::encode(begin.meta.last_membership.membership());
    out.put_u32(words.len() as u32);
    out.put_slice(&words);
    out.put_i64(begin.log_start_offset);
    let files = &begin.files[..begin.files.len().min(FILES_MAX)];
    out.put_u16(files.len() as u16);
    for (name, len) in files {
        out.put_u8(name.len() as u8);
        out.put_slice(name.as_bytes());
        out.put_u64(*len);
    }
    vec![out.freeze()]
}

pub(super) fn read_begin(fields: &mut Fields) -> Result<Begin, Malformed> {
    let (vote, last_log_id, members_id) = (fields.vote()?, fields.log_id()?, fields.log_id()?);
    let len = fields.u32()? as usize;
    let words = fields.bytes(len)?;
    let members = membership::decode(&words).ok_or(Malformed("its members cannot be read"))?;
    let log_start_offset = fields.u64()? as i64;
    let count = u16::from_be_bytes(fields.take()?);
    let mut files = Vec::new();
    for _ in 0..count {
        let len = usize::from(fields.u8()?);
        let name = fields.bytes(len)?;
        let name = std::str::from_utf8(&name).map_err(|_| Malformed("a name is no text"))?.to_owned();
        files.push((name, fields.u64()?));
    }
    fields.end()?;
    if last_log_id.is_none_or(|last| last.leader_id.term > vote.leader_id.term || members_id > Some(last)) {
        return Err(Malformed("it is of a later term than its leader, or of nothing"));
    }
    let meta = SnapshotMeta { last_log_id, last_membership: StoredMembership::new(members_id, members) };
    Ok(Begin { vote, meta, log_start_offset, files })
}

pub(super) fn begin_answer(answer: BeginAnswer) -> Bytes {
    let mut out = BytesMut::with_capacity(18);
    match answer {
        BeginAnswer::GoOn => out.put_u8(0),
        BeginAnswer::HigherVote(vote) => {
            out.put_u8(1);
            put_vote(&mut out, &vote);
        }
    }
    out.freeze()
}

pub(super) fn read_begin_answer(bytes: Bytes) -> Result<BeginAnswer, Malformed> {
    let mut fields = Fields(bytes);
    let answer = if fields.flag()? { BeginAnswer::HigherVote(fields.vote()?) } else { BeginAnswer::GoOn };
    fields.end()?;
    Ok(answer)
}

pub(super) fn piece(head: Head, piece: Piece) -> Vec<Bytes> {
    let mut out = head.encode(32);
    put_log_id(&mut out, piece.last.as_ref());
    out.put_u16(piece.file);
    out.put_u64(piece.offset);
    vec![out.freeze(), piece.bytes]
}

pub(super) fn read_piece(fields: &mut Fields) -> Result<Piece, Malformed> {
    let (last, file, offset) = (fields.log_id()?, u16::from_be_bytes(fields.take()?), fields.u64()?);
    let bytes = fields.bytes(fields.0.len())?;
    Ok(Piece { last, file, offset, bytes })
}

pub(super) fn end(head: Head, vote: &Vote, last: Option<&LogId>) -> Vec<Bytes> {
    let mut out = head.encode(40);
    put_vote(&mut out, vote);
    put_log_id(&mut out, last);
    vec![out.freeze()]
}

pub(super) fn read_end(fields: &mut Fields) -> Result<(Vote, Option<LogId>), Malformed> {
    let end = (fields.vote()?, fields.log_id()?);
    fields.end()?;
    Ok(end)
}

pub(super) fn end_answer(vote: &Vote) -> Bytes {
    let mut out = BytesMut::with_capacity(17);
    put_vote(&mut out, vote);
    out.freeze()
}

pub(super) fn read_end_answer(bytes: Bytes) -> Result<Vote, Malformed> {
    let mut fields = Fields(bytes);
    let vote = fields.vote()?;
    fields.end()?;
    Ok(vote)
}
