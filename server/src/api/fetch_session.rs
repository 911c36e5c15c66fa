//! Incremental fetch sessions (KIP-227; Kafka `FetchSessionCache`): what a consumer asked for, so that it need not say it
//! again, and what it was told, so that it hears only what changed. Memory only: a client that names a session that is
//! gone starts anew. Not here: reading records, the wire.
//!
//! Bounds: [`SESSIONS_MAX`] sessions and [`PARTITIONS_MAX`] partitions in all of them. A fetch that would pass them gets
//! no session and goes on with full requests, unless the session that was used least lately is idle for
//! [`IDLE_BEFORE_EVICTION`]. Locks: the cache's, and one per session; none is held over an await, nor the cache's while a
//! session's is taken.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kafka_protocol::error::ResponseError;
use tokio::time::Instant;
use uuid::Uuid;

use crate::os::random::Random;

/// Sessions at most, as Kafka's `max.incremental.fetch.session.cache.slots`.
const SESSIONS_MAX: usize = 1000;
/// Partitions of all sessions at most: about 25 MiB.
const PARTITIONS_MAX: usize = 100_000;
/// Kafka's `min.incremental.fetch.session.eviction.ms`.
const IDLE_BEFORE_EVICTION: Duration = Duration::from_secs(120);
/// "No session", as a session id.
const NO_SESSION: i32 = 0;
/// The epoch of a full fetch that wants a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a full fetch that wants none.
const FINAL_EPOCH: i32 = -1;

/// What names a topic in a fetch: its name, or its id from version 13 on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TopicKey {
    /// Up to version 12.
    Name(Arc<str>),
    /// From version 13.
    Id(Uuid),
}

/// One partition that a fetch wants to hear about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The topic.
    pub(super) topic: TopicKey,
    /// What the topic's id meant when the session first saw it.
    pub(super) known_name: Option<Arc<str>>,
    /// The partition.
    pub(super) partition: i32,
    /// First offset wanted.
    pub(super) fetch_offset: i64,
    /// Bytes at most; negative ones are the reader's to refuse.
    pub(super) max_bytes: i32,
    /// Negative: no check.
    pub(super) current_leader_epoch: i32,
    /// Negative: no check for divergence.
    pub(super) last_fetched_epoch: i32,
}

impl Wanted {
    fn key(&self) -> (TopicKey, i32) {
        (self.topic.clone(), self.partition)
    }
}

/// What a session must know of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// -1 with an error.
    pub(super) high_watermark: i64,
    /// -1 with an error.
    pub(super) log_start_offset: i64,
    /// Whether records go with it, or where to read them.
    pub(super) has_records: bool,
    /// An error, or a diverging epoch: to be told again and again, and once more when it is over.
    pub(super) is_trouble: bool,
    /// The topic's name, if it is known.
    pub(super) name: Option<Arc<str>>,
}

/// How a request names its session.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionRequest {
    /// 0: none.
    pub(super) id: i32,
    /// Counts the session's requests.
    pub(super) epoch: i32,
    /// Whether this version names topics by id.
    pub(super) by_id: bool,
}

/// A fetch between its two halves: what is wanted, and where to put what was told.
#[derive(Debug)]
pub(super) struct OpenFetch {
    /// In the order in which to read: partitions that gave records last time come last.
    pub(super) wanted: Vec<Wanted>,
    kind: Kind,
}

impl OpenFetch {
    /// Whether there is or may be a session that remembers what is told.
    pub(super) fn has_session(&self) -> bool {
        !matches!(self.kind, Kind::Sessionless)
    }
}

#[derive(Debug)]
enum Kind {
    Sessionless,
    New { by_id: bool },
    Incremental { id: i32, next_epoch: i32, session: Arc<Mutex<Session>> },
}

/// What goes into the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// 0: none.
    pub(super) session_id: i32,
    /// By place in [`OpenFetch::wanted`]: whether the answer must have it.
    pub(super) include: Vec<bool>,
}

