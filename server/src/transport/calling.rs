//! The calling side of one connection: makes it, sends a line's calls, matches answers to them, notices a stall.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::{
    close::Close,
    dial::Wire,
    error::{CallError, NotAdmitted, REFUSAL_BYTES_MAX},
    frame::{Form, Frame},
    hello::{Answer, Hello, Spoken},
    line::{Answered, Line},
    metrics::Open,
    reader::FrameReader,
    shared::IdTaken,
    watchdog::Watchdog,
    writer::FrameWriter,
};

/// With so many bytes on their way to the kernel no more calls are taken from the line.
const WRITE_AHEAD_BYTES: usize = 1 << 20;
/// The id of frames that are no calls.
const NO_CALL: u64 = u64::MAX;

/// The task of a line: from making a connection to its end.
pub(super) async fn run(line: Arc<Line>) {
    let mut unfinished = Unfinished(Some(line.clone()));
    match open(&line).await {
        Err(error) => line.not_opened(&error),
        Ok(stream) => {
            line.opened();
            let open = Open::new(&line.shared.metrics.calling);
            let mut calling = Calling::new(line.clone(), stream);
            let close = poll_fn(|cx| calling.poll(cx)).await;
            line.shared.metrics.closed(close.reason());
            line.shared.note_end(line.to, &close);
            line.cut(&close, calling.waiting.into_iter().filter_map(|waiting| waiting.answered));
            drop(open);
        }
    }
    unfinished.0 = None;
}

/// A task that ends in another way (a panic, the runtime's end) leaves a line that can be used again.
struct Unfinished(Option<Arc<Line>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(line) = &self.0 {
            line.not_opened(&CallError::Unreachable { broker_id: line.to, why: "its task ended".to_owned() });
        }
    }
}

async fn open(line: &Line) -> Result<Box<dyn Wire>, CallError> {
    let unreachable = |why: String| CallError::Unreachable { broker_id: line.to, why };
    let handshake_max = line.shared.config.handshake_max;
    let opening = async {
        let dial = line.shared.dialer.dial(line.host.clone(), line.port);
        let dialled =
            timeout(handshake_max, dial).await.map_err(|_| unreachable("no connection in time".to_owned()))?;
        let mut stream = dialled.map_err(|error| unreachable(error.to_string()))?;
        let greeted = timeout(handshake_max, greet(line, &mut stream)).await;
        greeted.map_err(|_| unreachable(Close::SlowHello.to_string()))?.map(|()| stream)
    };
    tokio::select! {
        opened = opening => opened,
        () = poll_fn(|cx| if line.is_ended(cx) { Poll::Ready(()) } else { Poll::Pending }) => {
            Err(unreachable(Close::Forgotten.to_string()))
        }
    }
}

/// Says who we are; hears whether we may call.
async fn greet(line: &Line, stream: &mut Box<dyn Wire>) -> Result<(), CallError> {
    let unreachable = |close: Close| CallError::Unreachable { broker_id: line.to, why: close.to_string() };
    let us = line.shared.us();
    let hello = Hello {
        lane: line.lane,
        from: us.broker_id,
        to: line.to,
        incarnation: us.incarnation,
        process: line.shared.process,
        cluster_id: us.cluster_id.clone(),
    };
    stream.write_all(&hello.encode()).await.map_err(|error| unreachable(error.into()))?;
    stream.flush().await.map_err(|error| unreachable(error.into()))?;
    let spoken = Spoken::read(stream).await.map_err(unreachable)?;
    let judged = Answer::decode(&spoken).map_err(unreachable)?.judge(&spoken, &us, line.to);
    match judged {
        Ok(answer) if line.shared.is_retired(answer.broker_id, answer.incarnation) => {
            let why = "it runs on a data directory that was replaced".to_owned();
            Err(CallError::Unreachable { broker_id: line.to, why })
        }
        Ok(_) => Ok(()),
        Err(why) => {
            if why == NotAdmitted::DuplicateId {
                line.shared.id_taken.send_replace(Some(IdTaken { said_by: line.to }));
            }
            Err(CallError::NotAdmitted { broker_id: line.to, why })
        }
    }
}

/// A connection and its calls without an answer.
struct Calling<S> {
    line: Arc<Line>,
    stream: S,
    reader: FrameReader,
    writer: FrameWriter,
    watchdog: Watchdog,
    /// In the order of their ids, the oldest unanswered one in front.
    waiting: VecDeque<Waiting>,
    first_id: u64,
}

