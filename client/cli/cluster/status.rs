//! `tidemark cluster status`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    time::Duration,
};

use clap::Args;
use futures_util::future::join_all;
use serde_json::json;
use tidemark_client::{
    Admin,
    admin::{ClusterDescription, FollowerLag, LogDir, OngoingMove, QuorumDescription},
    cluster::{Broker, TopicMetadata},
};

use super::{drain::all_topics, target::Target};
use crate::{
    failure::Failure,
    output::{self, ids, table},
};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster status                           of ./tidemark-cluster, if there is one, else of 127.0.0.1:9092
  tidemark cluster status --bootstrap core-1:9092,core-2:9092
  tidemark cluster status --all --json              every partition, one JSON object per line";

/// How long one broker may take to say what lies on its disk.
const ASK_MAX: Duration = Duration::from_secs(3);

/// Shows brokers, controller, leaders, replicas that lag, and moves
///
/// Partitions are listed where something is amiss: no leader, a replica out of sync, down or behind; and where they move. LAG says
/// for each replica that is behind how many records it lacks and how long ago it had all: 2:1500/12s; `down` is one whose broker
/// runs without it, and says why in its log.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Status {
    /// Partitions that are well, too
    #[arg(long)]
    all: bool,
    /// One JSON object per broker and partition, each on a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Who had everything so lately is not behind: records are always on their way.
const BEHIND_MS_MIN: i64 = 3000;

/// What was found out.
struct Found {
    cluster: ClusterDescription,
    /// Registered, and not up.
    fenced: Vec<Broker>,
    /// None from brokers that have none.
    quorum: Option<QuorumDescription>,
    topics: Vec<TopicMetadata>,
    moves: Vec<OngoingMove>,
    /// Replicas that cannot be used, as (broker, topic, partition).
    damaged: BTreeSet<(i32, String, i32)>,
    /// How far followers are behind, by topic and partition, as the leader says.
    lags: BTreeMap<(String, i32), Vec<FollowerLag>>,
    /// Brokers that answered.
    reached: Vec<i32>,
}

impl Status {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let found = find_out(&self.target.client().await?.admin()).await?;
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
    let fenced = admin.fenced_brokers().await?;
    // what else a cluster can say, it says of itself: an older one still has brokers and partitions to show
    let quorum = tokio::time::timeout(ASK_MAX, admin.describe_quorum()).await.ok().and_then(Result::ok);
    let moves = tokio::time::timeout(ASK_MAX, admin.list_partition_reassignments()).await;
    let moves = moves.ok().and_then(Result::ok).unwrap_or_default();
    let topics = all_topics(admin).await?;
    let (mut damaged, mut lags, mut reached) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
    let asked = cluster.brokers.iter().map(|broker| async move {
        let dirs = tokio::time::timeout(ASK_MAX, admin.describe_log_dirs(broker.id)).await;
        dirs.ok().and_then(Result::ok).map(|dirs| (broker.id, dirs))
    });
    for (broker, dirs) in join_all(asked).await.into_iter().flatten() {
        reached.push(broker);
        for replica in dirs.into_iter().flat_map(|LogDir { replicas, .. }| replicas) {
            if replica.offset_lag.is_none() {
                damaged.insert((broker, replica.topic.clone(), replica.partition));
            }
            if !replica.followers.is_empty() {
                lags.insert((replica.topic, replica.partition), replica.followers);
            }
        }
    }
    Ok(Found { cluster, fenced, quorum, topics, moves, damaged, lags, reached })
}

/// One partition as it is shown.
struct Row {
    topic: String,
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    /// Of its replicas that follow.
    lags: Vec<FollowerLag>,
    /// Brokers whose replicas cannot be used.
    damaged: Vec<i32>,
    /// Brokers that are down, or whose replicas are filled anew.
    offline: Vec<i32>,
    adding: Vec<i32>,
    removing: Vec<i32>,
}

