//! The stream of one connection as the HTTP library gets it: judged, and with a deadline for every wait.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{
    Exchange, Refusal,
    chunked::Chunked,
    head::{self, Framing, HeadLimits},
};
use crate::BridgeConfig;

/// Handed on in place of a head that was refused; [`Exchange`] says so to the service.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";
/// Read at a time.
const READ_BYTES: usize = 8 * 1024;
/// Bytes and time for what a client still sends after its last answer: without it, the answer could be lost in a reset.
const LINGER_BYTES: usize = 512 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head, of which this many bytes were looked at.
    Head {
        seen: usize,
    },
    Body(Framing),
    /// Nothing more is read.
    Refused,
}

/// What is waited for, and since when the clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    Request,
    Head,
    Body,
}

/// A stream behind its guard.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    exchange: Arc<Exchange>,
    limits: HeadLimits,
    head_timeout: Duration,
    body_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    buffer: BytesMut,
    /// How many bytes of `buffer` may be handed on.
    cleared: usize,
    phase: Phase,
    /// Whether a request was handed on already.
    served: bool,
    peer_ended: bool,
    wait: Wait,
    read_by: Pin<Box<Sleep>>,
    /// Runs while the client takes nothing.
    write_by: Option<Pin<Box<Sleep>>>,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Guarded<S> {
    pub(crate) fn new(stream: S, exchange: Arc<Exchange>, config: &BridgeConfig) -> Self {
        Self {
            stream,
            exchange,
            limits: HeadLimits {
                head_bytes_max: config.head_bytes_max,
                target_bytes_max: config.target_bytes_max,
                headers_max: config.headers_max,
            },
            head_timeout: config.head_timeout,
            body_timeout: config.body_timeout,
            idle_timeout: config.idle_timeout,
            write_timeout: config.write_timeout,
            buffer: BytesMut::new(),
            cleared: 0,
            phase: Phase::Head { seen: 0 },
            served: false,
            peer_ended: false,
            wait: Wait::Nothing,
            read_by: Box::pin(tokio::time::sleep(config.head_timeout)),
            write_by: None,
            linger: None,
        }
    }

    /// Judges what has come; afterwards either bytes are cleared, or more are needed.
    fn judge(&mut self, context: &Context<'_>) -> io::Result<()> {
        match self.phase {
            Phase::Head { .. } if self.exchange.is_busy_until(context) => {}
            Phase::Head { seen } => self.judge_head(seen),
            Phase::Body(framing) => self.judge_body(framing)?,
            Phase::Refused => {}
        }
        Ok(())
    }

    fn judge_head(&mut self, seen: usize) {
        if seen == 0 {
            // an empty line before a request is ignored (RFC 9112 section 2.2)
            while self.buffer.starts_with(b"\r\n") {
                self.buffer.advance(2);
            }
        }
        let found = match head::end(&self.buffer, seen, self.limits) {
            Ok(None) => {
                // a CR may still become an empty line
                self.phase = Phase::Head { seen: if self.buffer.len() > 1 { self.buffer.len() } else { 0 } };
                return;
            }
            Ok(Some(end)) => head::judge(&self.buffer[..end], self.limits).map(|framing| (end, framing)),
            Err(refusal) => Err(refusal),
        };
        match found {
            Ok((end, framing)) => {
                self.cleared = end;
                self.phase = next_phase(framing);
                self.served = true;
                self.exchange.begin();
            }
            Err(refusal) => self.refuse(refusal),
        }
        self.wait = Wait::Nothing;
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.exchange.refuse(refusal);
        self.buffer = BytesMut::from(REFUSED);
        self.cleared = REFUSED.len();
        self.phase = Phase::Refused;
    }

    fn judge_body(&mut self, framing: Framing) -> io::Result<()> {
        let (taken, framing) = match framing {
            Framing::Length(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                (taken, Framing::Length(left - taken as u64))
            }
            Framing::Chunked(mut chunked) => {
                let taken = chunked.advance(&self.buffer);
                let taken = taken.map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?;
                (taken, Framing::Chunked(chunked))
            }
        };
        self.cleared = taken;
        self.phase = next_phase(framing);
        if matches!(self.phase, Phase::Head { .. }) {
            self.wait = Wait::Nothing;
        }
        Ok(())
    }

    fn hand_on(&mut self, into: &mut ReadBuf<'_>) {
        let bytes = self.cleared.min(into.remaining());
        into.put_slice(&self.buffer[..bytes]);
        self.buffer.advance(bytes);
        self.cleared -= bytes;
        if self.buffer.is_empty() && self.cleared == 0 && matches!(self.phase, Phase::Head { .. }) {
            // an idle connection holds no buffer
            self.buffer = BytesMut::new();
        }
    }

    /// Whether more may be read: a client that sends ahead of its answers is held back.
    fn has_room(&self) -> bool {
        match self.phase {
            Phase::Head { .. } if self.exchange.is_busy() => self.buffer.len() < READ_BYTES,
            Phase::Head { .. } | Phase::Body(_) => true,
            Phase::Refused => false,
        }
    }

    /// Nothing came: is it time to give up? Answers whether there is something new to hand on.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (wait, timeout) = match self.phase {
            Phase::Refused => return Poll::Pending,
            Phase::Head { .. } if self.exchange.is_busy_until(context) => (Wait::Nothing, Duration::MAX),
            Phase::Head { .. } if !self.buffer.is_empty() => (Wait::Head, self.head_timeout),
            Phase::Head { .. } if self.served => (Wait::Request, self.idle_timeout),
            Phase::Head { .. } => (Wait::Request, self.head_timeout),
            Phase::Body(_) => (Wait::Body, self.body_timeout),
        };
        if self.wait != wait {
            self.wait = wait;
            if wait != Wait::Nothing {
                self.read_by.as_mut().reset(Instant::now() + timeout);
            }
        }
        if wait == Wait::Nothing {
            return Poll::Pending;
        }
        std::task::ready!(self.read_by.as_mut().poll(context));
        match wait {
            Wait::Head => self.refuse(Refusal::Slow),
            Wait::Body => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Wait::Request | Wait::Nothing => self.peer_ended = true,
        }
        Poll::Ready(Ok(()))
    }
}

