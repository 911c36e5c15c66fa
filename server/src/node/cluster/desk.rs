//! What other brokers are answered, by the kind of their call. Not here: what the rooms do about it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};

use super::{forward, gather::hello, join, kind::Kind, links::Links};
use crate::{
    api::Broker,
    config::ClusterConfig,
    controller::{Controller, Order, OrderAnswer},
    partition::Partitions,
    raft::{Groups, NodeId, ServeError, Storage},
    transport::{Caller, Refusal, Service},
};

/// The rooms that answer, once there are any.
#[derive(Debug, Clone)]
pub(in crate::node) struct Rooms {
    pub groups: Groups,
    pub controller: Arc<Controller>,
    pub partitions: Arc<Partitions>,
    pub links: Links,
}

/// Answers calls. It says hello from the start; the rest once the rooms are built.
#[derive(Debug)]
pub(in crate::node) struct Desk {
    storage: Arc<Storage>,
    config: ClusterConfig,
    rooms: OnceLock<Rooms>,
    broker: OnceLock<Arc<Broker>>,
}

pub(super) type Served = BoxFuture<'static, Result<Vec<Bytes>, Refusal>>;

impl Desk {
    pub fn new(storage: Arc<Storage>, config: ClusterConfig) -> Arc<Self> {
        Arc::new(Self { storage, config, rooms: OnceLock::new(), broker: OnceLock::new() })
    }

    /// From now on requests of clients that come to others are answered, too.
    pub fn take_forwarded(&self, broker: Arc<Broker>) {
        // once, at start
        let _first_wins = self.broker.set(broker);
    }

    /// From now on calls of other brokers are answered.
    pub fn open(&self, rooms: Rooms) {
        // once, at start
        let _first_wins = self.rooms.set(rooms);
    }
}

impl Service for Desk {
    fn call(&self, from: Caller, kind: u8, body: Bytes) -> Served {
        let Some(kind) = Kind::from_byte(kind) else {
            return refused(Refusal::Close(format!("there is no call of kind {kind}")));
        };
        if kind == Kind::Hello {
            let hello = hello(&self.storage, &self.config).encode();
            return std::future::ready(Ok(vec![hello.into()])).boxed();
        }
        if from.stranger {
            return refused(Refusal::Answer("the caller belongs to no cluster yet".to_owned()));
        }
        let Some(rooms) = self.rooms.get() else {
            return refused(Refusal::Answer("this broker is starting".to_owned()));
        };
        match kind {
            Kind::Hello => refused(Refusal::Answer(String::new())),
            Kind::Raft => raft(rooms, from, body),
            Kind::Controller => {
                let controller = rooms.controller.clone();
                async move { Ok(vec![controller.serve(from.broker_id, &body).await.into()]) }.boxed()
            }
            Kind::Order => {
                let partitions = rooms.partitions.clone();
                async move { Ok(vec![order(&partitions, &body).await?.encode().into()]) }.boxed()
            }
            Kind::Join => {
                let rooms = rooms.clone();
                async move { join::admit(&rooms, from, &body).await }.boxed()
            }
            Kind::Forward => match self.broker.get() {
                Some(broker) => forward::answer(broker.clone(), from, body),
                None => refused(Refusal::Answer("this broker is starting".to_owned())),
            },
        }
    }
}

fn refused(refusal: Refusal) -> Served {
    std::future::ready(Err(refusal)).boxed()
}

/// The request has reached its group when this returns: a group takes them in the order of the calls.
fn raft(rooms: &Rooms, from: Caller, body: Bytes) -> Served {
    let serving = rooms.groups.serve(NodeId::new(from.broker_id, 0), body);
    async move {
        serving.await.map_err(|error| match error {
            ServeError::Malformed(_) => Refusal::Close(error.to_string()),
            ServeError::NoSuchMember | ServeError::Stopped(_) => Refusal::Answer(error.to_string()),
        })
    }
    .boxed()
}

async fn order(partitions: &Partitions, body: &[u8]) -> Result<OrderAnswer, Refusal> {
    let Order::Transfer { topic_id, partition, to } =
        Order::decode(body).map_err(|error| Refusal::Close(error.to_string()))?;
    let Some(partition) = partitions.get(topic_id, partition).filter(|partition| partition.role().leads()) else {
        return Ok(OrderAnswer::NotLeader);
    };
    Ok(partition.transfer(to.into()).await.map_or_else(OrderAnswer::Failed, |()| OrderAnswer::Done))
}
