//! A broker's side of the talk with the controller: a pure state machine that says what to send next. It registers, sends
//! heartbeats, and reports what it leads and the metadata does not know. Not here: sending, and timers.

use uuid::Uuid;

use super::{
    message::{Answer, Leadership, Refused, Registration, Request},
    reports,
    sessions::Heartbeat,
};
use crate::metadata::Image;

/// Between two heartbeats (Kafka `broker.heartbeat.interval.ms`).
const HEARTBEAT_MS: i64 = 2000;
/// After an answer that did not help. Elections of the controller end within a few of these.
const RETRY_MS: i64 = 200;
/// How long the image may take to bring what the controller took in, before it is said again.
const TOLD_MS: i64 = 500;
/// Partitions in one report; more follow in the next.
const REPORTED_MAX: usize = 500;

/// What the broker looks like at the moment.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Milliseconds of a clock that only grows.
    pub now_ms: i64,
    /// The broker's image.
    pub image: &'a Image,
    /// Offset that the image has reached.
    pub metadata_offset: i64,
    /// Partitions that it leads, those with one replica too.
    pub led: &'a [Leadership],
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this to the controller, and hand the answer to [`Agent::answered`].
    Send(Request),
    /// Nothing before this, unless something changes: leaderships, the image, the controller.
    WaitUntil(i64),
}

/// The broker's side.
#[derive(Debug)]
pub struct Agent {
    registration: Registration,
    /// The controller knows this incarnation.
    registered: bool,
    fenced: bool,
    wants_shutdown: bool,
    may_stop: bool,
    /// Last heartbeat that was heard; the next is due by it.
    heartbeat_due_ms: i64,
    /// Nothing is sent before this: the last answer did not help.
    pause_until_ms: i64,
    waiting: bool,
    /// What the controller took in and the image does not have yet, and when it is to be said again.
    told: Vec<(Leadership, i64)>,
    /// Why, and since when.
    refused: Option<(Refused, i64)>,
    controller: Option<i32>,
}

impl Agent {
    /// For a process of a broker, which is not registered yet.
    pub fn new(registration: Registration) -> Self {
        Self {
            registration,
            registered: false,
            fenced: true,
            wants_shutdown: false,
            may_stop: false,
            heartbeat_due_ms: i64::MIN,
            pause_until_ms: i64::MIN,
            waiting: false,
            told: Vec::new(),
            refused: None,
            controller: None,
        }
    }

    /// Which incarnation of the process this is.
    pub fn incarnation(&self) -> Uuid {
        self.registration.incarnation
    }

    /// Clients are not sent here.
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Why the broker cannot take part and since when, by [`View::now_ms`], if the controller said so and has not changed its
    /// mind: it is of another cluster, or another broker has its id. The latter may last for a session's time after this
    /// broker's own process ended and came back under another address.
    pub fn refused(&self) -> Option<(&Refused, i64)> {
        self.refused.as_ref().map(|(why, since_ms)| (why, *since_ms))
    }

    /// The controller, as the last that was not it said: for brokers that have not heard from the log's leader yet.
    pub fn controller_hint(&self) -> Option<i32> {
        self.controller
    }

    /// The broker wants to stop: heartbeats say so from now on.
    pub fn stop(&mut self) {
        self.wants_shutdown = true;
        self.heartbeat_due_ms = i64::MIN;
    }

    /// Others lead all that can be led elsewhere.
    pub fn may_stop(&self) -> bool {
        self.may_stop
    }

    /// What to do next. One message is on its way at a time.
    pub fn next(&mut self, view: &View) -> Step {
        if self.waiting {
            return Step::WaitUntil(i64::MAX);
        }
        if view.now_ms < self.pause_until_ms {
            return Step::WaitUntil(self.pause_until_ms);
        }
        self.told.retain(|(_, until_ms)| view.now_ms < *until_ms);
        let request = if !self.registered {
            Request::Register(self.registration.clone())
        } else if view.now_ms >= self.heartbeat_due_ms {
            Request::Heartbeat(self.heartbeat(view))
        } else if let Some(leaderships) = self.news(view) {
            let Registration { broker_id, incarnation, .. } = self.registration;
            Request::Report { broker_id, incarnation, leaderships }
        } else {
            let again_ms = self.told.iter().map(|(_, until_ms)| *until_ms).min();
            return Step::WaitUntil(again_ms.map_or(self.heartbeat_due_ms, |again| again.min(self.heartbeat_due_ms)));
        };
        self.waiting = true;
        Step::Send(request)
    }

    fn heartbeat(&self, view: &View) -> Heartbeat {
        Heartbeat {
            broker_id: self.registration.broker_id,
            incarnation: self.registration.incarnation,
            metadata_offset: view.metadata_offset,
            wants_fence: false,
            wants_shutdown: self.wants_shutdown,
        }
    }

    fn news(&self, view: &View) -> Option<Vec<Leadership>> {
        let me = self.registration.broker_id;
        let told = |led: &Leadership| self.told.iter().any(|(told, _)| told == led);
        let news = view.led.iter().filter(|led| reports::is_news(view.image, me, led) && !told(led)).take(REPORTED_MAX);
        Some(news.cloned().collect::<Vec<_>>()).filter(|news| !news.is_empty())
    }

    /// Takes in the answer to what was sent, or that there was none.
    pub fn answered(&mut self, request: &Request, answer: Option<Answer>, now_ms: i64) {
        self.waiting = false;
        self.pause_until_ms = i64::MIN;
        match answer {
            Some(Answer::Done) if matches!(request, Request::Register(_)) => {
                (self.registered, self.refused) = (true, None);
                self.heartbeat_due_ms = now_ms;
            }
            Some(Answer::Done) => {
                if let Request::Report { leaderships, .. } = request {
                    let told = leaderships.iter().cloned().map(|led| (led, now_ms + TOLD_MS));
                    self.told.extend(told);
                }
            }
            Some(Answer::Heard { fenced, may_stop }) => {
                (self.fenced, self.may_stop) = (fenced, may_stop);
                let hurry = fenced || (self.wants_shutdown && !may_stop);
                self.heartbeat_due_ms = now_ms + if hurry { RETRY_MS } else { HEARTBEAT_MS };
            }
            Some(Answer::Refused(Refused::NotRegistered)) => {
                (self.registered, self.fenced) = (false, true);
            }
            Some(Answer::Refused(why @ (Refused::DuplicateBroker | Refused::OtherCluster { .. }))) => {
                let since_ms =
                    self.refused.take().filter(|(before, _)| *before == why).map_or(now_ms, |(_, since)| since);
                self.refused = Some((why, since_ms));
                self.pause_until_ms = now_ms + HEARTBEAT_MS;
            }
            Some(Answer::Refused(Refused::NotController { leader })) => {
                self.controller = leader;
                self.pause_until_ms = now_ms + RETRY_MS;
            }
            Some(Answer::Refused(_) | Answer::ProducerIds { .. }) | None => self.pause_until_ms = now_ms + RETRY_MS,
        }
    }
}

#[cfg(test)]
mod tests;
