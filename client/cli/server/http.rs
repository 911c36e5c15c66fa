//! Joins the HTTP bridge to the broker of this process, over a listener without a port.

use std::time::Duration;

use tidemark_bridge_http::{BridgeConfig, MetricsPage, serve};
use tidemark_client::{Client, ClientConfig, Connector};
use tidemark_server::os::network::{InProcessConnector, Listener};
use tokio::sync::watch;

/// The bridge's own broker knows its topics at once; this leaves time for one that another request is creating.
const UNKNOWN_TOPIC_WAIT: Duration = Duration::from_millis(50);

/// Serves HTTP until `stopped` turns true. Without a listener it only waits.
pub(super) async fn run(
    listener: Option<Listener>,
    broker: InProcessConnector,
    metrics_page: MetricsPage,
    mut stopped: watch::Receiver<bool>,
) {
    let mut until = stopped.clone();
    let shutdown = async move { drop(until.wait_for(|stopped| *stopped).await) };
    let Some(Listener::Tcp(listener)) = listener else { return shutdown.await };
    let mut config = ClientConfig::new(["broker:9092"]);
    config.client_id = "tidemark-http".to_owned();
    config.unknown_topic_wait = UNKNOWN_TOPIC_WAIT;
    // whatever address the broker advertises, it is this process
    config.connector = Connector::new(move |_address| {
        let broker = broker.clone();
        async move { broker.connect().await }
    });
    let served = async {
        let client = Client::connect(config).await.map_err(|error| error.to_string())?;
        serve(listener, client, BridgeConfig::default(), metrics_page, shutdown)
            .await
            .map_err(|error| error.to_string())
    };
    if let Err(error) = served.await {
        tracing::error!(error, "HTTP is not served");
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}
