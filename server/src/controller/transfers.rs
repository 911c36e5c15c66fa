//! Orders to leaders to let another replica lead: sent few at a time, each partition's at most once at a time. Tasks: one per
//! order, until it is answered. Not here: which leaders should move (`balance`).

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use futures_util::future::join_all;
use uuid::Uuid;

use super::{
    balance::{self, ElectionKind, Transfer},
    controller::Controller,
    error::ControllerError,
    message::{Order, OrderAnswer},
    peers::MessageKind,
};
use crate::tasks::{self, TaskKind};

/// Orders on their way at once. Each moves one partition, whose clients wait for it.
const ORDERS_MAX: usize = 10;

/// Partitions with an order on its way.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    partitions: Mutex<HashSet<(Uuid, i32)>>,
    /// When leaders were last brought home, by [`Controller::now_ms`].
    balanced_ms: AtomicI64,
}

/// Ends with the order.
struct Slot {
    in_flight: Arc<InFlight>,
    partition: (Uuid, i32),
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.in_flight.partitions.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.partition);
    }
}

impl InFlight {
    fn enter(self: &Arc<Self>, partition: (Uuid, i32)) -> Option<Slot> {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        if partitions.len() >= ORDERS_MAX || !partitions.insert(partition) {
            return None;
        }
        Some(Slot { in_flight: self.clone(), partition })
    }
}

impl Controller {
    /// Brings leaders home, at most every `balance_interval_ms`. More than go at once go on with the next call.
    pub(super) fn balance(&self) {
        let Some(interval_ms) = self.config.balance_interval_ms else { return };
        let (now_ms, balanced_ms) = (self.now_ms(), &self.in_flight.balanced_ms);
        if now_ms - balanced_ms.load(Ordering::Relaxed) < interval_ms {
            return;
        }
        let transfers = balance::misplaced(&self.image.load(), &self.leaving());
        if transfers.len() <= ORDERS_MAX {
            balanced_ms.store(now_ms, Ordering::Relaxed);
        }
        self.order(transfers);
    }

    /// Sends orders for as many of these as there is room for, and does not wait for them: what is left, or fails, shows again
    /// the next time that somebody looks.
    pub(super) fn order(&self, transfers: Vec<Transfer>) {
        for transfer in transfers {
            let Some(slot) = self.in_flight.enter((transfer.topic_id, transfer.partition)) else { continue };
            let answer = self.send(transfer);
            tasks::spawn(TaskKind::Order, async move {
                let Transfer { topic_id, partition, from, to } = transfer;
                if let Err(why) = answer.await {
                    tracing::info!(%topic_id, partition, from, to = to.broker_id, why, "leadership not transferred");
                }
                drop(slot);
            });
        }
    }

    /// Lets the leader of a partition hand over; resolves when it has.
    fn send(&self, transfer: Transfer) -> impl Future<Output = Result<(), String>> + Send + 'static + use<> {
        let Transfer { topic_id, partition, from, to } = transfer;
        let calling = self.peers.call(from, MessageKind::Order, Order::Transfer { topic_id, partition, to }.encode());
        async move {
            match OrderAnswer::decode(&calling.await?).map_err(|error| error.to_string())? {
                OrderAnswer::Done => Ok(()),
                OrderAnswer::NotLeader => Err("it does not lead the partition any more".to_owned()),
                OrderAnswer::Failed(why) => Err(why),
            }
        }
    }

    /// Elects leaders (ElectLeaders), each judged by itself; resolves when the old ones have handed over or refused.
    pub async fn elect_leaders(
        &self,
        kind: ElectionKind,
        partitions: &[(String, i32)],
    ) -> Vec<Result<(), ControllerError>> {
        let judged: Vec<Result<Transfer, ControllerError>> = match self.decide().await {
            Ok(_deciding) => {
                let (image, leaving) = (self.image.load(), self.leaving());
                let judge = |(topic, partition): &(String, i32)| {
                    balance::judge_election(&image, &leaving, kind, (topic, *partition))
                };
                partitions.iter().map(judge).collect()
            }
            Err(error) => partitions.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut answers = Vec::with_capacity(judged.len());
        for some in judged.chunks(ORDERS_MAX) {
            let sent = some.iter().map(|judged| async {
                let transfer = judged.clone()?;
                self.send(transfer).await.map_err(|why| {
                    tracing::info!(topic_id = %transfer.topic_id, partition = transfer.partition, why, "election failed");
                    ControllerError::PreferredLeaderNotAvailable
                })
            });
            answers.extend(join_all(sent).await);
        }
        answers
    }
}
