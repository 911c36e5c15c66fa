//! Answers of one connection, in the order of their requests. Not here: writing them.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::close::Close;
use crate::{
    api::{Part, Reply, ReplyHeader, Waiting},
    os::budget::Charge,
};

/// An answer, or the wait for one.
pub(super) struct Answer {
    pub(super) header: ReplyHeader,
    pub(super) api: usize,
    /// When its request was whole.
    pub(super) since: Instant,
    pub(super) state: State,
    /// Memory of its request that is still in use, until the answer has left.
    #[allow(dead_code, reason = "held for its drop")]
    pub(super) charge: Option<Charge>,
}

pub(super) enum State {
    Ready(Reply),
    Waiting { waiting: Waiting, exclusive: bool },
}

impl State {
    fn held_bytes(&self) -> usize {
        let Self::Ready(reply) = self else { return 0 };
        reply.parts.iter().map(|part| if let Part::Bytes(bytes) = part { bytes.len() } else { 0 }).sum()
    }
}

/// Memory of answers that wait for their turn; beyond it the connection reads no more.
const HELD_BYTES_MAX: usize = 1 << 20;

/// The queue.
#[derive(Default)]
pub(super) struct Answers {
    /// With the memory of those that came ready.
    queue: VecDeque<(usize, Answer)>,
    held_bytes: usize,
}

impl Answers {
    pub(super) fn push(&mut self, answer: Answer) {
        let held_bytes = answer.state.held_bytes();
        self.held_bytes += held_bytes;
        self.queue.push_back((held_bytes, answer));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether the connection may read another request.
    pub(super) fn may_read(&self, pipelined_max: usize) -> bool {
        self.queue.len() < pipelined_max && self.held_bytes < HELD_BYTES_MAX && !self.is_exclusive()
    }

    /// Whether a request waits that nothing is read past.
    pub(super) fn is_exclusive(&self) -> bool {
        matches!(self.queue.back(), Some((_, Answer { state: State::Waiting { exclusive: true, .. }, .. })))
    }

    /// Waits until the first answer is there.
    pub(super) async fn first_ready(&mut self) -> Result<(), Close> {
        poll_fn(|context| self.poll_first(context)).await
    }

    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Close>> {
        let Some((_, answer)) = self.queue.front_mut() else { return Poll::Pending };
        let State::Waiting { waiting, .. } = &mut answer.state else { return Poll::Ready(Ok(())) };
        match waiting.as_mut().poll(context) {
            Poll::Ready(Ok(reply)) => {
                answer.state = State::Ready(reply);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(why)) => Poll::Ready(Err(Close::Handler(why))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Takes the first answer if it is there already. Only the first is ever asked: the others cannot leave before it.
    pub(super) async fn pop_ready(&mut self) -> Result<Option<(Answer, Reply)>, Close> {
        let ready = poll_fn(|context| Poll::Ready(self.poll_first(context))).await;
        match ready {
            Poll::Pending => Ok(None),
            Poll::Ready(Err(close)) => Err(close),
            Poll::Ready(Ok(())) => Ok(self.pop()),
        }
    }

    fn pop(&mut self) -> Option<(Answer, Reply)> {
        let (held_bytes, mut answer) = self.queue.pop_front()?;
        self.held_bytes -= held_bytes;
        match &mut answer.state {
            State::Ready(reply) => {
                let reply = std::mem::take(reply);
                Some((answer, reply))
            }
            State::Waiting { .. } => None,
        }
    }
}
