//! Frames onto a stream: all that wait leave in one vectored write, bodies as the parts that they came in.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{io::AsyncWrite, time::Instant};

use super::frame::{Form, HEADER_BYTES, Header};

/// The most parts that the kernel takes at once.
const PARTS_MAX: usize = 1024;

/// A frame that waits to be sent.
#[derive(Debug)]
struct Outgoing {
    id: u64,
    header: [u8; HEADER_BYTES],
    body: Vec<Bytes>,
    len: usize,
}

/// The writing side of a connection.
#[derive(Debug, Default)]
pub(super) struct FrameWriter {
    frames: VecDeque<Outgoing>,
    /// Bytes of the frame at the front that are sent.
    front_sent: usize,
    bytes: usize,
    /// Since when no byte was taken; none while nothing waits.
    since: Option<Instant>,
    flushed: bool,
}

impl FrameWriter {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.flushed
    }

    pub(super) fn push(&mut self, form: Form, kind: u8, id: u64, body: Vec<Bytes>) {
        let header = Header::of(form, kind, id, &body);
        let len = HEADER_BYTES + header.body_len;
        self.bytes += len;
        self.flushed = false;
        self.since.get_or_insert_with(Instant::now);
        self.frames.push_back(Outgoing { id, header: header.encode(), body, len });
    }

    /// Sends what the stream takes; ready once all is sent. Each frame that has left is told to `sent`, with its id and length.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        mut sent: impl FnMut(u64, usize),
    ) -> Poll<io::Result<()>> {
        while !self.frames.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &self.parts()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.bytes -= written;
            self.front_sent += written;
            self.since = Some(Instant::now());
            while let Some(front) = self.frames.pop_front_if(|front| front.len <= self.front_sent) {
                self.front_sent -= front.len;
                sent(front.id, front.len);
            }
        }
        if !self.flushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.flushed = true;
        }
        self.since = None;
        Poll::Ready(Ok(()))
    }

    fn parts(&self) -> Vec<IoSlice<'_>> {
        let mut skip = self.front_sent;
        let all = self.frames.iter().flat_map(|frame| {
            std::iter::once(frame.header.as_slice()).chain(frame.body.iter().map(|part| part.as_ref()))
        });
        let left = all.filter_map(|part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            let part = &part[skipped..];
            (!part.is_empty()).then(|| IoSlice::new(part))
        });
        left.take(PARTS_MAX).collect()
    }

    /// When the next byte must have been taken.
    pub(super) fn deadline(&self, write_max: Duration) -> Option<Instant> {
        self.since.map(|since| since + write_max)
    }
}
