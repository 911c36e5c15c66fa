//! Which cluster a command is about: one of this machine, or any other.

use std::path::{Path, PathBuf};

use clap::Args;
use tidemark_client::{Client, ClientConfig};

use super::local::LocalCluster;
use crate::{connect::Bootstrap, failure::Failure};

const DIR: &str = "tidemark-cluster";

/// A cluster. Without any of these: that of ./tidemark-cluster if there is one, else that of 127.0.0.1:9092.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// A cluster on this machine, made by `tidemark cluster up` [default: tidemark-cluster, if it is there]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl Target {
    /// The cluster of this machine, if it is that.
    pub fn local(&self) -> Result<Option<LocalCluster>, Failure> {
        let dir = match &self.dir {
            Some(dir) => dir,
            None if !self.bootstrap.is_given() && LocalCluster::exists(Path::new(DIR)) => Path::new(DIR),
            None => return Ok(None),
        };
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        LocalCluster::load(&dir).map(Some)
    }

    /// A client of it.
    pub async fn client(&self) -> Result<Client, Failure> {
        match self.local()? {
            Some(cluster) => {
                let bootstrap = cluster.bootstrap();
                Ok(Client::connect(ClientConfig::new(bootstrap.split(','))).await?)
            }
            None => self.bootstrap.client().await,
        }
    }
}
