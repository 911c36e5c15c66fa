//! The first words on a connection: who calls whom, and the answer. Not here: who is admitted.
//!
//! ```text
//! "TMRK" | oldest version u8 | newest version u8 | length of the words u16 | words | checksum of all before u32
//! hello    lane u8, from i32, to i32, incarnation 16, process 16, cluster id
//! answer   code u8, broker id i32, incarnation 16, cluster id
//! ```
//! The outer form, and the answer's words, stay as they are for ever, so that brokers of any two versions can refuse each other in words.

use std::{io, ops::RangeInclusive};

use tokio::io::{AsyncRead, AsyncReadExt};
use uuid::Uuid;

use super::{
    close::Close,
    error::NotAdmitted,
    identity::{Identity, Lane},
};
use crate::os::checksum;

const MAGIC: [u8; 4] = *b"TMRK";
const PREFIX_BYTES: usize = 8;
/// The longest words.
const WORDS_BYTES_MAX: usize = 512;
/// Versions of the protocol between brokers that this build speaks.
pub(super) const VERSIONS: RangeInclusive<u8> = 1..=1;

/// What a caller says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) lane: Lane,
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) incarnation: Uuid,
    /// Drawn at every start of a process.
    pub(super) process: Uuid,
    pub(super) cluster_id: String,
}

/// First words as they came.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) oldest: u8,
    pub(super) newest: u8,
    words: Vec<u8>,
}

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut words = vec![self.lane.code()];
        words.extend(self.from.to_be_bytes());
        words.extend(self.to.to_be_bytes());
        words.extend(self.incarnation.as_bytes());
        words.extend(self.process.as_bytes());
        words.extend(self.cluster_id.as_bytes());
        enveloped(&words)
    }

    /// Of words in a version that both speak.
    pub(super) fn decode(spoken: &Spoken) -> Result<Self, Close> {
        let mut words = Words(&spoken.words);
        let lane = Lane::from_code(u8::from_be_bytes(words.take()?)).ok_or(Close::Hello("no such lane"))?;
        Ok(Self {
            lane,
            from: i32::from_be_bytes(words.take()?),
            to: i32::from_be_bytes(words.take()?),
            incarnation: Uuid::from_bytes(words.take()?),
            process: Uuid::from_bytes(words.take()?),
            cluster_id: words.rest()?,
        })
    }
}

/// What a caller hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Why it may not call, without the values that go with it.
    code: u8,
    pub(super) broker_id: i32,
    pub(super) incarnation: Uuid,
    cluster_id: String,
}

impl Answer {
    pub(super) fn new(us: &Identity, refused: Option<&NotAdmitted>) -> Self {
        let code = match refused {
            None => 0,
            Some(NotAdmitted::Version { .. }) => 1,
            Some(NotAdmitted::Cluster { .. }) => 2,
            Some(NotAdmitted::Target { .. }) => 3,
            Some(NotAdmitted::DuplicateId) => 4,
            Some(NotAdmitted::Retired) => 5,
            Some(NotAdmitted::Full) => 6,
        };
        Self { code, broker_id: us.broker_id, incarnation: us.incarnation, cluster_id: us.cluster_id.clone() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut words = vec![self.code];
        words.extend(self.broker_id.to_be_bytes());
        words.extend(self.incarnation.as_bytes());
        words.extend(self.cluster_id.as_bytes());
        enveloped(&words)
    }

    pub(super) fn decode(spoken: &Spoken) -> Result<Self, Close> {
        let mut words = Words(&spoken.words);
        Ok(Self {
            code: u8::from_be_bytes(words.take()?),
            broker_id: i32::from_be_bytes(words.take()?),
            incarnation: Uuid::from_bytes(words.take()?),
            cluster_id: words.rest()?,
        })
    }

    /// Whether we may call; an answer that says yes is held against whom we meant all the same.
    pub(super) fn judge(self, spoken: &Spoken, us: &Identity, to: i32) -> Result<Self, NotAdmitted> {
        match self.code {
            1 => Err(NotAdmitted::Version { oldest: spoken.oldest, newest: spoken.newest }),
            4 => Err(NotAdmitted::DuplicateId),
            5 => Err(NotAdmitted::Retired),
            0 | 2 | 3 if self.cluster_id != us.cluster_id && !us.cluster_id.is_empty() => {
                Err(NotAdmitted::Cluster { theirs: self.cluster_id })
            }
            0 if self.broker_id == to => Ok(self),
            0 | 2 | 3 => Err(NotAdmitted::Target { actual: self.broker_id }),
            _ => Err(NotAdmitted::Full),
        }
    }
}

impl Spoken {
    /// Whether this build speaks one of its versions.
    pub(super) fn is_understood(&self) -> bool {
        self.oldest <= *VERSIONS.end() && self.newest >= *VERSIONS.start()
    }

    /// The first words off a stream. The length is judged before anything is allocated.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, Close> {
        let mut prefix = [0; PREFIX_BYTES];
        let (magic, rest) = prefix.split_at_mut(MAGIC.len());
        if let Err(error) = stream.read_exact(magic).await {
            return Err(if error.kind() == io::ErrorKind::UnexpectedEof { Close::Peer } else { error.into() });
        }
        if magic != MAGIC {
            return Err(foreign(magic));
        }
        stream.read_exact(rest).await.map_err(cut)?;
        let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if len > WORDS_BYTES_MAX {
            return Err(Close::Hello("too long"));
        }
        let mut words = vec![0; len];
        stream.read_exact(&mut words).await.map_err(cut)?;
        let crc = stream.read_u32().await.map_err(cut)?;
        if crc != checksum::append(checksum::crc32c(&prefix), &words) {
            return Err(Close::Hello("they do not match their checksum"));
        }
        Ok(Self { oldest: prefix[4], newest: prefix[5], words })
    }
}

fn cut(error: io::Error) -> Close {
    if error.kind() == io::ErrorKind::UnexpectedEof { Close::InsideFrame } else { error.into() }
}

fn foreign(first: &[u8]) -> Close {
    let http: [&[u8]; 9] = [b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PATC", b"CONN", b"PRI "];
    Close::Foreign(match first {
        _ if http.contains(&first) => "HTTP",
        [0x16, 0x03, ..] => "TLS",
        // a request's length
        [0, ..] => "the Kafka protocol",
        _ => "another protocol",
    })
}

fn enveloped(words: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend([*VERSIONS.start(), *VERSIONS.end()]);
    out.extend((words.len() as u16).to_be_bytes());
    out.extend(words);
    let crc = checksum::crc32c(&out);
    out.extend(crc.to_be_bytes());
    out
}

/// What is left of the words.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Close> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Close::Hello("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn rest(self) -> Result<String, Close> {
        String::from_utf8(self.0.to_vec()).map_err(|_| Close::Hello("a cluster id that is no text"))
    }
}