fn next_phase(framing: Framing) -> Phase {
    match framing {
        Framing::Length(0) | Framing::Chunked(Chunked::End) => Phase::Head { seen: 0 },
        framing => Phase::Body(framing),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.cleared == 0 && !this.buffer.is_empty() {
                this.judge(context)?;
            }
            if this.cleared > 0 {
                this.hand_on(into);
                return Poll::Ready(Ok(()));
            }
            if this.peer_ended {
                return Poll::Ready(Ok(()));
            }
            if !this.has_room() {
                return Poll::Pending;
            }
            match read_more(&mut this.stream, context, &mut this.buffer) {
                Poll::Ready(Ok(0)) => this.peer_ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => std::task::ready!(this.poll_deadline(context))?,
            }
        }
    }
}

/// One read into the end of a buffer.
fn read_more<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let mut piece = [0; READ_BYTES];
    let mut read = ReadBuf::new(&mut piece);
    std::task::ready!(Pin::new(stream).poll_read(context, &mut read))?;
    buffer.extend_from_slice(read.filled());
    Poll::Ready(Ok(read.filled().len()))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// Turns a wait for the client into an error once it lasts too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_by = None;
            return written;
        }
        let timeout = self.write_timeout;
        let deadline = self.write_by.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads and forgets what still comes, until the client ends too.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((deadline, left)) = &mut self.linger else { return Poll::Ready(Ok(())) };
        let mut piece = [0; READ_BYTES];
        while *left > 0 && !self.peer_ended {
            let mut read = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(context, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => *left = left.saturating_sub(read.filled().len()),
                Poll::Ready(_) => self.peer_ended = true,
                Poll::Pending => return deadline.as_mut().poll(context).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.watch(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            std::task::ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            let expects_more = !matches!(this.phase, Phase::Head { .. }) || !this.buffer.is_empty();
            let bytes = if expects_more { LINGER_BYTES } else { 0 };
            this.linger = Some((Box::pin(tokio::time::sleep(LINGER)), bytes));
        }
        this.poll_linger(context)
    }
}
