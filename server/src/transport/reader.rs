//! Frames off a stream: the header judged before anything is allocated for a body, memory only for what has begun to come.
//!
//! Bytes go into a chunk of 32 KiB, and small bodies are slices of it. A longer body gets memory of its own in one piece, so
//! that it is never moved again, but only once a chunk of it is here and the budget has room: a claim costs nothing.

use std::{
    pin::pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BufMut, BytesMut};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

use super::{
    close::Close,
    frame::{Frame, HEADER_BYTES, Header},
};
use crate::os::{
    budget::{Budget, Charge},
    checksum,
};

pub(super) const CHUNK_BYTES: usize = 32 * 1024;
/// With less room than this left, a new chunk is begun.
const ROOM_BYTES_MIN: usize = 4 * 1024;
/// A frame that has come so much further has its time anew.
const STEP_BYTES: usize = 128 * 1024;

/// The reading side of a connection.
pub(super) struct FrameReader {
    buf: BytesMut,
    /// Of the frame at the front.
    header: Option<Header>,
    memory: Memory,
    /// Since when the frame at the front is being waited for; none while there is no such frame.
    started: Option<Instant>,
    budget: Budget,
    body_bytes_max: usize,
}

/// What the frame at the front has of the budget.
enum Memory {
    Chunk,
    Asked(BoxFuture<'static, Charge>),
    Own(Charge),
}

impl FrameReader {
    pub(super) fn new(budget: Budget, body_bytes_max: usize) -> Self {
        Self { buf: BytesMut::new(), header: None, memory: Memory::Chunk, started: None, budget, body_bytes_max }
    }

    /// The next frame; none where the peer has closed between two.
    pub(super) fn poll_next<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<Option<Frame>, Close>> {
        loop {
            if self.header.is_none() {
                self.header = Header::decode(&self.buf, self.body_bytes_max)?;
            }
            let whole = self.header.map_or(HEADER_BYTES, |header| HEADER_BYTES + header.body_len);
            if let Some(header) = self.header.take_if(|_| self.buf.len() >= whole) {
                return Poll::Ready(self.take(header).map(Some));
            }
            let room = ready!(self.poll_room(cx, whole));
            let steps = self.buf.len() / STEP_BYTES;
            let read = pin!(stream.read_buf(&mut (&mut self.buf).limit(room))).poll(cx);
            match ready!(read)? {
                0 if self.buf.is_empty() => return Poll::Ready(Ok(None)),
                0 => return Poll::Ready(Err(Close::InsideFrame)),
                _ if self.buf.len() / STEP_BYTES > steps => self.started = Some(Instant::now()),
                _ => _ = self.started.get_or_insert_with(Instant::now),
            }
        }
    }

    /// Makes room for more of the frame at the front; says how much may be read.
    fn poll_room(&mut self, cx: &mut Context<'_>, whole: usize) -> Poll<usize> {
        if whole > CHUNK_BYTES && self.buf.len() >= CHUNK_BYTES {
            if matches!(self.memory, Memory::Chunk) {
                let budget = self.budget.clone();
                self.memory = Memory::Asked(async move { budget.charge(whole).await }.boxed());
            }
            if let Memory::Asked(asked) = &mut self.memory {
                self.memory = Memory::Own(ready!(asked.poll_unpin(cx)));
                self.move_into(whole);
                // waiting for memory was not the peer's fault
                self.started = Some(Instant::now());
            }
            // nothing is read past its end: what follows would lie in its memory
            return Poll::Ready(whole - self.buf.len());
        }
        let room = self.buf.capacity() - self.buf.len();
        if room < ROOM_BYTES_MIN || self.buf.len() + room < whole.min(CHUNK_BYTES) {
            self.move_into(CHUNK_BYTES);
        }
        let end = if whole > CHUNK_BYTES { CHUNK_BYTES } else { self.buf.capacity() };
        Poll::Ready(end - self.buf.len())
    }

    fn move_into(&mut self, bytes: usize) {
        let mut new = BytesMut::with_capacity(bytes);
        new.extend_from_slice(&self.buf);
        self.buf = new;
    }

    fn take(&mut self, header: Header) -> Result<Frame, Close> {
        let mut body = self.buf.split_to(HEADER_BYTES + header.body_len);
        body.advance(HEADER_BYTES);
        if checksum::crc32c(&body) != header.body_crc {
            return Err(Close::BodyChecksum);
        }
        self.started = (!self.buf.is_empty()).then(Instant::now);
        let charge = match std::mem::replace(&mut self.memory, Memory::Chunk) {
            Memory::Own(charge) => Some(charge),
            Memory::Chunk | Memory::Asked(_) => None,
        };
        Ok(Frame { header, body: body.freeze(), charge })
    }

    /// When the frame at the front must have come further.
    pub(super) fn deadline(&self, frame_max: Duration) -> Option<Instant> {
        let waits_for_peer = !matches!(self.memory, Memory::Asked(_));
        self.started.filter(|_| waits_for_peer).map(|started| started + frame_max)
    }

    /// Since when a body that is on its way stands still: the sender of a long answer is not silent.
    pub(super) fn long_since(&self) -> Option<Instant> {
        match self.memory {
            Memory::Chunk => None,
            Memory::Asked(_) => Some(Instant::now()),
            Memory::Own(_) => self.started,
        }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.buf.capacity()
    }
}