struct Waiting {
    /// None once it is answered.
    answered: Option<Answered>,
    /// When its last byte was taken.
    sent_at: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Calling<S> {
    fn new(line: Arc<Line>, stream: S) -> Self {
        let reader = FrameReader::new(line.shared.budget.clone(), line.shared.config.frame_bytes_max);
        let (writer, watchdog) = (FrameWriter::default(), Watchdog::default());
        Self { line, stream, reader, writer, watchdog, waiting: VecDeque::new(), first_id: 0 }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Close> {
        let stepped = self.read(cx).and_then(|()| self.write(cx)).and_then(|()| self.watch(cx));
        stepped.map_or_else(Poll::Ready, |()| Poll::Pending)
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), Close> {
        while let Poll::Ready(frame) = self.reader.poll_next(cx, &mut self.stream) {
            let frame = frame?.ok_or(Close::Peer)?;
            self.line.shared.metrics.received(&frame);
            match frame.header.form {
                Form::Answer | Form::Refusal => self.answer(frame)?,
                // one that does not read its pongs gets no more of them
                Form::Ping if self.writer.bytes() >= WRITE_AHEAD_BYTES => {}
                Form::Ping => self.writer.push(Form::Pong, 0, NO_CALL, Vec::new()),
                Form::Call | Form::Pong => return Err(Close::Form(frame.header.form as u8)),
            }
        }
        Ok(())
    }

    fn answer(&mut self, frame: Frame) -> Result<(), Close> {
        let place = usize::try_from(frame.header.id.wrapping_sub(self.first_id)).map_err(|_| Close::StrangeAnswer)?;
        let waiting = self.waiting.get_mut(place).filter(|waiting| waiting.sent_at.is_some());
        let answered = waiting.and_then(|waiting| waiting.answered.take()).ok_or(Close::StrangeAnswer)?;
        let result = match frame.header.form {
            Form::Answer => Ok(frame.body),
            _ => {
                self.line.shared.metrics.failed("refused");
                let text = &frame.body[..frame.body.len().min(REFUSAL_BYTES_MAX)];
                Err(CallError::Refused(String::from_utf8_lossy(text).into_owned()))
            }
        };
        // whoever called may have left meanwhile
        let _ = answered.send(result);
        let done = self.waiting.iter().take_while(|waiting| waiting.answered.is_none()).count();
        self.waiting.drain(..done);
        self.first_id += done as u64;
        self.line.answered(done);
        Ok(())
    }

    /// Sends until nothing waits or the kernel takes no more.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Close> {
        loop {
            self.take(cx)?;
            if self.writer.is_empty() {
                return Ok(());
            }
            let (now, mut frames, mut bytes) = (Instant::now(), 0, 0);
            let Self { writer, stream, waiting, first_id, .. } = self;
            let written = writer.poll_write(cx, stream, |id, len| {
                if id != NO_CALL
                    && let Some(waiting) = waiting.get_mut((id - *first_id) as usize)
                {
                    waiting.sent_at = Some(now);
                    frames += 1;
                    bytes += len;
                }
            });
            self.line.shared.metrics.bytes_out.add(bytes as u64);
            self.line.sent(frames, bytes);
            match written {
                Poll::Ready(written) => written?,
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn take(&mut self, cx: &Context<'_>) -> Result<(), Close> {
        let Self { line, writer, waiting, first_id, .. } = self;
        line.take(cx, WRITE_AHEAD_BYTES.saturating_sub(writer.bytes()), |call| {
            let id = *first_id + waiting.len() as u64;
            writer.push(Form::Call, call.kind, id, call.body);
            waiting.push_back(Waiting { answered: Some(call.answered), sent_at: None });
        })
    }

    fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), Close> {
        let stall_max = self.line.shared.config.stall_max(self.line.lane);
        let frame = self.reader.deadline(self.line.shared.config.frame_max);
        let write = self.writer.deadline(stall_max);
        let oldest = self.waiting.front().and_then(|waiting| waiting.sent_at);
        let answer =
            oldest.map(|sent_at| self.reader.long_since().map_or(sent_at, |since| since.max(sent_at)) + stall_max);
        let next = [frame, write, answer].into_iter().flatten().min();
        if !self.watchdog.poll_expired(cx, next) {
            return Ok(());
        }
        Err(match next {
            next if next == write => Close::SlowReader,
            next if next == answer => Close::NoAnswer,
            _ => Close::SlowFrame,
        })
    }
}