impl Row {
    fn moves(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    fn is_well(&self) -> bool {
        let in_sync = self.isr.len() == self.replicas.len() && self.behind().next().is_none();
        self.leader.is_some() && in_sync && self.damaged.is_empty() && self.offline.is_empty()
    }

    /// Whether those that can be used are too few to elect a leader: no other can be filled by itself.
    fn is_lost(&self) -> bool {
        !self.damaged.is_empty() && self.replicas.len() - self.damaged.len() <= self.replicas.len() / 2
    }

    /// Followers that are behind by more than what is on its way.
    fn behind(&self) -> impl Iterator<Item = &FollowerLag> {
        let late = |lag: &FollowerLag| lag.caught_up_ms.is_none_or(|ms| ms >= BEHIND_MS_MIN);
        self.lags.iter().filter(move |lag| late(lag) && !self.damaged.contains(&lag.broker))
    }

    fn lag_cell(&self) -> String {
        let behind = self.behind().map(|lag| {
            let records = lag.records.map_or_else(|| "?".to_owned(), |records| records.to_string());
            let since = lag.caught_up_ms.map_or_else(|| "?".to_owned(), |ms| format!("{}s", ms / 1000));
            format!("{}:{records}/{since}", lag.broker)
        });
        let lags: Vec<_> = behind.chain(self.damaged.iter().map(|broker| format!("{broker}:down"))).collect();
        if lags.is_empty() { "0".to_owned() } else { lags.join(" ") }
    }

    /// Nobody leads it, or not for long.
    fn is_stuck(&self) -> bool {
        self.leader.is_none() || self.isr.len() * 2 <= self.replicas.len()
    }

    fn move_cell(&self) -> String {
        let side = |sign: char, ids: &[i32]| ids.iter().map(|id| format!("{sign}{id}")).collect::<Vec<_>>();
        let cell = [side('+', &self.adding), side('-', &self.removing)].concat().join(" ");
        if cell.is_empty() { "-".to_owned() } else { cell }
    }
}

impl Found {
    fn rows(&self, all: bool) -> Vec<Row> {
        let mut rows = Vec::new();
        for topic in &self.topics {
            for at in &topic.partitions {
                let damaged = |broker: &i32| self.damaged.contains(&(*broker, topic.name.clone(), at.partition));
                let is_its = |one: &&OngoingMove| one.topic == topic.name && one.partition == at.partition;
                let ongoing = self.moves.iter().find(is_its);
                rows.push(Row {
                    topic: topic.name.clone(),
                    partition: at.partition,
                    // the metadata names who led last
                    leader: at.leader.filter(|leader| !damaged(leader)),
                    leader_epoch: at.leader_epoch,
                    replicas: at.replicas.clone(),
                    isr: at.isr.clone(),
                    lags: self.lags.get(&(topic.name.clone(), at.partition)).cloned().unwrap_or_default(),
                    damaged: at.replicas.iter().copied().filter(damaged).collect(),
                    offline: at.offline_replicas.clone(),
                    adding: ongoing.map(|one| one.adding.clone()).unwrap_or_default(),
                    removing: ongoing.map(|one| one.removing.clone()).unwrap_or_default(),
                });
            }
        }
        rows.retain(|row| all || !row.is_well() || row.moves());
        rows
    }

    fn leads(&self, broker: i32) -> usize {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.filter(|partition| partition.leader == Some(broker)).count()
    }

    fn holds(&self, broker: i32) -> usize {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.filter(|partition| partition.replicas.contains(&broker)).count()
    }

    /// Whoever leads the metadata; a Metadata answer may name a broker that only passes requests on.
    fn controller(&self) -> Option<i32> {
        self.quorum.as_ref().map_or(self.cluster.controller_id, |quorum| quorum.leader_id)
    }

    fn state(&self, broker: i32) -> &'static str {
        let fenced = self.fenced.iter().any(|fenced| fenced.id == broker);
        match (fenced, self.reached.contains(&broker)) {
            (true, _) => "fenced",
            (false, false) => "does not answer",
            (false, true) => "up",
        }
    }