/// The broker's sessions.
#[derive(Debug)]
pub struct FetchSessions {
    random: Random,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    slots: BTreeMap<i32, Slot>,
    partitions: usize,
}

#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<Session>>,
    used: Instant,
    partitions: usize,
}

impl Cache {
    fn remove(&mut self, id: i32) {
        if let Some(slot) = self.slots.remove(&id) {
            self.partitions -= slot.partitions;
        }
    }

    /// Makes room for a session; false if there is none to be had.
    fn has_room(&mut self, partitions: usize, now: Instant) -> bool {
        if partitions > PARTITIONS_MAX {
            return false;
        }
        while self.slots.len() >= SESSIONS_MAX || self.partitions + partitions > PARTITIONS_MAX {
            let oldest = self.slots.iter().min_by_key(|(_, slot)| slot.used);
            let Some((&id, slot)) = oldest else { return false };
            if now.saturating_duration_since(slot.used) < IDLE_BEFORE_EVICTION {
                return false;
            }
            self.remove(id);
        }
        true
    }

    /// Notes a use and the new size; false if the session has outgrown what there is.
    fn touch(&mut self, id: i32, partitions: usize, now: Instant) -> bool {
        let Some(slot) = self.slots.get_mut(&id) else { return true };
        self.partitions = self.partitions - slot.partitions + partitions;
        (slot.used, slot.partitions) = (now, partitions);
        let fits = self.partitions <= PARTITIONS_MAX;
        if !fits {
            self.remove(id);
        }
        fits
    }
}

impl FetchSessions {
    /// No sessions yet; their ids come from `random`.
    pub fn new(random: Random) -> Self {
        Self { random, cache: Mutex::default() }
    }

