//! The rooms' ways to other brokers, all over one transport. Not here: connections.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use uuid::Uuid;

use super::{desk::Desk, kind::Kind};
use crate::{
    controller::{Calling, MessageKind, Peers},
    metadata::{Broker, Endpoint},
    raft::{Carrier, CarrierError, Lane as GroupLane, NodeId},
    transport::{CallError, Caller, Lane, Service, Transport},
};

/// How long an append or a vote may take.
const APPEND_WITHIN: Duration = Duration::from_secs(3);
/// How long a snapshot's piece may take.
const BULK_WITHIN: Duration = Duration::from_secs(30);
/// How long a message to the controller or an order may take: a transfer of a leadership waits for the new leader.
const MESSAGE_WITHIN: Duration = Duration::from_secs(10);

/// Calls to other brokers, and to this one where a room need not know which it is.
#[derive(Debug, Clone)]
pub(in crate::node) struct Links {
    pub transport: Arc<Transport>,
    pub desk: Weak<Desk>,
    pub broker_id: i32,
}

impl Links {
    /// Takes in where the metadata says that a broker is.
    pub fn set_peer(&self, broker: &Broker) {
        if let Some(Endpoint { host, port }) = &broker.raft {
            self.transport.set_peer(broker.id, host, *port);
        }
    }

    /// Calls a broker; this one is served on the spot.
    pub fn call(&self, to: i32, lane: Lane, kind: Kind, body: Bytes) -> BoxFuture<'static, Result<Bytes, CallError>> {
        if to != self.broker_id {
            return self.transport.call(to, lane, kind as u8, vec![body], MESSAGE_WITHIN).boxed();
        }
        let Some(desk) = self.desk.upgrade() else { return std::future::ready(Err(CallError::Stopped)).boxed() };
        let own = Caller { broker_id: to, incarnation: Uuid::nil(), stranger: false };
        let served = desk.call(own, kind as u8, body);
        async move {
            let served = tokio::time::timeout(MESSAGE_WITHIN, served).await.map_err(|_| CallError::Timeout)?;
            let parts = served.map_err(|refusal| CallError::Refused(format!("{refusal:?}")))?;
            Ok(Bytes::from(parts.concat()))
        }
        .boxed()
    }
}

impl Carrier for Links {
    fn call(&self, to: NodeId, lane: GroupLane, body: Vec<Bytes>) -> BoxFuture<'static, Result<Bytes, CarrierError>> {
        let (lane, within) = match lane {
            GroupLane::Append => (Lane::Append, APPEND_WITHIN),
            GroupLane::Bulk => (Lane::Bulk, BULK_WITHIN),
        };
        let called = self.transport.call(to.broker(), lane, Kind::Raft as u8, body, within);
        async move { called.await.map_err(|error| carrier_error(&error)) }.boxed()
    }
}

fn carrier_error(error: &CallError) -> CarrierError {
    match error {
        CallError::Timeout | CallError::Stalled(_) => CarrierError::Timeout,
        CallError::Cut { .. } | CallError::Refused(_) => CarrierError::Lost(error.to_string()),
        _ => CarrierError::Unreachable(error.to_string()),
    }
}

impl Peers for Links {
    fn call(&self, broker_id: i32, kind: MessageKind, message: Vec<u8>) -> Calling {
        let kind = match kind {
            MessageKind::Request => Kind::Controller,
            MessageKind::Order => Kind::Order,
        };
        let called = Self::call(self, broker_id, Lane::Bulk, kind, message.into());
        Box::pin(async move { called.await.map(Vec::from).map_err(|error| error.to_string()) })
    }
}
