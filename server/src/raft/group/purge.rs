//! Giving up what lies below the log start: openraft forgets the frames once a snapshot stands for them and no other member is
//! being sent them, and then their files go. Not here: who moves the log start.

use std::{sync::Arc, time::Duration};

use openraft::RaftMetrics;

use super::{super::replica::Replica, config::GroupTypes};
use crate::tasks::{self, TaskKind};

/// A snapshot is a few numbers and open files.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(30);

/// Begins, if there is anything to give up. What does not come to an end now is tried again at the next move of the log start,
/// and at the next start.
pub(super) fn begin(replica: &Arc<Replica>) {
    let replica = Arc::clone(replica);
    tasks::spawn(TaskKind::Purge, async move {
        if let Err(reason) = purge(&replica).await {
            tracing::warn!(reason, "segments below the log start stay for now");
        }
    });
}

async fn purge(replica: &Replica) -> Result<(), String> {
    let Some(group) = replica.group.load_full() else { return Ok(()) };
    let Some(upto) = replica.purgeable().map_err(|error| error.to_string())? else { return Ok(()) };
    let trigger = group.raft.trigger();
    trigger.snapshot().await.map_err(|error| error.to_string())?;
    let taken = |metrics: &RaftMetrics<GroupTypes>| metrics.snapshot.is_some_and(|snapshot| snapshot.index >= upto);
    let wait = group.raft.wait(Some(SNAPSHOT_WITHIN));
    wait.metrics(taken, "a snapshot").await.map_err(|error| error.to_string())?;
    trigger.purge_log(upto).await.map_err(|error| error.to_string())
}
