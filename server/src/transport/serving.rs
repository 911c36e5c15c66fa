//! The serving side of one connection: hands calls to the service in the order of their arrival, sends answers as they come.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    admission::Admitted,
    close::Close,
    error::{REFUSAL_BYTES_MAX, Refusal},
    frame::{Form, Frame},
    identity::Caller,
    reader::FrameReader,
    shared::Shared,
    watchdog::Watchdog,
    writer::FrameWriter,
};
use crate::os::budget::Charge;

/// What answers calls.
pub trait Service: Send + Sync {
    /// Answers a call of a kind. The futures of one connection are made and polled for the first time in the order in which
    /// their calls were made, then driven together on the connection's task: they must not block, and one that is dropped
    /// (the connection has ended) must leave nothing half done.
    fn call(&self, from: Caller, kind: u8, body: Bytes) -> BoxFuture<'static, Result<Vec<Bytes>, Refusal>>;
}

/// A connection and the calls that are being served on it.
pub(super) struct Serving<S> {
    shared: Arc<Shared>,
    service: Arc<dyn Service>,
    admitted: Admitted,
    stream: S,
    reader: FrameReader,
    writer: FrameWriter,
    watchdog: Watchdog,
    running: FuturesUnordered<Running>,
    /// Set once nothing more is read: what is written is sent, then it closes.
    ending: Option<Close>,
}

/// A call that is being served.
struct Running {
    id: u64,
    kind: u8,
    call: BoxFuture<'static, Result<Vec<Bytes>, Refusal>>,
    /// Its body's memory is taken for as long as it runs.
    _charge: Option<Charge>,
}

struct Done {
    id: u64,
    kind: u8,
    result: Result<Vec<Bytes>, Refusal>,
}

impl Future for Running {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done> {
        let Self { id, kind, .. } = *self;
        self.call.poll_unpin(cx).map(|result| Done { id, kind, result })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Serving<S> {
    pub(super) fn new(shared: Arc<Shared>, service: Arc<dyn Service>, admitted: Admitted, stream: S) -> Self {
        let reader = FrameReader::new(shared.budget.clone(), shared.config.frame_bytes_max);
        let (writer, watchdog, running) = (FrameWriter::default(), Watchdog::default(), FuturesUnordered::new());
        Self { shared, service, admitted, stream, reader, writer, watchdog, running, ending: None }
    }

    /// Serves it; ready when it must close.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Close> {
        if self.admitted.must_stop(cx) {
            return Poll::Ready(Close::Replaced);
        }
        if self.admitted.take_ping() {
            self.writer.push(Form::Ping, 0, 0, Vec::new());
        }
        match self.step(cx) {
            Err(close) => Poll::Ready(close),
            Ok(()) if self.writer.is_empty() => self.ending.take().map_or(Poll::Pending, Poll::Ready),
            Ok(()) => Poll::Pending,
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Result<(), Close> {
        loop {
            self.read(cx)?;
            let held_read = !self.may_read();
            self.finish(cx);
            let held_finish = !self.may_go_on();
            // where it is not done yet, it wakes this task when it can go on
            let bytes_out = &self.shared.metrics.bytes_out;
            let _ = self.writer.poll_write(cx, &mut self.stream, |_, len| bytes_out.add(len as u64))?;
            // nothing else wakes it for what was held back by a limit that has room again
            if !(held_read && self.may_read() || held_finish && self.may_go_on()) {
                break;
            }
        }
        let frame = self.reader.deadline(self.shared.config.frame_max).filter(|_| self.may_read());
        let write = self.writer.deadline(self.shared.config.write_max);
        if self.watchdog.poll_expired(cx, frame.into_iter().chain(write).min()) {
            return Err(if write.is_some_and(|write| frame.is_none_or(|frame| write <= frame)) {
                Close::SlowReader
            } else {
                Close::SlowFrame
            });
        }
        Ok(())
    }

    /// Whether answers leave as fast as they are made.
    fn may_go_on(&self) -> bool {
        self.writer.bytes() < self.shared.config.answer_bytes_max
    }

    fn may_read(&self) -> bool {
        self.ending.is_none() && self.may_go_on() && self.running.len() < self.shared.config.calls_max
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), Close> {
        while self.may_read()
            && let Poll::Ready(frame) = self.reader.poll_next(cx, &mut self.stream)
        {
            let frame = frame?.ok_or(Close::Peer)?;
            self.shared.metrics.received(&frame);
            match frame.header.form {
                Form::Call => self.start(cx, frame),
                Form::Pong => self.admitted.pong(),
                form => return Err(Close::Form(form as u8)),
            }
        }
        Ok(())
    }

    fn start(&mut self, cx: &mut Context<'_>, frame: Frame) {
        self.shared.metrics.served.increment();
        let Frame { header, body, charge } = frame;
        let call = self.service.call(self.admitted.caller, header.kind, body);
        let mut running = Running { id: header.id, kind: header.kind, call, _charge: charge };
        match running.poll_unpin(cx) {
            Poll::Ready(done) => self.answer(done),
            Poll::Pending => self.running.push(running),
        }
    }

    fn finish(&mut self, cx: &mut Context<'_>) {
        while self.may_go_on()
            && self.ending.is_none()
            && let Poll::Ready(Some(done)) = self.running.poll_next_unpin(cx)
        {
            self.answer(done);
        }
    }

    fn answer(&mut self, done: Done) {
        let Done { id, kind, result } = done;
        match result {
            Ok(body) => {
                let (len, max) = (body.iter().map(Bytes::len).sum::<usize>(), self.shared.config.frame_bytes_max);
                if len <= max {
                    self.writer.push(Form::Answer, kind, id, body);
                } else {
                    self.refuse(id, kind, format!("its answer of {len} bytes is above the limit of {max}"));
                }
            }
            Err(Refusal::Answer(text)) => self.refuse(id, kind, text),
            Err(Refusal::Close(text)) => {
                self.refuse(id, kind, text.clone());
                self.ending.get_or_insert(Close::Hostile(text));
            }
        }
    }

    fn refuse(&mut self, id: u64, kind: u8, mut text: String) {
        text.truncate(text.floor_char_boundary(REFUSAL_BYTES_MAX));
        self.writer.push(Form::Refusal, kind, id, vec![text.into()]);
    }
}
