//! This room's metrics.

use super::frame::{Frame, HEADER_BYTES};
use crate::metrics::{Counter, Gauge, Registry};

#[derive(Debug)]
pub(super) struct TransportMetrics {
    registry: Registry,
    /// Connections that other brokers made.
    pub(super) serving: Gauge,
    /// Connections to other brokers.
    pub(super) calling: Gauge,
    pub(super) calls: Counter,
    pub(super) served: Counter,
    pub(super) bytes_out: Counter,
    bytes_in: Counter,
}

impl TransportMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let connections = |made_by: &str| {
            let help = "open connections between brokers, by who made them";
            registry.gauge("tidemark_peer_connections", help, &[("made_by", made_by)])
        };
        let bytes = |direction: &str| {
            let help = "bytes of whole frames between brokers";
            registry.counter("tidemark_peer_bytes_total", help, &[("direction", direction)])
        };
        Self {
            registry: registry.clone(),
            serving: connections("peer"),
            calling: connections("self"),
            calls: registry.counter("tidemark_peer_calls_total", "calls made to other brokers", &[]),
            served: registry.counter("tidemark_peer_calls_served_total", "calls of other brokers", &[]),
            bytes_out: bytes("out"),
            bytes_in: bytes("in"),
        }
    }

    pub(super) fn received(&self, frame: &Frame) {
        self.bytes_in.add((HEADER_BYTES + frame.header.body_len) as u64);
    }

    pub(super) fn failed(&self, reason: &str) {
        let help = "calls to other brokers without an answer, by reason";
        self.registry.counter("tidemark_peer_calls_failed_total", help, &[("reason", reason)]).increment();
    }

    pub(super) fn closed(&self, reason: &str) {
        let help = "connections between brokers that ended, by reason";
        self.registry.counter("tidemark_peer_connections_closed_total", help, &[("reason", reason)]).increment();
    }
}

/// Counts a connection as open, even past a panic.
#[derive(Debug)]
pub(super) struct Open(Gauge);

impl Open {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.add(1);
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
