//! The room's door: what all listeners share, and starting one.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};

use super::{config::NetConfig, listener::accept_loop, quota::Quota};
use crate::{
    api::Dispatcher,
    metrics::{Counter, Gauge, LogLimit, Registry},
    os::{budget::Budget, network::Listener},
    tasks::{self, TaskKind},
};

/// What all listeners and connections of a broker share.
#[derive(Debug)]
pub struct Net {
    pub(super) config: NetConfig,
    pub(super) dispatcher: Dispatcher,
    pub(super) budget: Budget,
    pub(super) quota: Arc<Quota>,
    pub(super) log_limit: LogLimit,
    pub(super) metrics: NetMetrics,
}

impl Net {
    /// Limits and metrics for any number of listeners.
    pub fn new(config: NetConfig, dispatcher: Dispatcher, registry: &Registry) -> Arc<Self> {
        let budget = Budget::new(config.memory_bytes_max);
        Arc::new(Self {
            quota: Quota::new(&config, &budget),
            budget,
            log_limit: LogLimit::default(),
            metrics: NetMetrics::new(registry),
            config,
            dispatcher,
        })
    }

    /// Serves a listener until `shutdown` turns true (or its sender is gone). Clients that came in by it are told this
    /// broker's address as `host` and `port`. The task ends when its last connection has: at most
    /// [`NetConfig::drain_max`] after the shutdown.
    pub fn serve(
        self: &Arc<Self>,
        listener: Listener,
        host: &str,
        port: u16,
        shutdown: watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        tasks::spawn(TaskKind::Listener, accept_loop(self.clone(), listener, host.into(), port, shutdown))
    }
}

/// This room's metrics.
#[derive(Debug)]
pub(super) struct NetMetrics {
    registry: Registry,
    pub(super) connections: Gauge,
    pub(super) accepted: Counter,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
}

impl NetMetrics {
    fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            connections: registry.gauge("tidemark_connections", "open connections", &[]),
            accepted: registry.counter("tidemark_connections_accepted_total", "connections let in", &[]),
            bytes_in: registry.counter("tidemark_request_bytes_total", "bytes of requests", &[]),
            bytes_out: registry.counter("tidemark_response_bytes_total", "bytes of answers", &[]),
        }
    }

    pub(super) fn not_admitted(&self, reason: &str) {
        let help = "connections not let in, by limit";
        self.registry.counter("tidemark_connections_refused_total", help, &[("reason", reason)]).increment();
    }

    pub(super) fn closed(&self, reason: &str) {
        let help = "connections closed, by reason";
        self.registry.counter("tidemark_connections_closed_total", help, &[("reason", reason)]).increment();
    }
}
