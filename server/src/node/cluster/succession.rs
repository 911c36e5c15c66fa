//! Brokers whose connections break: the groups that they led find new leaders at once. Not here: how (`raft`), connections
//! (`transport`).

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::{raft::Groups, transport::Transport};

/// For ever.
pub(in crate::node) async fn succeed(transport: Arc<Transport>, groups: Groups) {
    let mut losses = transport.losses();
    // by broker, what was answered with a succession
    let mut heeded = losses.borrow_and_update().clone();
    let mut running = FuturesUnordered::new();
    let mut under_way = BTreeSet::new();
    loop {
        let now = losses.borrow_and_update().clone();
        for (broker, count) in now {
            if heeded.get(&broker) != Some(&count) && !under_way.contains(&broker) {
                heeded.insert(broker, count);
                under_way.insert(broker);
                let groups = groups.clone();
                running.push(async move {
                    groups.succeed(broker).await;
                    broker
                });
            }
        }
        tokio::select! {
            Some(broker) = running.next() => {
                under_way.remove(&broker);
            }
            changed = losses.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}
