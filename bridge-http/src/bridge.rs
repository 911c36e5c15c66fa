//! What all requests share: the client, the one producer, bounds and counters. No other state: any bridge answers any
//! request.

use std::sync::Arc;

use tidemark_client::{Client, Producer, ProducerConfig};
use tokio::sync::watch;

use crate::{BridgeConfig, MetricsPage, body::BodyRoom, metrics::Counters, room::Room};

/// What a request carries beside its value: key, headers and the batch's own bytes.
const RECORD_OVERHEAD_BYTES: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) struct Bridge(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) producer: Producer,
    pub(crate) config: BridgeConfig,
    pub(crate) bodies: BodyRoom,
    pub(crate) answers: Room,
    pub(crate) counters: Counters,
    pub(crate) metrics_page: MetricsPage,
    /// Turns true when the bridge is to stop: nobody waits for records any more.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Bridge {
    pub(crate) fn new(
        client: Client,
        config: BridgeConfig,
        metrics_page: MetricsPage,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let producing = ProducerConfig {
            request_bytes_max: config.body_bytes_max + RECORD_OVERHEAD_BYTES,
            delivery_timeout: config.delivery_timeout,
            ..ProducerConfig::default()
        };
        Self(Arc::new(Shared {
            producer: Producer::new(client.clone(), producing),
            client,
            answers: Room::new(config.answers_bytes_max),
            bodies: BodyRoom::new(config.body_bytes_max, config.bodies_bytes_max),
            config,
            counters: Counters::default(),
            metrics_page,
            stopping,
        }))
    }
}

impl Shared {
    /// Done when the bridge is to stop.
    pub(crate) async fn stopped(&self) {
        // an error means that the one who says so is gone, which says the same
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

impl std::ops::Deref for Bridge {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
