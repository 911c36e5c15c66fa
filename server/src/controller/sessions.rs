//! Who was heard from lately (Kafka `BrokerHeartbeatManager`): a pure state machine that is told the time.
//!
//! The active controller alone keeps it, and only in memory: a new controller gives every registered broker a whole session.
//! Not here: writing down who is fenced.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::metadata::{Broker, Image};

/// What the controller knows of the brokers' processes.
#[derive(Debug)]
pub(super) struct Sessions {
    timeout_ms: i64,
    brokers: BTreeMap<i32, Session>,
    /// The incarnation whose place the present one took.
    replaced: BTreeMap<i32, Uuid>,
}

#[derive(Debug)]
struct Session {
    incarnation: Uuid,
    heard_ms: i64,
    /// The broker's image must hold all below this before clients are sent there.
    caught_up_at: i64,
    /// It wants to stop.
    leaving: bool,
}

/// What a broker says of itself (Kafka `BrokerHeartbeatRequest`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who.
    pub broker_id: i32,
    /// Which incarnation of its process.
    pub incarnation: Uuid,
    /// Offset that its image has reached.
    pub metadata_offset: i64,
    /// It does not want clients.
    pub wants_fence: bool,
    /// It wants to stop once others lead what it leads.
    pub wants_shutdown: bool,
}

/// What follows from a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing changes.
    Stay,
    /// Clients may be sent there from now on.
    Unfence,
    /// Clients must not be sent there any more.
    Fence,
}

impl Sessions {
    pub(super) fn new(timeout_ms: i64) -> Self {
        Self { timeout_ms, brokers: BTreeMap::new(), replaced: BTreeMap::new() }
    }

    /// This broker became the controller, and has not heard from anybody.
    pub(super) fn restart(&mut self, image: &Image, now_ms: i64) {
        self.brokers.clear();
        for broker in image.brokers() {
            self.begin(broker.id, broker.incarnation, 0, now_ms);
        }
    }

    /// A broker registered; it has caught up once its image holds all below `caught_up_at`.
    pub(super) fn begin(&mut self, broker_id: i32, incarnation: Uuid, caught_up_at: i64, now_ms: i64) {
        let session = Session { incarnation, heard_ms: now_ms, caught_up_at, leaving: false };
        let before = self.brokers.insert(broker_id, session);
        if let Some(before) = before.filter(|before| before.incarnation != incarnation) {
            self.replaced.insert(broker_id, before.incarnation);
        }
    }

    /// Whether a later incarnation took this one's place: should it speak again, two processes have one id.
    pub(super) fn was_replaced(&self, broker_id: i32, incarnation: Uuid) -> bool {
        self.replaced.get(&broker_id) == Some(&incarnation)
    }

    /// A broker was unregistered.
    pub(super) fn end(&mut self, broker_id: i32) {
        self.brokers.remove(&broker_id);
        self.replaced.remove(&broker_id);
    }

    /// Whether this incarnation was heard from within a session's time.
    pub(super) fn is_live(&self, broker: &Broker, now_ms: i64) -> bool {
        self.brokers
            .get(&broker.id)
            .is_some_and(|session| session.incarnation == broker.incarnation && !self.is_over(session, now_ms))
    }

    fn is_over(&self, session: &Session, now_ms: i64) -> bool {
        now_ms.saturating_sub(session.heard_ms) >= self.timeout_ms
    }

    /// Takes in a heartbeat of a registered incarnation.
    pub(super) fn heard(&mut self, heartbeat: &Heartbeat, broker: &Broker, now_ms: i64) -> Next {
        let session = self.brokers.entry(broker.id).or_insert(Session {
            incarnation: broker.incarnation,
            heard_ms: now_ms,
            caught_up_at: 0,
            leaving: false,
        });
        if session.incarnation != broker.incarnation {
            (session.incarnation, session.caught_up_at) = (broker.incarnation, 0);
        }
        session.heard_ms = now_ms;
        session.leaving = heartbeat.wants_shutdown;
        let ready = heartbeat.metadata_offset >= session.caught_up_at;
        match (broker.fenced, heartbeat.wants_fence) {
            (false, true) => Next::Fence,
            (true, false) if ready && !heartbeat.wants_shutdown => Next::Unfence,
            _ => Next::Stay,
        }
    }