    /// The first half: finds the session, and takes in what the request adds and forgets.
    ///
    /// # Errors
    /// FETCH_SESSION_ID_NOT_FOUND (70), INVALID_FETCH_SESSION_EPOCH (71), FETCH_SESSION_TOPIC_ID_ERROR (106).
    pub(super) fn open(
        &self,
        request: SessionRequest,
        wanted: Vec<Wanted>,
        forgotten: &[(TopicKey, i32)],
        now: Instant,
    ) -> Result<OpenFetch, ResponseError> {
        let SessionRequest { id, epoch, by_id } = request;
        if matches!(epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            self.cache().remove(id);
            let kind = if epoch == FINAL_EPOCH { Kind::Sessionless } else { Kind::New { by_id } };
            return Ok(OpenFetch { wanted, kind });
        }
        let found = self.cache().slots.get(&id).map(|slot| slot.session.clone());
        let session = found.ok_or(ResponseError::FetchSessionIdNotFound)?;
        let mut held = lock(&session);
        if held.epoch != epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if held.by_id != by_id {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        held.forget(forgotten);
        wanted.into_iter().for_each(|wanted| held.want(wanted));
        held.epoch = next_epoch(epoch);
        let (wanted, next_epoch) = (held.wanted(), held.epoch);
        drop(held);
        if wanted.is_empty() {
            self.cache().remove(id);
            return Ok(OpenFetch { wanted, kind: Kind::Sessionless });
        }
        if !self.cache().touch(id, wanted.len(), now) {
            return Err(ResponseError::FetchSessionIdNotFound);
        }
        Ok(OpenFetch { wanted, kind: Kind::Incremental { id, next_epoch, session } })
    }

    /// The second half: `told` stands beside [`OpenFetch::wanted`]. Decides what the answer has to repeat.
    ///
    /// # Errors
    /// INVALID_FETCH_SESSION_EPOCH (71): another request used the session meanwhile.
    pub(super) fn settle(&self, open: OpenFetch, told: &[Told], now: Instant) -> Result<Settled, ResponseError> {
        match open.kind {
            Kind::Sessionless => Ok(Settled { session_id: NO_SESSION, include: vec![true; told.len()] }),
            Kind::New { by_id } => {
                let session_id = self.create(open.wanted, told, by_id, now);
                Ok(Settled { session_id, include: vec![true; told.len()] })
            }
            Kind::Incremental { id, next_epoch, session } => {
                let mut held = lock(&session);
                if held.epoch != next_epoch {
                    return Err(ResponseError::InvalidFetchSessionEpoch);
                }
                let include = open.wanted.iter().zip(told).map(|(wanted, told)| held.tell(wanted, told)).collect();
                Ok(Settled { session_id: id, include })
            }
        }
    }

    /// The new session's id, or 0 if there is no room for one.
    fn create(&self, wanted: Vec<Wanted>, told: &[Told], by_id: bool, now: Instant) -> i32 {
        let mut cache = self.cache();
        if !cache.has_room(wanted.len(), now) {
            return NO_SESSION;
        }
        let mut session = Session { epoch: next_epoch(INITIAL_EPOCH), by_id, ..Session::default() };
        for (wanted, told) in wanted.into_iter().zip(told) {
            let key = wanted.key();
            session.want(wanted);
            session.remember(&key, told);
        }
        let id = loop {
            // above 0, and not in use
            let id = (self.random.u64() >> 33) as i32;
            if id != NO_SESSION && !cache.slots.contains_key(&id) {
                break id;
            }
        };
        let partitions = session.partitions.len();
        cache.partitions += partitions;
        cache.slots.insert(id, Slot { session: Arc::new(Mutex::new(session)), used: now, partitions });
        id
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kafka `FetchMetadata.nextEpoch`.
fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

/// One session. `partitions` is in reading order, `places` finds a partition in it.
#[derive(Debug, Default)]
struct Session {
    /// That the next request must carry.
    epoch: i32,
    by_id: bool,
    partitions: BTreeMap<u64, Held>,
    places: BTreeMap<(TopicKey, i32), u64>,
    next_place: u64,
}

#[derive(Debug)]
struct Held {
    wanted: Wanted,
    high_watermark: i64,
    log_start_offset: i64,
}

impl Session {
    /// Adds a partition at the end, or changes what is asked of it where it stands.
    fn want(&mut self, wanted: Wanted) {
        if let Some(held) = self.places.get(&wanted.key()).and_then(|place| self.partitions.get_mut(place)) {
            let known_name = held.wanted.known_name.take();
            held.wanted = Wanted { known_name, ..wanted };
            return;
        }
        self.push(Held { wanted, high_watermark: -1, log_start_offset: -1 });
    }

    fn push(&mut self, held: Held) {
        self.places.insert(held.wanted.key(), self.next_place);
        self.partitions.insert(self.next_place, held);
        self.next_place += 1;
    }

    fn forget(&mut self, forgotten: &[(TopicKey, i32)]) {
        for key in forgotten {
            if let Some(place) = self.places.remove(key) {
                self.partitions.remove(&place);
            }
        }
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.partitions.values().map(|held| held.wanted.clone()).collect()
    }

    fn remember(&mut self, key: &(TopicKey, i32), told: &Told) {
        if let Some(held) = self.places.get(key).and_then(|place| self.partitions.get_mut(place)) {
            held.note(told);
        }
    }

    /// Whether the answer must have this partition; one that gives records goes to the end of the line.
    fn tell(&mut self, wanted: &Wanted, told: &Told) -> bool {
        let Some(&place) = self.places.get(&wanted.key()) else { return true };
        let Some(held) = self.partitions.get_mut(&place) else { return true };
        let changed = held.note(told);
        if told.has_records
            && let Some(held) = self.partitions.remove(&place)
        {
            self.push(held);
        }
        changed || told.has_records || told.is_trouble
    }
}

impl Held {
    /// Takes in what was told; whether it was news.
    fn note(&mut self, told: &Told) -> bool {
        if self.wanted.known_name.is_none() {
            self.wanted.known_name.clone_from(&told.name);
        }
        let high_watermark = if told.is_trouble { -1 } else { told.high_watermark };
        let changed = self.high_watermark != high_watermark || self.log_start_offset != told.log_start_offset;
        (self.high_watermark, self.log_start_offset) = (high_watermark, told.log_start_offset);
        changed
    }
}

#[cfg(test)]
mod tests;
