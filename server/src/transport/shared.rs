//! What all connections of a broker share, in both directions.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{close::Close, config::TransportConfig, dial::Dialer, identity::Identity, metrics::TransportMetrics};
use crate::{
    metrics::LogLimit,
    os::{budget::Budget, random::Random},
};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) identity: Identity,
    /// Joined since the start.
    joined: OnceLock<String>,
    /// Drawn at this start: tells two processes with one id apart.
    pub(super) process: Uuid,
    pub(super) config: TransportConfig,
    pub(super) budget: Budget,
    pub(super) random: Random,
    pub(super) dialer: Arc<dyn Dialer>,
    pub(super) metrics: TransportMetrics,
    pub(super) log_limit: LogLimit,
    pub(super) id_taken: watch::Sender<Option<IdTaken>>,
    pub(super) losses: watch::Sender<Losses>,
    /// When each broker last made a connection to this one.
    arrivals: Mutex<HashMap<i32, Instant>>,
    retired: Mutex<HashSet<(i32, Uuid)>>,
}

/// How many connections with each broker, made by either side, ended so far though nobody wanted it.
pub type Losses = BTreeMap<i32, u64>;

/// Another process runs with this broker's id: one of the two must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdTaken {
    /// The broker that has a live connection of the other process, and so refuses ours.
    pub said_by: i32,
}

impl Shared {
    pub(super) fn new(
        identity: Identity,
        config: TransportConfig,
        (random, dialer): (Random, Arc<dyn Dialer>),
        metrics: TransportMetrics,
    ) -> Self {
        Self {
            identity,
            joined: OnceLock::new(),
            process: random.uuid(),
            budget: Budget::new(config.memory_bytes_max),
            config,
            random,
            dialer,
            metrics,
            log_limit: LogLimit::default(),
            id_taken: watch::Sender::new(None),
            losses: watch::Sender::default(),
            arrivals: Mutex::default(),
            retired: Mutex::default(),
        }
    }

    /// Who this broker is now.
    pub(super) fn us(&self) -> Identity {
        let cluster_id = self.joined.get().unwrap_or(&self.identity.cluster_id).clone();
        Identity { cluster_id, ..self.identity.clone() }
    }

    /// From now on it belongs to a cluster. The first one counts.
    pub(super) fn join(&self, cluster_id: &str) {
        let _ = self.joined.set(cluster_id.to_owned());
    }

    /// A connection with a broker has ended.
    pub(super) fn note_end(&self, broker_id: i32, close: &Close) {
        if !matches!(close, Close::Replaced | Close::Forgotten | Close::Shutdown) {
            self.losses.send_modify(|losses| *losses.entry(broker_id).or_default() += 1);
        }
    }

    /// A broker was let in: it is there.
    pub(super) fn note_arrival(&self, broker_id: i32) {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).insert(broker_id, Instant::now());
    }

    /// Whether a broker was let in since.
    pub(super) fn has_arrived_since(&self, broker_id: i32, since: Instant) -> bool {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).get(&broker_id).is_some_and(|at| *at > since)
    }

    pub(super) fn retire(&self, broker_id: i32, incarnation: Uuid) {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).insert((broker_id, incarnation));
    }

    pub(super) fn is_retired(&self, broker_id: i32, incarnation: Uuid) -> bool {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).contains(&(broker_id, incarnation))
    }
}
