//! Answers of one connection, in the order of their requests. Not here: writing them.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::{budget::Charge, close::Close};
use crate::api::{Reply, ReplyHeader, Waiting};

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

/// The queue.
#[derive(Default)]
pub(super) struct Answers(VecDeque<Answer>);

impl Answers {
    pub(super) fn push(&mut self, answer: Answer) {
        self.0.push_back(answer);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the connection may read another request.
    pub(super) fn may_read(&self, pipelined_max: usize) -> bool {
        self.0.len() < pipelined_max && !self.is_exclusive()
    }

    /// Whether a request waits that nothing is read past.
    pub(super) fn is_exclusive(&self) -> bool {
        matches!(self.0.back(), Some(Answer { state: State::Waiting { exclusive: true, .. }, .. }))
    }

    /// Waits until the first answer is there.
    pub(super) async fn first_ready(&mut self) -> Result<(), Close> {
        poll_fn(|context| self.poll_first(context)).await
    }

    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Close>> {
        let Some(answer) = self.0.front_mut() else { return Poll::Pending };
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
            Poll::Ready(Ok(())) => Ok(self.0.pop_front().and_then(|mut answer| match &mut answer.state {
                State::Ready(reply) => {
                    let reply = std::mem::take(reply);
                    Some((answer, reply))
                }
                State::Waiting { .. } => None,
            })),
        }
    }
}
