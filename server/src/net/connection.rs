//! One connection: reads frames, hands them on, writes the answers in order, until one side has enough.

use std::sync::Arc;

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    answers::{Answer, Answers, State},
    close::Close,
    frame::{Frame, FrameReader},
    serve::Net,
    writer::Writer,
};
use crate::{
    api::{ConnectionInfo, Dispatched, Handling, Part},
    os::{budget::Budget, network::Stream},
};

/// A connection and all it holds.
pub(super) struct Connection {
    net: Arc<Net>,
    /// What its frames are charged to.
    budget: Budget,
    info: Arc<ConnectionInfo>,
    stream: Stream,
    reader: FrameReader,
    answers: Answers,
    writer: Writer,
    shutdown: watch::Receiver<bool>,
    /// Set once nothing more will be read: what is left to answer is answered, then it closes.
    ending: Option<(Close, Instant)>,
}

enum Event {
    AnswerReady(Result<(), Close>),
    Frame(Result<Frame, Close>),
    PeerClosed(Close),
    Shutdown,
    DrainedLongEnough,
}

impl Connection {
    pub(super) fn new(
        net: Arc<Net>,
        budget: Budget,
        info: Arc<ConnectionInfo>,
        stream: Stream,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        let (reader, answers, writer) = (FrameReader::new(), Answers::default(), Writer::default());
        Self { net, budget, info, stream, reader, answers, writer, shutdown, ending: None }
    }

    /// Serves it until it closes; says why.
    pub(super) async fn run(mut self) -> Close {
        loop {
            if let Err(close) = self.write_unless_late().await {
                return close;
            }
            if self.answers.is_empty()
                && let Some((close, _)) = self.ending
            {
                return close;
            }
            if let Err(close) = self.step().await {
                return close;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Close> {
        let Self { net, budget, stream, reader, answers, shutdown, ending, .. } = self;
        let waits = !answers.is_empty();
        let may_read = ending.is_none() && answers.may_read(net.config.pipelined_max);
        let drain_deadline = ending.as_ref().map(|(_, deadline)| *deadline);
        let read = async {
            if may_read {
                Event::Frame(reader.next(stream, &net.config, budget).await)
            } else {
                Event::PeerClosed(reader.look_ahead(stream).await)
            }
        };
        let event = tokio::select! {
            biased;
            ready = answers.first_ready(), if waits => Event::AnswerReady(ready),
            event = read, if drain_deadline.is_none() => event,
            _ = shutdown.changed(), if drain_deadline.is_none() => Event::Shutdown,
            () = sleep_until(drain_deadline.unwrap_or_else(Instant::now)), if drain_deadline.is_some() => {
                Event::DrainedLongEnough
            }
        };
        match event {
            Event::AnswerReady(ready) => ready,
            Event::Frame(Ok(frame)) => self.handle(frame),
            Event::Frame(Err(close)) | Event::PeerClosed(close) => self.end(close),
            Event::Shutdown => self.end(Close::Shutdown),
            Event::DrainedLongEnough => Err(Close::Shutdown),
        }
    }

    /// Reads no more. Produce answers on their way still leave, since a peer may close its sending side only; a long
    /// poll is given up.
    fn end(&mut self, close: Close) -> Result<(), Close> {
        if !matches!(close, Close::Peer | Close::Shutdown) || self.answers.is_exclusive() {
            return Err(close);
        }
        self.ending = Some((close, Instant::now() + self.net.config.drain_max));
        Ok(())
    }

    fn handle(&mut self, frame: Frame) -> Result<(), Close> {
        self.net.metrics.bytes_in.add(frame.bytes.len() as u64);
        let since = Instant::now();
        let Dispatched { header, handling, api } =
            self.net.dispatcher.dispatch(&self.info, frame.bytes.clone()).map_err(Close::Refused)?;
        let charge = if frame.charge.is_some() { self.reader.reuse(frame, &self.budget) } else { None };
        let state = match handling {
            Handling::Ready(reply) => State::Ready(reply),
            Handling::Pipelined(waiting) => State::Waiting { waiting, exclusive: false },
            Handling::Exclusive(waiting) => State::Waiting { waiting, exclusive: true },
            Handling::Silent => return Ok(()),
            Handling::Close(why) => return Err(Close::Handler(why)),
        };
        self.answers.push(Answer { header, api, since, state, charge });
        Ok(())
    }

    /// A peer that takes its answers slowly, or not at all, must not hold up a shutdown.
    async fn write_unless_late(&mut self) -> Result<(), Close> {
        let (mut shutdown, drain_max) = (self.shutdown.clone(), self.net.config.drain_max);
        let late = async {
            // an error means that the sender is gone, which says the same
            let _ = shutdown.wait_for(|shutdown| *shutdown).await;
            sleep(drain_max).await;
        };
        tokio::select! {
            biased;
            written = self.write_ready() => written,
            () = late => Err(Close::Shutdown),
        }
    }

    /// Writes every answer that is there and whose turn it is.
    async fn write_ready(&mut self) -> Result<(), Close> {
        let Self { net, stream, writer, answers, reader, .. } = self;
        let patience = net.config.write_max;
        let mut wrote = false;
        while let Some((answer, reply)) = answers.pop_ready().await? {
            let body_len = reply.len();
            let head = answer.header.frame(body_len).ok_or(Close::Handler("an answer above 2 GiB".into()))?;
            net.metrics.bytes_out.add((head.len() + body_len) as u64);
            writer.add(Part::Bytes(head), stream, patience).await?;
            for part in reply.parts {
                writer.add(part, stream, patience).await?;
            }
            net.dispatcher.answered(answer.api, answer.since.elapsed());
            wrote = true;
        }
        if wrote {
            writer.flush(stream, patience).await?;
            reader.touch();
        }
        Ok(())
    }
}
