//! The controller's state, and the one way records become an image.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError, atomic::AtomicU64},
};

use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use super::{
    error::ControllerError,
    handle::{ImageHandle, ImageListener, Publisher},
    log::MetadataLog,
    peers::{NoPeers, Peers},
    producer_ids::ProducerIdBlock,
    quorum::Quorum,
    role::{Role, Tenure},
    sessions::Sessions,
    transfers::InFlight,
};
use crate::{
    metadata::{Image, MetadataRecord, topic_config::BrokerDefaults},
    os::random::Random,
};

/// What the controller is told at start.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    /// This broker.
    pub node_id: i32,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// Partitions that all topics together may have.
    pub partitions_max: usize,
    /// The broker's own settings, which topics inherit.
    pub broker_defaults: BrokerDefaults,
    /// `broker.session.timeout.ms`: a broker that was silent so long is fenced.
    pub session_timeout_ms: i64,
    /// `leader.imbalance.check.interval.seconds`, in milliseconds; `auto.leader.rebalance.enable=false` is `None`.
    pub balance_interval_ms: Option<i64>,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
}

/// Kafka's default of `broker.session.timeout.ms`.
pub const SESSION_TIMEOUT_MS: i64 = 9000;
/// Kafka's default of `metadata.log.max.record.bytes.between.snapshots`.
pub const SNAPSHOT_BYTES: u64 = 20 << 20;
/// Kafka's default of `leader.imbalance.check.interval.seconds`, in milliseconds.
pub const BALANCE_INTERVAL_MS: i64 = 300_000;

/// Decides changes of the metadata.
pub struct Controller {
    pub(super) config: ControllerConfig,
    pub(super) image: ImageHandle,
    pub(super) random: Random,
    pub(super) producer_ids: Mutex<ProducerIdBlock>,
    pub(super) log: Box<dyn MetadataLog>,
    pub(super) peers: Box<dyn Peers>,
    pub(super) tenure: watch::Sender<Tenure>,
    /// Held from a check to the commit of what it allowed.
    pub(super) deciding: Mutex<()>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) publisher: Publisher,
    /// Bytes committed since the last snapshot; of a log that others wrote, all that it has.
    pub(super) since_snapshot: AtomicU64,
    sessions: StdMutex<Sessions>,
    started: Instant,
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Controller {
    /// A controller over the image that the log's records made; of a broker that is alone until [`Self::in_cluster`].
    pub fn new(
        config: ControllerConfig,
        image: ImageHandle,
        random: Random,
        log: Box<dyn MetadataLog>,
        listener: Box<dyn ImageListener>,
    ) -> Self {
        Self {
            sessions: StdMutex::new(Sessions::new(config.session_timeout_ms)),
            publisher: Publisher::new(image.clone(), listener),
            producer_ids: Mutex::new(ProducerIdBlock::default()),
            peers: Box::new(NoPeers),
            tenure: watch::Sender::new(Tenure::ALONE),
            deciding: Mutex::new(()),
            in_flight: Arc::default(),
            since_snapshot: AtomicU64::new(log.size_bytes()),
            started: Instant::now(),
            config,
            image,
            random,
            log,
        }
    }

    /// One of several brokers, which decides nothing until [`Self::set_role`] says so.
    #[must_use]
    pub fn in_cluster(mut self, peers: Box<dyn Peers>) -> Self {
        self.peers = peers;
        self.set_role(Role::Observer { leader: None });
        self
    }

    /// The newest image.
    pub fn image(&self) -> Arc<Image> {
        self.image.load()
    }

    /// The newest image and how far it has come, to be awaited and followed.
    pub fn image_handle(&self) -> &ImageHandle {
        &self.image
    }

    /// This broker.
    pub fn node_id(&self) -> i32 {
        self.config.node_id
    }

    /// Settings that topics inherit.
    pub fn broker_defaults(&self) -> &BrokerDefaults {
        &self.config.broker_defaults
    }

    /// How the replicas of the metadata's log stand.
    pub fn quorum(&self) -> Quorum {
        self.log.quorum()
    }

    /// Commits records and publishes the image they make. The caller holds the right to decide.
    pub(super) async fn commit(&self, records: &[MetadataRecord]) -> Result<(), ControllerError> {
        if records.is_empty() {
            return Ok(());
        }
        let committed = self.log.propose(records).await?;
        if !self.publisher.apply(committed.base_offset, records, committed.next_offset) {
            // whoever follows the log has yet to bring what lies before
            self.image.reached(committed.next_offset).await;
        }
        self.count_towards_snapshot(records);
        self.snapshot_if_due().await;
        Ok(())
    }

    /// Takes in a committed batch of the log that somebody else proposed, in the order of the log. A batch that the image holds
    /// already changes nothing.
    ///
    /// Returns whether the image holds the batch now: false means that batches before it are missing.
    pub fn apply_committed(&self, base_offset: i64, records: &[MetadataRecord], next_offset: i64) -> bool {
        self.publisher.apply(base_offset, records, next_offset)
    }

    /// Milliseconds since this controller was made: for sessions, which the wall clock must not move.
    pub(super) fn now_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn sessions(&self) -> StdMutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn restart_sessions(&self) {
        self.sessions().restart(&self.image.load(), self.now_ms());
    }

    /// Brokers that are about to stop.
    pub(super) fn leaving(&self) -> BTreeSet<i32> {
        self.sessions().leaving()
    }
}
