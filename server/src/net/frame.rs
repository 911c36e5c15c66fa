//! Frames off a stream: the length judged before anything is allocated for it, memory only for what has begun to come.
//!
//! The first bytes of a frame go into a buffer of 16 KiB that is made when the socket has something (of 64 KiB where the last
//! frame was not a tiny one: a busy peer then costs one read for several frames). A longer frame gets its whole length in one piece, so that records can be kept as slices
//! of it, but only once that buffer is full and the budget has room: a length that is only claimed costs nothing.
//!
//! Every method here can be dropped between polls without losing a byte.

use std::{future::pending, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};

use super::{close::Close, config::NetConfig};
use crate::os::{
    budget::{Budget, Charge},
    network::Stream,
};

/// Room for the first bytes of a frame, and for small frames behind each other.
const FIRST_BYTES: usize = 16 * 1024;
/// The same for a peer that sends records.
const FIRST_BYTES_MAX: usize = 64 * 1024;
/// A frame without records is seldom longer.
const TINY_BYTES: usize = 2 * 1024;
/// How long the memory of a large frame is kept for the next one.
const KEEP: Duration = Duration::from_secs(1);
/// A frame that has come so much further has its time anew, unless memory is short: a slow line is no stalled one.
const STEP_BYTES: usize = 128 * 1024;
const LEN_BYTES: usize = 4;
/// API key, version, correlation id.
const FRAME_BYTES_MIN: i32 = 8;

/// A whole frame, without its length.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    /// What its memory takes of the budget; a small frame takes nothing.
    pub(super) charge: Option<Charge>,
}

/// The reading side of a connection.
#[derive(Debug)]
pub(super) struct FrameReader {
    buf: BytesMut,
    charge: Option<Charge>,
    /// Since when the frame at the front is being waited for; none while there is no such frame.
    started: Option<Instant>,
    /// Since when nothing came.
    quiet_since: Instant,
    /// How much of a frame is read before its length counts.
    first_bytes: usize,
}

impl FrameReader {
    pub(super) fn new() -> Self {
        Self {
            buf: BytesMut::new(),
            charge: None,
            started: None,
            quiet_since: Instant::now(),
            first_bytes: FIRST_BYTES,
        }
    }

    /// The connection is alive: an answer left.
    pub(super) fn touch(&mut self) {
        self.quiet_since = Instant::now();
    }

    /// The next frame.
    pub(super) async fn next(
        &mut self,
        stream: &mut Stream,
        config: &NetConfig,
        budget: &Budget,
    ) -> Result<Frame, Close> {
        loop {
            let len = frame_len(&self.buf, config.request_bytes_max)?;
            let whole = len.map_or(self.first_bytes, |len| LEN_BYTES + len);
            if len.is_some() && self.buf.len() >= whole {
                return Ok(self.take(whole));
            }
            if whole > self.buf.capacity() && self.buf.len() >= self.first_bytes {
                // not while holding what an earlier frame took: two that wait for each other would wait for ever
                self.charge = None;
                self.charge = Some(budget.charge(whole).await);
                self.buf.reserve(whole - self.buf.len());
                // waiting for memory was not the peer's fault
                self.started = Some(Instant::now());
            }
            // of a long frame nothing is read past its end: what follows would have to be moved
            let end = if whole <= self.first_bytes { self.first_bytes } else { whole.min(self.buf.capacity()) };
            let room = end.max(self.first_bytes) - self.buf.len();
            let steps = self.buf.len() / STEP_BYTES;
            self.fill(stream, config, room).await?;
            if self.buf.len() / STEP_BYTES > steps && budget.is_calm() {
                self.started = Some(Instant::now());
            }
        }
    }

    /// Keeps an eye on the peer while nothing may be read: resolves when it closes, and reads no more than the next
    /// frame's first bytes.
    pub(super) async fn look_ahead(&mut self, stream: &mut Stream) -> Close {
        while self.buf.len() < FIRST_BYTES {
            let room = FIRST_BYTES - self.buf.len();
            match stream.read_fresh(&mut self.buf, room).await {
                Ok(0) => return Close::Peer,
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
        pending().await
    }

    async fn fill(&mut self, stream: &mut Stream, config: &NetConfig, room: usize) -> Result<(), Close> {
        let begun = !self.buf.is_empty();
        let read = if begun {
            let started = *self.started.get_or_insert_with(Instant::now);
            let read = stream.read_fresh(&mut self.buf, room);
            timeout_at(started + config.frame_max, read).await.map_err(|_| Close::SlowFrame)??
        } else {
            self.started = None;
            self.read_first(stream, config, room).await?
        };
        match read {
            0 if begun => Err(Close::InsideFrame),
            0 => Err(Close::Peer),
            _ => Ok(()),
        }
    }

    /// Waits for a frame to begin; holds a large buffer for a moment only, and a small one not at all.
    async fn read_first(&mut self, stream: &mut Stream, config: &NetConfig, room: usize) -> Result<usize, Close> {
        if self.charge.is_some() {
            let read = stream.read_fresh(&mut self.buf, room);
            if let Ok(read) = timeout_at(Instant::now() + KEEP, read).await {
                return Ok(read?);
            }
        }
        self.charge = None;
        self.buf = BytesMut::new();
        let read = stream.read_fresh(&mut self.buf, room);
        Ok(timeout_at(self.quiet_since + config.idle_max, read).await.map_err(|_| Close::Idle)??)
    }

    fn take(&mut self, whole: usize) -> Frame {
        self.started = None;
        self.touch();
        self.first_bytes = if whole > TINY_BYTES { FIRST_BYTES_MAX } else { FIRST_BYTES };
        let mut bytes = self.buf.split_to(whole);
        bytes.advance(LEN_BYTES);
        if self.buf.is_empty() {
            // nothing of the next frame is here: let go of this one's memory, so that it has one owner
            self.buf = BytesMut::new();
        }
        Frame { bytes: bytes.freeze(), charge: self.charge.take() }
    }

    /// Gives the memory of a large frame back for the next, if nothing else holds it and memory is not short.
    pub(super) fn reuse(&mut self, frame: Frame, budget: &Budget) -> Option<Charge> {
        let Frame { bytes, charge } = frame;
        match bytes.try_into_mut() {
            Ok(mut buf) => {
                if self.buf.is_empty() && budget.is_calm() {
                    buf.clear();
                    self.buf = buf;
                    self.charge = charge;
                }
                None
            }
            // a handler kept a part of it: charged until that is answered
            Err(_) => charge,
        }
    }
}

/// The length of the frame at the front, once its four bytes are there.
fn frame_len(buf: &[u8], max: usize) -> Result<Option<usize>, Close> {
    let Some(prefix) = buf.first_chunk::<LEN_BYTES>() else { return Ok(None) };
    if [b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PATC", b"CONN", b"PRI "].contains(&prefix) {
        return Err(Close::Http);
    }
    if matches!(prefix, [0x16, 0x03, 0..=4, _]) && i32::from_be_bytes(*prefix) as usize > max {
        return Err(Close::Tls);
    }
    match i32::from_be_bytes(*prefix) {
        len if len < FRAME_BYTES_MIN => Err(Close::Length(len)),
        len if len as usize > max => Err(Close::TooLong { len: len as usize, max }),
        len => Ok(Some(len as usize)),
    }
}
