//! What `tidemark server` takes, and the order in which a broker starts and stops.

use std::{io::Write, path::PathBuf, sync::Arc};

use clap::Args;
use tidemark_server::{
    config::Config,
    node::{Node, RunError, StartError},
    os::{disk::RealDisk, network},
};
use tokio::time::Instant;

use super::{
    banner::Banner,
    bound::{self, Bound},
    http,
    settings::{self, key_value},
    signals,
};
use crate::{
    failure::{EXIT_DISK, Failure},
    logging::{self, LogFormat},
};

const EXAMPLES: &str = "\
Examples:
  tidemark server                                  data in ./tidemark-data, Kafka on 127.0.0.1:9092, HTTP on 127.0.0.1:8080
  tidemark server --listen 127.0.0.1:0 --no-http   a free port, which the line `listening kafka=…` names
  tidemark server --node-id 1 --data d1 --listen 10.0.0.1:9092 --voters 1@10.0.0.1:9093,2@10.0.0.2:9093,3@10.0.0.3:9093 --allow-plaintext
  tidemark server --data d1 --voters 1@10.0.0.1:9093 --allow-plaintext    a lone broker's data as a cluster, which others can join
  tidemark server --config server.properties --set log.retention.hours=24
  tidemark server --listen 0.0.0.0:9092 --advertise edge-7.example:9092 --allow-plaintext

Settings come from --config, then --set, then the flags; the later one wins. Exit codes: 0 stopped by SIGTERM or Ctrl-C,
1 did not start, 74 a write or a sync of the disk failed, 130 a second signal.";

/// Runs a broker, until Ctrl-C
///
/// Existing Kafka clients use it unchanged. Everything that was acknowledged survives kill -9 and a power cut.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Server {
    /// Where Kafka clients connect; port 0 picks a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Where HTTP clients connect [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// No HTTP
    #[arg(long, conflicts_with = "http")]
    pub no_http: bool,
    /// Where data are kept [default: tidemark-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// What Kafka clients are told to connect to [default: the listener]
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// This broker's number; a data directory remembers it [default: 1]
    #[arg(long, value_name = "N")]
    pub node_id: Option<i32>,
    /// Where other brokers connect; makes this broker one of a cluster [default: its own entry in --voters]
    #[arg(long, value_name = "HOST:PORT")]
    pub raft: Option<String>,
    /// The brokers that form a new cluster's metadata quorum, the same list on each: 1, 3 or 5; later, whom to ask
    #[arg(long, value_name = "ID@HOST:PORT,…")]
    pub voters: Option<String>,
    /// Settings with Kafka's key names, in the form of server.properties
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Listen where other machines can connect, although nothing is encrypted yet
    #[arg(long)]
    pub allow_plaintext: bool,
    /// How events are written to stderr
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Which events: error, warn, info, debug, trace, or a filter such as info,tidemark_server::net=debug
    #[arg(long, value_name = "LEVEL", env = "TIDEMARK_LOG", default_value = "info")]
    pub log: String,
}

impl Server {
    /// Serves until a signal.
    pub(crate) fn run(self) -> Result<(), Failure> {
        logging::for_server(&self.log, self.log_format)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)))
            .enable_all()
            .build()
            .map_err(|cause| Failure::new(format!("cannot start threads: {cause}")))?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), Failure> {
        let begun = Instant::now();
        let config = Config::resolve(&settings::gather(&self)?).map_err(Failure::new)?;
        for key in &config.unknown {
            tracing::warn!(key, "setting is known neither to Kafka nor to this broker; it does nothing");
        }
        let Bound { kafka, kafka_address, http, raft } = bound::bind(&config)?;
        let stopped = signals::watch()?;
        let (inside, to_broker) = network::in_process();
        let started = Node::start(Arc::new(RealDisk), &config, vec![kafka, inside], raft);
        let mut given_up = stopped.clone();
        let node = tokio::select! {
            started = started => started.map_err(|error| not_started(&error))?,
            // one that waits for others may have to be stopped, too; nothing was acknowledged yet
            _ = given_up.wait_for(|stop| *stop) => return Ok(()),
        };
        let banner = Banner {
            kafka: kafka_address,
            http: http.as_ref().map(|(_, address)| *address),
            data: std::path::absolute(&config.storage.dir).unwrap_or_else(|_| config.storage.dir.clone()),
            node_id: config.storage.node_id,
            took: begun.elapsed(),
        };
        // a closed stdout is no reason to stop
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "{banner}").and_then(|()| out.flush());
        drop(out);
        let http = http.map(|(listener, _)| listener);
        let http = http::run(http, to_broker, Arc::new(node.metrics_page()), stopped);
        node.run(http).await.map_err(ended)
    }
}

fn not_started(error: &StartError) -> Failure {
    Failure::new(format!("the broker did not start: {error}"))
}

fn ended(error: RunError) -> Failure {
    match error {
        RunError::Disk(_) => Failure::new(error).code(EXIT_DISK).next(
            "look at the disk (dmesg, SMART, free space); then start again: everything acknowledged is recovered from the journal",
        ),
        other => Failure::new(other),
    }
}
