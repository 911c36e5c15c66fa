//! Moves of partitions: begun, and watched until they are done. Not here: which partitions go where.

use std::{collections::BTreeMap, time::Duration};

use tidemark_client::{
    Admin, ClientError,
    admin::{LogDir, OngoingMove, PartitionMove},
};
use tokio::time::Instant;

use crate::{
    failure::Failure,
    output::{self, ids},
};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often somebody who watches is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// How long one broker may take to say what lies on its disk.
const ASK_MAX: Duration = Duration::from_secs(3);
/// How long a cluster may be unable to answer before the watching ends.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// Begins all moves. Those that are refused are told; if any is, the command fails.
pub(crate) async fn begin(admin: &Admin, moves: &[PartitionMove]) -> Result<(), Failure> {
    let mut failed = false;
    for (_, _, outcome) in admin.alter_partition_reassignments(moves).await? {
        if let Err(error) = outcome {
            failed = true;
            Failure::from(error).report();
        }
    }
    if failed { Err(Failure::said()) } else { Ok(()) }
}

/// Waits until all moves are done, and says how far they are.
pub(crate) async fn watch(admin: &Admin, moves: &[PartitionMove]) -> Result<(), Failure> {
    let mut open: Vec<&PartitionMove> = moves.iter().collect();
    let (mut told, mut answered) = (Instant::now(), Instant::now());
    loop {
        match look(admin, &open).await {
            Ok((done, ongoing)) => {
                answered = Instant::now();
                for (place, brokers) in done.into_iter().rev() {
                    let PartitionMove { topic, partition, .. } = open.remove(place);
                    output::say(&format!("partition {topic}-{partition}: done, on {}", ids(&brokers)))?;
                }
                if open.is_empty() {
                    return Ok(());
                }
                if told.elapsed() > TELL_EVERY {
                    told = Instant::now();
                    tell(admin, &ongoing, &open).await?;
                }
            }
            // brokers come and go while partitions move
            Err(error) if answered.elapsed() > SILENT_MAX => {
                return Err(Failure::from(error).next("the moves go on; `tidemark cluster status` shows them"));
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

type Done = Vec<(usize, Vec<i32>)>;

/// Which of the moves are done, rising, each with the brokers that hold it now; and which are not.
async fn look(admin: &Admin, open: &[&PartitionMove]) -> Result<(Done, Vec<OngoingMove>), ClientError> {
    let ongoing = admin.list_partition_reassignments().await?;
    let mut names: Vec<&str> = open.iter().map(|one| one.topic.as_str()).collect();
    names.dedup();
    let described = admin.describe_topics(&names).await?;
    let mut done = Done::new();
    for (place, one) in open.iter().enumerate() {
        if ongoing.iter().any(|other| other.topic == one.topic && other.partition == one.partition) {
            continue;
        }
        let topic = described.iter().find(|(name, _)| *name == one.topic);
        let Some((_, Ok(topic))) = topic else { continue };
        let Some(partition) = topic.partition(one.partition) else { continue };
        // the broker that was asked may not have heard of the move
        if one.brokers.as_ref().is_none_or(|brokers| *brokers == partition.replicas) {
            done.push((place, partition.replicas.clone()));
        }
    }
    Ok((done, ongoing))
}

/// What the new replicas of each open move hold by now.
async fn tell(admin: &Admin, ongoing: &[OngoingMove], open: &[&PartitionMove]) -> Result<(), Failure> {
    let mine =
        |one: &&OngoingMove| open.iter().any(|other| other.topic == one.topic && other.partition == one.partition);
    let mut held: BTreeMap<i32, Vec<LogDir>> = BTreeMap::new();
    for one in ongoing.iter().filter(mine) {
        for broker in &one.replicas {
            if !held.contains_key(broker) {
                let dirs = tokio::time::timeout(ASK_MAX, admin.describe_log_dirs(*broker)).await;
                held.insert(*broker, dirs.ok().and_then(Result::ok).unwrap_or_default());
            }
        }
        let bytes = |broker: &i32| {
            let replicas = held.get(broker).into_iter().flatten().flat_map(|dir| &dir.replicas);
            let mut replicas = replicas.filter(|replica| replica.topic == one.topic);
            replicas.find(|replica| replica.partition == one.partition).map_or(0, |replica| replica.size_bytes)
        };
        let whole = one.replicas.iter().map(bytes).max().unwrap_or(0);
        let added = one.adding.iter().map(|broker| format!("broker {broker} has {} of {whole} bytes", bytes(broker)));
        let gone = (!one.removing.is_empty()).then(|| format!("{} will go", ids(&one.removing)));
        let said: Vec<String> = added.chain(gone).collect();
        output::say(&format!("partition {}-{}: {}", one.topic, one.partition, said.join(", ")))?;
    }
    Ok(())
}