    /// Brokers that are not fenced and fell silent. One that is new to this controller gets a whole session first.
    pub(super) fn silent(&mut self, image: &Image, now_ms: i64) -> Vec<(i32, Uuid)> {
        let mut silent = Vec::new();
        for broker in image.brokers().filter(|broker| !broker.fenced) {
            match self.brokers.get(&broker.id) {
                None => self.begin(broker.id, broker.incarnation, 0, now_ms),
                Some(session) if self.is_over(session, now_ms) => silent.push((broker.id, broker.incarnation)),
                Some(_) => {}
            }
        }
        silent
    }

    /// Brokers on which nothing new is placed: they stop.
    pub(super) fn leaving(&self) -> BTreeSet<i32> {
        self.brokers.iter().filter(|(_, session)| session.leaving).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::MetadataRecord;

    const SESSION_MS: i64 = 9000;

    fn image(fenced: bool) -> Image {
        let mut image = Image::default();
        for broker_id in [1, 2] {
            image.apply(&MetadataRecord::RegisterBroker {
                broker_id,
                incarnation: Uuid::from_u128(broker_id as u128),
                host: "h".into(),
                port: 1,
                rack: None,
                raft: None,
                directory_id: Uuid::nil(),
                fenced,
            });
        }
        image
    }

    fn heartbeat(broker_id: i32, metadata_offset: i64) -> Heartbeat {
        let incarnation = Uuid::from_u128(broker_id as u128);
        Heartbeat { broker_id, incarnation, metadata_offset, wants_fence: false, wants_shutdown: false }
    }

    #[test]
    fn a_broker_is_unfenced_once_it_has_caught_up_and_silent_after_a_whole_session() {
        let (fenced, unfenced, mut sessions) = (image(true), image(false), Sessions::new(SESSION_MS));
        sessions.begin(1, Uuid::from_u128(1), 40, 0);
        assert_eq!(sessions.heard(&heartbeat(1, 39), fenced.broker(1).unwrap(), 10), Next::Stay);
        assert_eq!(sessions.heard(&heartbeat(1, 40), fenced.broker(1).unwrap(), 2000), Next::Unfence);
        assert_eq!(sessions.heard(&heartbeat(1, 41), unfenced.broker(1).unwrap(), 4000), Next::Stay);
        assert!(sessions.silent(&unfenced, 4000 + SESSION_MS - 1).is_empty());
        assert_eq!(sessions.silent(&unfenced, 4000 + SESSION_MS), [(1, Uuid::from_u128(1))]);
        assert!(sessions.silent(&fenced, 4000 + SESSION_MS).is_empty(), "it is fenced already");
        assert!(!sessions.is_live(unfenced.broker(1).unwrap(), 4000 + SESSION_MS));
    }

    #[test]
    fn a_new_controller_gives_a_whole_session_to_all() {
        let (image, mut sessions) = (image(false), Sessions::new(SESSION_MS));
        sessions.restart(&Image::default(), 49_000);
        assert!(sessions.silent(&image, 50_000).is_empty(), "registered under the one before, seen now");
        assert!(sessions.silent(&image, 50_000 + SESSION_MS - 1).is_empty());
        assert_eq!(sessions.silent(&image, 50_000 + SESSION_MS).len(), 2);
    }

    #[test]
    fn who_leaves_or_wants_no_clients_is_not_unfenced() {
        let (fenced, unfenced, mut sessions) = (image(true), image(false), Sessions::new(SESSION_MS));
        let leaves = Heartbeat { wants_shutdown: true, ..heartbeat(2, 1) };
        assert_eq!(sessions.heard(&leaves, fenced.broker(2).unwrap(), 0), Next::Stay);
        assert_eq!(sessions.leaving(), BTreeSet::from([2]));
        let shy = Heartbeat { wants_fence: true, ..heartbeat(2, 1) };
        assert_eq!(sessions.heard(&shy, unfenced.broker(2).unwrap(), 0), Next::Fence);
        assert!(sessions.leaving().is_empty(), "it stays after all");
        assert_eq!(sessions.heard(&shy, fenced.broker(2).unwrap(), 0), Next::Stay);
    }
}
