//! A frame's header as bytes. Not here: reading and writing frames.
//!
//! ```text
//! length of the body u32 | kind u8 | form u8 | 0 u16 | correlation id u64 | checksum of the body u32 | of the 20 bytes before u32
//! ```

use bytes::Bytes;

use super::close::Close;
use crate::os::checksum;

pub(super) const HEADER_BYTES: usize = 24;
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Call,
    Answer,
    /// An answer that is a text: the call was not carried out.
    Refusal,
    /// From the side that serves: are you there?
    Ping,
    Pong,
}

impl Form {
    const ALL: [Self; 5] = [Self::Call, Self::Answer, Self::Refusal, Self::Ping, Self::Pong];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// What stands before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) body_len: usize,
    pub(super) kind: u8,
    pub(super) form: Form,
    pub(super) id: u64,
    pub(super) body_crc: u32,
}

impl Header {
    /// Of a body in parts, whose length its maker holds below 4 GiB.
    pub(super) fn of(form: Form, kind: u8, id: u64, body: &[Bytes]) -> Self {
        let body_len = body.iter().map(Bytes::len).sum();
        let body_crc = body.iter().fold(0, |crc, part| checksum::append(crc, part));
        Self { body_len, kind, form, id, body_crc }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&(self.body_len as u32).to_be_bytes());
        out[4] = self.kind;
        out[5] = self.form as u8;
        out[8..16].copy_from_slice(&self.id.to_be_bytes());
        out[16..20].copy_from_slice(&self.body_crc.to_be_bytes());
        let crc = checksum::crc32c(&out[..CHECKED_BYTES]);
        out[CHECKED_BYTES..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Once its bytes are there; judges the length.
    pub(super) fn decode(bytes: &[u8], body_bytes_max: usize) -> Result<Option<Self>, Close> {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let u32_at = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        if u32_at(CHECKED_BYTES) != checksum::crc32c(&bytes[..CHECKED_BYTES]) {
            return Err(Close::HeaderChecksum);
        }
        let Some(form) = Form::from_code(bytes[5]) else { return Err(Close::Form(bytes[5])) };
        if bytes[6..8] != [0, 0] {
            return Err(Close::Form(bytes[6] | bytes[7]));
        }
        let body_len = u32_at(0) as usize;
        if body_len > body_bytes_max {
            return Err(Close::TooLong { len: body_len, max: body_bytes_max });
        }
        let id = bytes[8..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Ok(Some(Self { body_len, kind: bytes[4], form, id, body_crc: u32_at(16) }))
    }
}

/// A whole frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) body: Bytes,
    /// What a long body's memory takes of the budget.
    pub(super) charge: Option<crate::os::budget::Charge>,
}
