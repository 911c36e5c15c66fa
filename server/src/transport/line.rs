//! A line: all calls to one broker on one lane, in the order in which they were made. Not here: the connection under it.
//!
//! ```text
//!   idle --call--> connecting --> open --cut, stall--> backing off --call, once the time is over--> connecting
//!                      '-----------failed-----------------^
//! ```
//! A line has a task only while it has, or makes, a connection. While it backs off, calls fail at once, unless the broker has
//! made a connection to this one meanwhile: then it is there.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Context,
    time::Duration,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::{sync::oneshot, time::Instant};

use super::{
    close::Close,
    error::{CallError, NotAdmitted},
    frame::HEADER_BYTES,
    identity::Lane,
    shared::Shared,
};

/// What a call of no bytes counts for, so that many small ones are bounded too.
const CALL_BYTES: usize = 128;

pub(super) type Answered = oneshot::Sender<Result<Bytes, CallError>>;

/// A call that waits to be sent.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) kind: u8,
    pub(super) body: Vec<Bytes>,
    pub(super) answered: Answered,
}

/// Calls to one broker on one lane.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) shared: Arc<Shared>,
    pub(super) to: i32,
    pub(super) lane: Lane,
    pub(super) host: String,
    pub(super) port: u16,
    state: Mutex<LineState>,
    /// Wakes the connection's task.
    waker: AtomicWaker,
}

#[derive(Debug)]
struct LineState {
    queue: VecDeque<Queued>,
    /// Of calls that are not wholly sent.
    bytes: usize,
    /// Calls without an answer, queued ones included.
    calls: usize,
    /// Whether a task has, or makes, a connection.
    has_task: bool,
    /// While this lies ahead, calls fail with `last`.
    retry_at: Instant,
    failed_at: Instant,
    back_off: Duration,
    last: Option<CallError>,
    /// What was logged last about failures, so that each is said once.
    said: Option<&'static str>,
    ended: Option<CallError>,
}

