//! `/`, `/healthy`, `/ready`, `/metrics`: what those ask who run the bridge.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header::CONTENT_TYPE},
    response::IntoResponse,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    bridge::Bridge,
    error::{Kind, Problem},
};

/// How long a broker may take to answer before the bridge is not ready.
const READY_IN: Duration = Duration::from_secs(2);

/// Name, version, and where to go on.
pub(crate) async fn root() -> Json<Value> {
    Json(json!({
        "name": "tidemark",
        "version": env!("CARGO_PKG_VERSION"),
        "links": {
            "streams": "/v1/streams",
            "produce": "/v1/streams/{topic}/records",
            "replay": "/v1/streams/{topic}/partitions/{partition}/records",
            "partition": "/v1/streams/{topic}/partitions/{partition}",
            "healthy": "/healthy",
            "ready": "/ready",
            "metrics": "/metrics",
        },
    }))
}

/// The process answers.
pub(crate) async fn healthy() -> Json<Value> {
    Json(json!({"healthy": true}))
}

/// A broker answers.
pub(crate) async fn ready(State(bridge): State<Bridge>) -> Result<Json<Value>, Problem> {
    if *bridge.stopping.borrow() {
        return Err(Problem::new(Kind::BrokerUnavailable, "the bridge is stopping"));
    }
    let admin = bridge.client.admin();
    match timeout(READY_IN, admin.describe_cluster()).await {
        Ok(described) => {
            let brokers = described?.brokers.len();
            Ok(Json(json!({"ready": true, "brokers": brokers})))
        }
        Err(_) => Err(Problem::new(Kind::BrokerUnavailable, "no broker answered in time")),
    }
}

/// Counters of the process and the bridge, for Prometheus.
pub(crate) async fn metrics(State(bridge): State<Bridge>) -> impl IntoResponse {
    let mut page = (bridge.metrics_page)();
    bridge.counters.expose(&mut page);
    let content_type: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, page)
}