    fn metadata(&self, broker: i32) -> &'static str {
        let Some(quorum) = &self.quorum else { return "-" };
        let votes = quorum.voters.iter().any(|voter| voter.broker_id == broker);
        match (self.controller() == Some(broker), votes) {
            (true, _) => "controller",
            (false, true) => "voter",
            (false, false) => "observer",
        }
    }

    fn brokers(&self) -> Vec<&Broker> {
        let mut brokers: Vec<_> = self.cluster.brokers.iter().chain(&self.fenced).collect();
        brokers.sort_by_key(|broker| broker.id);
        brokers.dedup_by_key(|broker| broker.id);
        brokers
    }

    fn print(&self, out: &mut impl Write, all: bool) -> std::io::Result<()> {
        writeln!(out, "cluster {}", self.cluster.cluster_id)?;
        let heads = ["BROKER", "ADDRESS", "RACK", "STATE", "METADATA", "LEADS", "HOLDS"];
        let mut brokers = vec![heads.map(str::to_owned).to_vec()];
        for broker in self.brokers() {
            brokers.push(vec![
                broker.id.to_string(),
                broker.address(),
                broker.rack.clone().unwrap_or_else(|| "-".to_owned()),
                self.state(broker.id).to_owned(),
                self.metadata(broker.id).to_owned(),
                self.leads(broker.id).to_string(),
                self.holds(broker.id).to_string(),
            ]);
        }
        table(out, &brokers)?;
        if self.controller().is_none() {
            writeln!(out, "no controller: are more than half of the metadata's voters up?")?;
            writeln!(out, "  if their disks are lost: `tidemark cluster recover`, with all brokers stopped")?;
        }
        let rows = self.rows(true);
        let (amiss, moving) = (rows.iter().filter(|row| !row.is_well()).count(), self.moves.len());
        writeln!(out, "{} partitions, {amiss} not well, {moving} being moved", rows.len())?;
        for row in rows.iter().filter(|row| row.is_lost()) {
            let (name, partition, all) = (&row.topic, row.partition, row.replicas.len());
            let damaged = row.damaged.len();
            writeln!(
                out,
                "{name}-{partition}: {damaged} of {all} replicas are down, damaged, or lost what they had acknowledged: too few \
                are left to elect a leader. `tidemark cluster recover` shows what survives"
            )?;
        }
        let shown = self.rows(all);
        if shown.is_empty() {
            return Ok(());
        }
        let heads = ["TOPIC", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "LAG", "MOVE"];
        let mut cells = vec![heads.map(str::to_owned).to_vec()];
        cells.extend(shown.into_iter().map(|row| {
            vec![
                row.topic.clone(),
                row.partition.to_string(),
                row.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
                row.leader_epoch.to_string(),
                ids(&row.replicas),
                ids(&row.isr),
                row.lag_cell(),
                row.move_cell(),
            ]
        }));
        table(out, &cells)?;
        if rows.iter().any(Row::is_stuck) {
            writeln!(
                out,
                "a partition without a leader, or with half of its replicas in sync or fewer, takes no writes: start the others"
            )?;
            writeln!(out, "  if their disks are lost: `tidemark cluster recover`, with all brokers stopped")?;
        }
        Ok(())
    }

    fn json(&self, out: &mut impl Write, all: bool) -> std::io::Result<()> {
        for broker in self.brokers() {
            let line = json!({
                "broker": broker.id,
                "address": broker.address(),
                "rack": broker.rack,
                "state": self.state(broker.id),
                "metadata": self.metadata(broker.id),
                "leads": self.leads(broker.id),
                "holds": self.holds(broker.id),
            });
            writeln!(out, "{line}")?;
        }
        for row in self.rows(all) {
            let lag = |lag: &FollowerLag| {
                let seconds = lag.caught_up_ms.map(|ms| ms as f64 / 1000.0);
                (lag.broker.to_string(), json!({ "records": lag.records, "caught_up_seconds": seconds }))
            };
            let lags: serde_json::Map<_, _> = row.lags.iter().map(lag).collect();
            let line = json!({
                "topic": row.topic, "partition": row.partition, "leader": row.leader, "leader_epoch": row.leader_epoch,
                "replicas": row.replicas, "isr": row.isr, "offline": row.offline, "damaged": row.damaged, "lags": lags,
                "adding": row.adding, "removing": row.removing,
            });
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}
