//! What all connections of a broker share, in both directions.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::sync::watch;
use uuid::Uuid;

use super::{config::TransportConfig, dial::Dialer, identity::Identity, metrics::TransportMetrics};
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
    retired: Mutex<HashSet<(i32, Uuid)>>,
}

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

    pub(super) fn retire(&self, broker_id: i32, incarnation: Uuid) {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).insert((broker_id, incarnation));
    }

    pub(super) fn is_retired(&self, broker_id: i32, incarnation: Uuid) -> bool {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).contains(&(broker_id, incarnation))
    }
}
