//! Asking the other voters until it is known which cluster this broker belongs to. Not here: what follows from their answers
//! (`formation`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    formation::{Hello, Verdict, judge},
    kind::Kind,
};
use crate::{
    config::ClusterConfig,
    node::StartError,
    os::random::Random,
    raft::{Storage, random_id, random_incarnation},
    transport::{CallError, Lane, NotAdmitted, Transport},
};

const ASK_WITHIN: Duration = Duration::from_secs(1);
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How often somebody who looks at the log is told what is waited for.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How this broker came to its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Came {
    /// With what its directory holds.
    Back,
    /// With a directory that did not form the cluster: whatever another one held here before is lost.
    Anew,
}

impl Came {
    /// By the incarnation of the metadata's replica.
    fn of(incarnation: u32) -> Self {
        if incarnation == 0 { Self::Back } else { Self::Anew }
    }
}

/// Waits until the directory belongs to a cluster, and writes that down.
///
/// # Errors
/// The brokers do not fit together, or the disk's.
pub(in crate::node) async fn belong(
    transport: &Transport,
    storage: &Storage,
    config: &ClusterConfig,
    random: &Random,
) -> Result<Came, StartError> {
    let properties = storage.properties();
    if !properties.quorum.is_empty() {
        return Ok(Came::of(properties.incarnation));
    }
    let voters: Vec<i32> = config.voters.iter().map(|voter| voter.id).collect();
    let own = hello(storage, config);
    let mut told = Instant::now();
    loop {
        let said = ask(transport, &voters, properties.node_id).await;
        let (cluster_id, quorum, incarnation) = match judge(properties.node_id, &own, &voters, &said) {
            Verdict::Form(quorum) => (random_id(random), quorum, 0),
            Verdict::Formed { cluster_id, quorum } => (cluster_id, quorum, 0),
            Verdict::Join { cluster_id, quorum } => (cluster_id, quorum, random_incarnation(random)),
            Verdict::Grow(quorum) => (own.cluster_id.clone(), quorum, properties.incarnation),
            Verdict::Refuse(why) => return Err(StartError::Cluster(why)),
            Verdict::Wait(missing) => {
                if told.elapsed() > TELL_EVERY {
                    told = Instant::now();
                    tracing::info!(?missing, "a new cluster is formed once every voter has answered: waiting");
                }
                tokio::time::sleep(ASK_EVERY).await;
                continue;
            }
        };
        storage.join_cluster(&cluster_id, &quorum, incarnation)?;
        if quorum.len() == 1 && voters.len() > 1 {
            let all: Vec<String> = voters.iter().map(i32::to_string).collect();
            let command = format!("tidemark cluster voters {}", all.join(","));
            tracing::info!(
                command,
                "the data were a lone broker's, which alone votes: the command gives the others a vote"
            );
        }
        tracing::info!(cluster_id, ?quorum, incarnation, "this broker belongs to its cluster");
        return Ok(Came::of(incarnation));
    }
}

/// What this broker says of itself.
pub(in crate::node) fn hello(storage: &Storage, config: &ClusterConfig) -> Hello {
    let properties = storage.properties();
    let voters = config.voters.iter().map(|voter| format!("{}@{}:{}", voter.id, voter.host, voter.port));
    Hello {
        cluster_id: properties.cluster_name(),
        directory_id: properties.directory_id.clone(),
        voters: voters.collect::<Vec<_>>().join(","),
        quorum: properties.quorum.clone(),
    }
}

async fn ask(transport: &Transport, voters: &[i32], node_id: i32) -> BTreeMap<i32, Hello> {
    let others = voters.iter().copied().filter(|id| *id != node_id);
    let asked = others.map(|id| {
        let answer = transport.call(id, Lane::Bulk, Kind::Hello as u8, vec![Bytes::new()], ASK_WITHIN);
        async move { Some((id, Hello::decode(&answer.await.ok()?)?)) }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Resolves if all voters turn out to belong to another cluster, or one to a recovery of this one: this broker's place is not here.
pub(in crate::node) async fn strayed(transport: &Transport, storage: &Storage, config: &ClusterConfig) -> StartError {
    let own = storage.properties();
    let others: Vec<i32> = config.voters.iter().map(|voter| voter.id).filter(|id| *id != own.node_id).collect();
    loop {
        let mut foreign = Vec::new();
        for id in &others {
            let asked = transport.call(*id, Lane::Bulk, Kind::Hello as u8, vec![Bytes::new()], ASK_WITHIN);
            match asked.await {
                // one that waits for its cluster has none yet
                Err(CallError::NotAdmitted { why: NotAdmitted::Cluster { theirs }, .. }) if !theirs.is_empty() => {
                    if own.was_left_out_of(&theirs) {
                        return StartError::Cluster(format!(
                            "the cluster was recovered without this directory, as broker {id} says: join it with an empty directory"
                        ));
                    }
                    tracing::warn!(broker = id, theirs, own = own.cluster_id, "voter belongs to another cluster");
                    foreign.push((id, theirs));
                }
                _ => {}
            }
        }
        if let Some((id, theirs)) = foreign.first().filter(|_| foreign.len() == others.len()) {
            return StartError::Cluster(format!(
                "the directory holds the data of cluster {}, and broker {id} belongs to cluster {theirs}: join it with an empty directory",
                own.cluster_id
            ));
        }
        tokio::time::sleep(TELL_EVERY).await;
    }
}

/// Tells the transport where the voters are.
pub(in crate::node) fn introduce(transport: &Arc<Transport>, config: &ClusterConfig) {
    for voter in &config.voters {
        transport.set_peer(voter.id, &voter.host, voter.port);
    }
}
