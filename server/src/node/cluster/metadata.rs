//! Following the metadata's log: its committed records become the image, in their order, and its leader is the controller. Not
//! here: what the records mean.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    controller::{Controller, Role as ControllerRole},
    node::metadata_log,
    partition::{FetchWaiter, Partition, Partitions},
    raft::Role,
};

/// How often the active controller looks who fell silent.
const TICK_EVERY: Duration = Duration::from_millis(500);
/// A look at the log even if nothing was heard: only against a lost wake-up.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// After a log that cannot be read.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// The metadata's log and the controller that follows it.
#[derive(Debug, Clone)]
pub(in crate::node) struct Metadata {
    pub partitions: Arc<Partitions>,
    pub controller: Arc<Controller>,
}

impl Metadata {
    /// For ever.
    pub async fn run(self) {
        tokio::join!(self.follow_records(), self.follow_leader());
    }

    fn log(&self) -> &Arc<Partition> {
        self.partitions.metadata_log()
    }

    async fn follow_records(&self) {
        loop {
            let seen = self.log().high_watermark();
            // a log that was given up to a snapshot starts with it
            let from = self.controller.image_handle().applied().max(self.log().log_start_offset());
            if from < seen {
                let mut follows = true;
                let read = metadata_log::read_batches(self.log(), from, |base_offset, records, next_offset| {
                    follows &= self.controller.apply_committed(base_offset, records, next_offset);
                });
                match read {
                    Ok(()) if follows => {}
                    // the log may have given up its beginning meanwhile
                    Ok(()) => tokio::time::sleep(RETRY_EVERY).await,
                    Err(error) => {
                        tracing::error!(%error, from, "metadata cannot be followed");
                        tokio::time::sleep(RETRY_EVERY).await;
                    }
                }
                continue;
            }
            let waiter = FetchWaiter::new(1);
            self.log().watch(&waiter, seen);
            waiter.wait(Instant::now() + LOOK_EVERY).await;
        }
    }

    async fn follow_leader(&self) {
        loop {
            let role = match self.log().role() {
                Role::Solo { epoch } | Role::Leader { epoch } => ControllerRole::Active { epoch },
                Role::Follower { leader, .. } => {
                    ControllerRole::Observer { leader: leader.map(crate::raft::NodeId::broker) }
                }
            };
            if role != self.controller.role() {
                tracing::info!(?role, "controller");
                self.controller.set_role(role);
            }
            if matches!(role, ControllerRole::Active { .. }) {
                self.controller.tick().await;
                let _ = tokio::time::timeout(TICK_EVERY, self.partitions.metadata_role_changed()).await;
            } else {
                self.partitions.metadata_role_changed().await;
            }
        }
    }
}
