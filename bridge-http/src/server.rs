//! Accepts connections and answers what comes over them, until it is told to stop.
//!
//! Tasks: one per connection, in a set that ends with [`serve`]. A request runs in the task of its connection; only the
//! producer's task is woken for it.

use std::{future::Future, io, io::Write, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::IntoResponse};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tidemark_client::Client;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::Service;

use crate::{
    BridgeConfig, MetricsPage,
    bridge::Bridge,
    error::Problem,
    guard::{Exchange, Guarded},
    metrics::{Held, add},
    origin, path, router,
};

/// What the HTTP library may hold of a request beyond what the guard lets through.
const HTTP_BUFFER_BYTES: usize = 32 * 1024;
/// After a failed accept (most often: no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves HTTP on `listener` with the cluster that `client` knows, until `shutdown` is done: then no connection is
/// accepted, waiting readers get what there is, and answers under way have [`BridgeConfig::shutdown_timeout`].
///
/// `/metrics` answers `metrics_page()` and behind it the bridge's own counters. Must run inside a tokio runtime.
///
/// # Errors
/// None at present: a failed accept is logged and tried again.
pub async fn serve(
    listener: TcpListener,
    client: Client,
    config: BridgeConfig,
    metrics_page: MetricsPage,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let bridge = Bridge::new(client, config, metrics_page, stopping);
    let routes = router::router(bridge.clone());
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, _)) if connections.len() >= bridge.config.connections_max => refuse(&bridge, stream),
            Ok((stream, _)) => drop(connections.spawn(connection(bridge.clone(), routes.clone(), stream))),
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(bridge.config.shutdown_timeout, all).await.is_err() {
        tracing::warn!(open = connections.len(), "connections were cut");
        connections.shutdown().await;
    }
    bridge.producer.close().await;
    Ok(())
}

/// Says that there are too many connections, as far as that goes without waiting.
fn refuse(bridge: &Bridge, stream: TcpStream) {
    add(&bridge.counters.connections_refused, 1);
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
        content-type: application/problem+json\r\n\r\n\
        {\"type\":\"/problems/overloaded\",\"title\":\"too much is asked of the bridge at the moment\",\"status\":503,\
        \"detail\":\"too many connections\",\"retryable\":true,\"kafka_error\":null}";
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(ANSWER);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
}

/// Serves one connection to its end.
async fn connection(bridge: Bridge, routes: Router, stream: TcpStream) {
    let _open = Held::new(&bridge.counters.connections);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is gone");
        return;
    }
    let exchange = Arc::new(Exchange::default());
    let guarded = Guarded::new(stream, Arc::clone(&exchange), &bridge.config);
    let service = service_fn(|request| answer(&bridge, &routes, &exchange, request));
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .max_headers(bridge.config.headers_max)
            .max_buf_size(HTTP_BUFFER_BYTES.max(bridge.config.head_bytes_max))
            .serve_connection(TokioIo::new(guarded), service)
    );
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = bridge.stopped() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(
    bridge: &Bridge,
    routes: &Router,
    exchange: &Exchange,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let method = request.method().clone();
    let judged = match exchange.refusal() {
        Some(refusal) => Err(refusal.into()),
        None => path::judge(request.uri().path()).and_then(|()| origin::judge(request.headers())),
    };
    let response = match judged {
        Ok(()) => match routes.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Err(problem) => Problem::into_response(problem),
    };
    exchange.answered();
    let method = if exchange.refusal().is_some() { "other" } else { method.as_str() };
    bridge.counters.request(method, response.status().as_u16());
    Ok(response)
}

#[cfg(test)]
mod tests;
