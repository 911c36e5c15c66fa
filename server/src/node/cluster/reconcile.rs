//! Making the members of the groups led here those that the metadata wants. Not here: who wants it (`controller`), how it is done
//! (`raft`).

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use uuid::Uuid;

use crate::{controller::ImageHandle, metadata::Image, partition::Partitions, raft::NodeId};

/// Groups changed at once: each fills a new replica.
const CHANGES_MAX: usize = 4;
/// A change that failed is tried again after so long.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// For ever.
pub(in crate::node) async fn reconcile(partitions: Arc<Partitions>, image: ImageHandle) {
    let mut changed = image.follow();
    let mut running = FuturesUnordered::new();
    let mut under_way = HashSet::new();
    loop {
        let wanted = wanted(&image.load(), &partitions);
        for (key, voters) in wanted {
            if running.len() < CHANGES_MAX && under_way.insert(key) {
                let partitions = partitions.clone();
                running.push(async move { (key, change(&partitions, key, &voters).await) });
            }
        }
        tokio::select! {
            Some((key, done)) = running.next() => {
                under_way.remove(&key);
                if !done {
                    tokio::time::sleep(RETRY_EVERY).await;
                }
            }
            _ = changed.changed() => {}
        }
    }
}

/// Moves that the metadata has in mind for partitions led here, and that can be made: who comes must be up to be filled.
fn wanted(image: &Image, partitions: &Partitions) -> Vec<((Uuid, i32), Vec<NodeId>)> {
    let mut wanted = Vec::new();
    for topic in image.topics() {
        for (index, info) in (0..).zip(&topic.partitions) {
            let Some(target) = &info.target else { continue };
            let mut voters: Vec<NodeId> = target.iter().copied().map(NodeId::from).collect();
            voters.sort_unstable();
            let led = partitions.get(topic.id, index).filter(|partition| partition.role().leads());
            let Some(now) = led.map(|partition| partition.voters()) else { continue };
            let mut coming = voters.iter().filter(|node| !now.contains(node));
            // what is done already waits for the controller to hear of it
            if now != voters && coming.all(|node| image.is_available(node.broker())) {
                wanted.push(((topic.id, index), voters));
            }
        }
    }
    wanted
}

/// False if it did not come about.
async fn change(partitions: &Partitions, (topic_id, index): (Uuid, i32), voters: &[NodeId]) -> bool {
    let Some(partition) = partitions.get(topic_id, index) else { return true };
    match partition.change_members(voters).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%topic_id, partition = index, ?voters, %error, "members are not changed yet");
            false
        }
    }
}