impl Line {
    pub(super) fn new(shared: Arc<Shared>, to: i32, lane: Lane, host: String, port: u16) -> Self {
        let state = LineState {
            queue: VecDeque::new(),
            bytes: 0,
            calls: 0,
            has_task: false,
            retry_at: Instant::now(),
            failed_at: Instant::now(),
            back_off: shared.config.back_off_min,
            last: None,
            said: None,
            ended: None,
        };
        Self { shared, to, lane, host, port, state: Mutex::new(state), waker: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a call; true if the caller must start a task that makes the connection.
    pub(super) fn push(&self, call: Queued) -> Result<bool, CallError> {
        let config = &self.shared.config;
        let len = cost(&call.body);
        let mut state = self.state();
        if let Some(error) = &state.ended {
            return Err(error.clone());
        }
        if !state.has_task
            && let Some(error) = &state.last
            && Instant::now() < state.retry_at
            && !self.shared.has_arrived_since(self.to, state.failed_at)
        {
            return Err(error.clone());
        }
        if state.calls >= config.calls_max || (state.bytes > 0 && state.bytes + len > config.queue_bytes_max) {
            return Err(CallError::QueueFull(self.to));
        }
        state.queue.push_back(call);
        state.bytes += len;
        state.calls += 1;
        let first = !std::mem::replace(&mut state.has_task, true);
        drop(state);
        self.waker.wake();
        Ok(first)
    }

    /// Moves calls of about `bytes_max` from the queue to a connection; skips those that nobody waits for any more.
    pub(super) fn take(
        &self,
        cx: &Context<'_>,
        bytes_max: usize,
        mut connection: impl FnMut(Queued),
    ) -> Result<(), Close> {
        self.waker.register(cx.waker());
        let mut taken = 0;
        while taken < bytes_max {
            let mut state = self.state();
            if let Some(error) = &state.ended {
                return Err(if *error == CallError::Stopped { Close::Shutdown } else { Close::Forgotten });
            }
            let Some(call) = state.queue.pop_front() else { break };
            let len = cost(&call.body);
            if call.answered.is_closed() {
                state.bytes -= len;
                state.calls -= 1;
                continue;
            }
            drop(state);
            // its checksum is taken here, which is no work to do under a lock
            taken += len;
            connection(call);
        }
        Ok(())
    }

    /// Calls have left for the kernel: their frames' lengths together.
    pub(super) fn sent(&self, frames: usize, bytes: usize) {
        self.state().bytes -= bytes + frames * (CALL_BYTES - HEADER_BYTES);
    }

    pub(super) fn answered(&self, calls: usize) {
        self.state().calls -= calls;
    }

    /// The other side admitted us.
    pub(super) fn opened(&self) {
        let mut state = self.state();
        state.back_off = self.shared.config.back_off_min;
        if state.said.take().is_some() {
            tracing::info!(broker = self.to, lane = self.lane.name(), "broker reached again");
        }
    }

    /// No connection: all that waits fails, and the broker is left alone for a while.
    pub(super) fn not_opened(&self, error: &CallError) {
        self.log_once(error);
        let calls = self.back_off(error);
        self.fail(calls, error);
    }

    /// The connection ended. Calls that were on it fail with an error that says so, the rest as not sent.
    pub(super) fn cut(&self, close: &Close, on_connection: impl Iterator<Item = Answered>) {
        let why = close.to_string();
        let error = if close.is_stall() {
            CallError::Stalled(self.to)
        } else {
            CallError::Cut { broker_id: self.to, why: why.clone() }
        };
        if close.is_stall() {
            self.log_once(&error);
        } else if !close.is_notable() {
            tracing::debug!(broker = self.to, lane = self.lane.name(), %close, "connection to a broker ended");
        } else if let Some(unsaid) = self.shared.log_limit.allow() {
            tracing::warn!(broker = self.to, lane = self.lane.name(), %close, unsaid, "connection to a broker closed");
        }
        let calls = self.back_off(&CallError::Unreachable { broker_id: self.to, why: why.clone() });
        let unsent = if close.is_stall() { error.clone() } else { CallError::Unreachable { broker_id: self.to, why } };
        for answered in on_connection {
            self.fail_one(answered, &error);
        }
        self.fail(calls, &unsent);
    }

    /// No calls any more, for good.
    pub(super) fn end(&self, error: &CallError) {
        let calls = {
            let mut state = self.state();
            state.ended = Some(error.clone());
            if state.has_task { VecDeque::new() } else { std::mem::take(&mut state.queue) }
        };
        self.waker.wake();
        self.fail(calls, error);
    }

    /// Whether it makes calls no more; if it does, the task is woken when it ends.
    pub(super) fn is_ended(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.state().ended.is_some()
    }

    fn back_off(&self, last: &CallError) -> VecDeque<Queued> {
        let config = &self.shared.config;
        let mut state = self.state();
        let half_us = (state.back_off.as_micros() as u64) / 2;
        let jitter_us = self.shared.random.below(half_us + 1);
        state.failed_at = Instant::now();
        state.retry_at = state.failed_at + Duration::from_micros(half_us + jitter_us);
        state.back_off = (state.back_off * 2).min(config.back_off_max);
        state.last = Some(last.clone());
        state.has_task = false;
        state.bytes = 0;
        state.calls = 0;
        std::mem::take(&mut state.queue)
    }

    fn fail(&self, calls: VecDeque<Queued>, error: &CallError) {
        for call in calls {
            self.fail_one(call.answered, error);
        }
    }

    fn fail_one(&self, answered: Answered, error: &CallError) {
        if !answered.is_closed() {
            self.shared.metrics.failed(error.reason());
            // the caller may have left meanwhile
            let _ = answered.send(Err(error.clone()));
        }
    }

    fn log_once(&self, error: &CallError) {
        let said = match error {
            CallError::NotAdmitted { why, .. } => why.reason(),
            error => error.reason(),
        };
        if self.state().said.replace(said) == Some(said) {
            return;
        }
        let (broker, lane, host, port) = (self.to, self.lane.name(), &self.host, self.port);
        match error {
            CallError::NotAdmitted { why: why @ NotAdmitted::DuplicateId, .. } => {
                tracing::error!(broker, lane, %host, port, %why, next_step = why.next_step(), "broker does not take our calls");
            }
            CallError::NotAdmitted { why, .. } => {
                tracing::warn!(broker, lane, %host, port, %why, next_step = why.next_step(), "broker does not take our calls");
            }
            error => tracing::info!(broker, lane, %host, port, %error, "broker not reached"),
        }
    }
}

fn cost(body: &[Bytes]) -> usize {
    CALL_BYTES + body.iter().map(Bytes::len).sum::<usize>()
}
