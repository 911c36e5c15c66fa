//! Which path is served by whom. Not here: connections.

use axum::{
    Router,
    http::Method,
    routing::{get, post},
};

use crate::{
    bridge::Bridge,
    error::{Kind, Problem},
    health, produce, replay, streams,
};

/// All routes. Paths were judged before they come here.
pub(crate) fn router(bridge: Bridge) -> Router {
    Router::new()
        .route("/", get(health::root))
        .route("/healthy", get(health::healthy))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/v1/streams", get(streams::list))
        .route("/v1/streams/{topic}", get(streams::topic))
        .route("/v1/streams/{topic}/records", post(produce::produce))
        .route("/v1/streams/{topic}/partitions/{partition}", get(streams::partition))
        .route("/v1/streams/{topic}/partitions/{partition}/records", get(replay::replay))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(bridge)
}

async fn unknown_path() -> Problem {
    Problem::new(Kind::UnknownPath, "see / for what is served")
}

async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{method} is not served here; the allow header lists what is"))
}
