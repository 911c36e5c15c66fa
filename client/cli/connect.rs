//! How commands reach a cluster, and the runtime they run in.

use std::future::Future;

use clap::Args;
use tidemark_client::{Client, ClientConfig, ClientError};
use tokio::net::TcpStream;

use crate::{failure::Failure, logging};

/// Where the cluster is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bootstrap {
    /// Brokers to ask first; one that answers is enough [default: 127.0.0.1:9092]
    #[arg(long, short, value_name = "HOST:PORT,…", env = "TIDEMARK_BOOTSTRAP", value_delimiter = ',')]
    bootstrap: Vec<String>,
}

/// Asked where nobody says where.
const NEAREST: &str = "127.0.0.1:9092";

impl Bootstrap {
    /// A client of the cluster. Fails at once where nobody listens: a person waits for it.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let mut refused = None;
        for address in self.addresses() {
            match TcpStream::connect(address).await {
                Ok(_) => return Ok(Client::connect(self.config()).await?),
                Err(cause) => {
                    refused = Some(ClientError::Connect { address: address.to_owned(), cause: cause.to_string() });
                }
            }
        }
        Err(refused.map_or_else(|| Failure::new("--bootstrap names no broker"), Failure::from))
    }

    /// Whether somebody said where.
    pub(crate) fn is_given(&self) -> bool {
        !self.bootstrap.is_empty()
    }

    fn addresses(&self) -> impl Iterator<Item = &str> {
        let nearest = (!self.is_given()).then_some(NEAREST);
        self.bootstrap.iter().map(|address| address.trim()).chain(nearest)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new(self.addresses());
        "tidemark-cli".clone_into(&mut config.client_id);
        config
    }
}

/// Runs a client command to its end. Two threads: one packs or unpacks records while the other moves bytes.
pub(crate) fn run<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    logging::for_commands()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|cause| Failure::new(format!("cannot start threads: {cause}")))?;
    let result = runtime.block_on(command);
    // a thread that waits for stdin would be waited for without end
    runtime.shutdown_background();
    result
}
