//! `tidemark cluster status`.

use std::{collections::BTreeMap, io::Write, path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;
use tidemark_client::{
    Admin, Client, ClientConfig,
    admin::{ClusterDescription, LogDir},
    cluster::TopicMetadata,
};

use super::local::LocalCluster;
use crate::{
    connect::Bootstrap,
    failure::Failure,
    output::{self, table},
};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster status                           of ./tidemark-cluster, if there is one, else of 127.0.0.1:9092
  tidemark cluster status --bootstrap core-1:9092,core-2:9092
  tidemark cluster status --all --json              every partition, one JSON object per line";

/// How long one broker may take to say what lies on its disk.
const ASK_MAX: Duration = Duration::from_secs(3);

/// Shows brokers, controller, leaders and replicas that lag
///
/// Partitions are listed where something is amiss: no leader, a replica out of sync, or one that lags.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    /// Partitions that are well, too
    #[arg(long)]
    all: bool,
    /// One JSON object per broker and partition, each on a line
    #[arg(long)]
    json: bool,
    /// A cluster on this machine, made by `tidemark cluster up`
    #[arg(long, value_name = "DIR", default_value = "tidemark-cluster", conflicts_with = "bootstrap")]
    dir: PathBuf,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

/// What was found out.
struct Found {
    cluster: ClusterDescription,
    topics: Vec<TopicMetadata>,
    /// Offsets behind the high watermark, by (broker, topic, partition).
    lags: BTreeMap<(i32, String, i32), i64>,
    /// Brokers that answered.
    reached: Vec<i32>,
}

impl Status {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let local = LocalCluster::exists(&self.dir).then(|| LocalCluster::load(&self.dir)).transpose()?;
        let client = match local {
            Some(cluster) => {
                let bootstrap = cluster.bootstrap();
                Client::connect(ClientConfig::new(bootstrap.split(','))).await?
            }
            None => self.bootstrap.client().await?,
        };
        let found = find_out(&client.admin()).await?;
        let mut out = output::stdout();
        if self.json {
            found.json(&mut out, self.all)?
        } else {
            found.print(&mut out, self.all)?
        }
        Ok(out.flush()?)
    }
}

async fn find_out(admin: &Admin) -> Result<Found, Failure> {
    let cluster = admin.describe_cluster().await?;
    let names: Vec<String> = admin.list_topics().await?.into_iter().map(|topic| topic.name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let described = if names.is_empty() { Vec::new() } else { admin.describe_topics(&names).await? };
    // one that was deleted meanwhile is not missed
    let topics = described.into_iter().filter_map(|(_, topic)| topic.ok()).collect();
    let (mut lags, mut reached) = (BTreeMap::new(), Vec::new());
    for broker in &cluster.brokers {
        let Ok(Ok(dirs)) = tokio::time::timeout(ASK_MAX, admin.describe_log_dirs(broker.id)).await else { continue };
        reached.push(broker.id);
        let replicas = dirs.into_iter().flat_map(|LogDir { replicas, .. }| replicas);
        lags.extend(replicas.map(|replica| ((broker.id, replica.topic, replica.partition), replica.offset_lag)));
    }
    Ok(Found { cluster, topics, lags, reached })
}

/// One partition as it is shown.
struct Row {
    topic: String,
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    /// The largest of its replicas.
    lag: i64,
}

impl Row {
    fn is_well(&self) -> bool {
        self.leader.is_some() && self.isr.len() == self.replicas.len() && self.lag == 0
    }
}

impl Found {
    fn rows(&self, all: bool) -> Vec<Row> {
        let mut rows = Vec::new();
        for topic in &self.topics {
            for at in &topic.partitions {
                let lag = |broker: &i32| self.lags.get(&(*broker, topic.name.clone(), at.partition)).copied();
                rows.push(Row {
                    topic: topic.name.clone(),
                    partition: at.partition,
                    leader: at.leader,
                    leader_epoch: at.leader_epoch,
                    replicas: at.replicas.clone(),
                    isr: at.isr.clone(),
                    lag: at.replicas.iter().filter_map(lag).max().unwrap_or(0),
                });
            }
        }
        rows.retain(|row| all || !row.is_well());
        rows
    }

    fn leads(&self, broker: i32) -> usize {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.filter(|partition| partition.leader == Some(broker)).count()
    }

    fn print(&self, out: &mut impl Write, all: bool) -> std::io::Result<()> {
        writeln!(out, "cluster {}", self.cluster.cluster_id)?;
        let mut brokers = vec![["BROKER", "ADDRESS", "RACK", "STATE", "LEADS"].map(str::to_owned).to_vec()];
        for broker in &self.cluster.brokers {
            let state = match (self.reached.contains(&broker.id), self.cluster.controller_id == Some(broker.id)) {
                (false, _) => "does not answer",
                (true, true) => "up, controller",
                (true, false) => "up",
            };
            brokers.push(vec![
                broker.id.to_string(),
                format!("{}:{}", broker.host, broker.port),
                broker.rack.clone().unwrap_or_else(|| "-".to_owned()),
                state.to_owned(),
                self.leads(broker.id).to_string(),
            ]);
        }
        table(out, &brokers)?;
        let (shown, count) = (self.rows(all), self.rows(true).len());
        let amiss = self.rows(false).len();
        writeln!(out, "{count} partitions, {amiss} not well")?;
        if shown.is_empty() {
            return Ok(());
        }
        let heads = ["TOPIC", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "LAG"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        rows.extend(shown.into_iter().map(|row| {
            vec![
                row.topic,
                row.partition.to_string(),
                row.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
                row.leader_epoch.to_string(),
                list(&row.replicas),
                list(&row.isr),
                row.lag.to_string(),
            ]
        }));
        table(out, &rows)
    }

    fn json(&self, out: &mut impl Write, all: bool) -> std::io::Result<()> {
        for broker in &self.cluster.brokers {
            let line = json!({
                "broker": broker.id,
                "address": format!("{}:{}", broker.host, broker.port),
                "rack": broker.rack,
                "reached": self.reached.contains(&broker.id),
                "controller": self.cluster.controller_id == Some(broker.id),
                "leads": self.leads(broker.id),
            });
            writeln!(out, "{line}")?;
        }
        for row in self.rows(all) {
            let Row { topic, partition, leader, leader_epoch, replicas, isr, lag } = row;
            let line = json!({
                "topic": topic, "partition": partition, "leader": leader, "leader_epoch": leader_epoch,
                "replicas": replicas, "isr": isr, "lag": lag,
            });
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

fn list(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
