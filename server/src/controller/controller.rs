//! The controller's state, and the one way records become an image.

use std::{fmt, sync::Arc};

use tokio::sync::Mutex;

use super::{
    error::ControllerError,
    handle::{ImageHandle, ImageListener},
    log::MetadataLog,
    producer_ids::ProducerIdBlock,
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
}

/// Decides changes of the metadata.
pub struct Controller {
    pub(super) config: ControllerConfig,
    pub(super) image: ImageHandle,
    pub(super) random: Random,
    pub(super) producer_ids: Mutex<ProducerIdBlock>,
    log: Box<dyn MetadataLog>,
    listener: Box<dyn ImageListener>,
    /// Held from a check to the commit of what it allowed.
    deciding: Mutex<()>,
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Controller {
    /// A controller over the image that the log's records made.
    pub fn new(
        config: ControllerConfig,
        image: ImageHandle,
        random: Random,
        log: Box<dyn MetadataLog>,
        listener: Box<dyn ImageListener>,
    ) -> Self {
        let producer_ids = Mutex::new(ProducerIdBlock::default());
        Self { config, image, random, producer_ids, log, listener, deciding: Mutex::new(()) }
    }

    /// The newest image.
    pub fn image(&self) -> Arc<Image> {
        self.image.load()
    }

    /// This broker.
    pub fn node_id(&self) -> i32 {
        self.config.node_id
    }

    /// Settings that topics inherit.
    pub fn broker_defaults(&self) -> &BrokerDefaults {
        &self.config.broker_defaults
    }

    /// Takes the right to decide; hold it until the records are proposed.
    pub(super) async fn decide(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.deciding.lock().await
    }

    /// Commits records and publishes the image they make. The caller holds the right to decide.
    pub(super) async fn commit(&self, records: &[MetadataRecord]) -> Result<(), ControllerError> {
        if records.is_empty() {
            return Ok(());
        }
        self.log.propose(records).await?;
        let old = self.image.load();
        let mut new = Image::clone(&old);
        for record in records {
            new.apply(record);
        }
        let new = Arc::new(new);
        self.image.store(new.clone());
        self.listener.image_changed(&old, &new);
        Ok(())
    }

    /// Makes sure that the cluster has an id and that this broker is registered under this address.
    ///
    /// # Errors
    /// The log failed.
    pub async fn register_broker(
        &self,
        cluster_id: &str,
        host: &str,
        port: u16,
        rack: Option<&str>,
    ) -> Result<(), ControllerError> {
        let _deciding = self.decide().await;
        let image = self.image.load();
        let mut records = Vec::new();
        if image.cluster_id().is_empty() {
            records.push(MetadataRecord::Cluster { cluster_id: cluster_id.to_owned() });
        }
        let broker_id = self.config.node_id;
        let known = image
            .broker(broker_id)
            .is_some_and(|known| known.host == host && known.port == port && known.rack.as_deref() == rack);
        if !known {
            let (host, rack, incarnation) = (host.to_owned(), rack.map(str::to_owned), self.random.uuid());
            records.push(MetadataRecord::RegisterBroker { broker_id, incarnation, host, port, rack });
        }
        self.commit(&records).await
    }
}
