//! Requests that the controller answers, wherever they arrive: handled here if this broker is the controller, else sent on as
//! they are, and tried again while the controller changes, up to the request's own timeout. A broker that is alone comes here
//! never. Not here: connections between brokers.

use std::{fmt, net::Ipv4Addr, pin::Pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiKey, CreateTopicsRequest, CreateTopicsResponse, RequestHeader},
    protocol::{Decodable, Encodable, Message},
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    context::{Broker, ConnectionInfo, RequestContext},
    dispatch::{Api, Judged},
    reply::{Handling, Part, Reply},
};
use crate::controller::Role;

/// Between two tries.
const RETRY: Duration = Duration::from_millis(50);
/// For a change that has begun: its client waits longer than it said, but not for ever.
const FINISH: Duration = Duration::from_secs(30);
/// Bounds of what a request may wait for a controller, whatever timeout it says.
const WAIT_MS: std::ops::RangeInclusive<i32> = 1_000..=60_000;
/// For requests that say none (Kafka `controller.socket.timeout.ms`).
pub(super) const WAIT_DEFAULT_MS: i32 = 30_000;

/// Why a forwarded request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// The other broker is not the controller either.
    #[error("not the controller")]
    NotController {
        /// Who is, if it knows.
        leader: Option<i32>,
    },
    /// It takes no such request: another version, or no request at all.
    #[error("refused: {0}")]
    Refused(String),
    /// It was not reached, or did not answer; the request may have been carried out all the same.
    #[error("{0}")]
    Unreachable(String),
}

/// The answer of [`Forward::forward`].
pub type Forwarding = Pin<Box<dyn Future<Output = Result<Bytes, ForwardError>> + Send>>;

/// The way to other brokers' dispatchers.
pub trait Forward: fmt::Debug + Send + Sync {
    /// Lets a broker answer a request, by [`super::answer_forwarded`] there: its frame without the length goes out, the body
    /// of the answer comes back.
    fn forward(&self, to: i32, frame: Bytes) -> Forwarding;
}

/// A request on its way to the controller.
pub(super) struct ToController {
    pub(super) api: &'static Api,
    pub(super) context: RequestContext,
    pub(super) forward: Arc<dyn Forward>,
    /// As it came, without the length.
    pub(super) frame: Bytes,
    /// Without the header.
    pub(super) body: Bytes,
    pub(super) timeout_ms: i32,
}

impl ToController {
    /// Answers once the controller has.
    pub(super) fn handling(self) -> Handling {
        Handling::Exclusive(Box::pin(self.answer()))
    }

    /// The controller's answer; this broker's own NOT_CONTROLLER if none came in time.
    pub(super) async fn answer(self) -> Result<Reply, String> {
        let wait_ms = self.timeout_ms.clamp(*WAIT_MS.start(), *WAIT_MS.end());
        let deadline = Instant::now() + Duration::from_millis(wait_ms.unsigned_abs().into());
        let controller = self.context.broker.controller.clone();
        let mut hint = None;
        loop {
            let role = controller.role();
            let last = match (role, hint.take()) {
                (Role::Alone | Role::Active { .. }, _) => {
                    let finished = timeout_at(deadline + FINISH, self.answer_here()).await;
                    finished.map_err(|_| format!("{} was not decided in time", self.api.name))??
                }
                (Role::Observer { leader: None }, None) => None,
                (Role::Observer { leader: Some(leader) }, None) | (Role::Observer { .. }, Some(leader)) => {
                    match timeout_at(deadline, self.forward.forward(leader, self.frame.clone())).await {
                        Ok(Ok(body)) => return Ok(Reply { parts: vec![Part::Bytes(body)], ..Reply::default() }),
                        Ok(Err(ForwardError::NotController { leader: other })) => {
                            hint = other.filter(|other| *other != leader && *other != controller.node_id());
                        }
                        Ok(Err(error)) => {
                            let api = self.api.name;
                            tracing::debug!(api, leader, %error, "request not forwarded");
                        }
                        Err(_) => {}
                    }
                    None
                }
            };
            if let Some(reply) = last.filter(|reply| !reply.not_controller) {
                return Ok(reply);
            }
            if Instant::now() >= deadline {
                let given_up = self.answer_here().await?;
                return given_up.ok_or_else(|| "nobody to answer it".to_owned());
            }
            tokio::select! {
                () = controller.role_changed(role) => {}
                () = sleep(RETRY) => {}
            }
        }
    }

    async fn answer_here(&self) -> Result<Option<Reply>, String> {
        reply_of(self.api.handle(&self.context, self.body.clone())?).await
    }
}

/// The answer that a handler gives, if it gives one.
async fn reply_of(handling: Handling) -> Result<Option<Reply>, String> {
    match handling {
        Handling::Ready(reply) => Ok(Some(reply)),
        Handling::Pipelined(waiting) | Handling::Exclusive(waiting) => waiting.await.map(Some),
        Handling::Silent => Ok(None),
        Handling::Close(why) => Err(why),
    }
}

/// Answers a request that another broker forwarded, as if its client had come here: the body of the answer.
///
/// # Errors
/// This broker is not the controller, or takes no such request. Nothing was done.
pub async fn answer_forwarded(broker: &Arc<Broker>, from: i32, frame: Bytes) -> Result<Bytes, ForwardError> {
    let refused = |why: String| ForwardError::Refused(why);
    let judged = Judged::of(frame).map_err(|refusal| refused(refusal.to_string()))?;
    if judged.api.forwarded.is_none() {
        return Err(refused(format!("{} is answered by the broker that was asked", judged.api.name)));
    }
    let not_controller = || ForwardError::NotController {
        leader: broker.controller.active_controller().filter(|leader| *leader != broker.node_id),
    };
    if matches!(broker.controller.role(), Role::Observer { .. }) {
        return Err(not_controller());
    }
    let connection =
        ConnectionInfo { advertised_host: "".into(), advertised_port: 0, peer: Ipv4Addr::UNSPECIFIED.into() };
    let context = RequestContext {
        broker: broker.clone(),
        connection: Arc::new(connection),
        version: judged.version,
        client_id: judged.client_id,
        asked_at: from,
    };
    let handling = judged.api.handle(&context, judged.body).map_err(refused)?;
    let reply = reply_of(handling).await.map_err(refused)?.unwrap_or_default();
    if reply.not_controller {
        return Err(not_controller());
    }
    let mut body = BytesMut::with_capacity(reply.len());
    for part in reply.parts {
        match part {
            Part::Bytes(bytes) => body.extend_from_slice(&bytes),
            Part::File { .. } => return Err(refused("an answer with records is not forwarded".into())),
        }
    }
    Ok(body.freeze())
}

/// Makes topics for a client that only asked about them, as a CreateTopics request of this broker's own.
pub(super) async fn create_topics(
    context: &RequestContext,
    forward: Arc<dyn Forward>,
    request: &CreateTopicsRequest,
) -> Result<CreateTopicsResponse, String> {
    let version = <CreateTopicsRequest as Message>::VERSIONS.max;
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::CreateTopics as i16)
        .with_request_api_version(version)
        .with_client_id(None);
    let mut frame = BytesMut::new();
    let encoded = header.encode(&mut frame, ApiKey::CreateTopics.request_header_version(version));
    encoded.and_then(|()| request.encode(&mut frame, version)).map_err(|error| error.to_string())?;
    let frame = frame.freeze();
    let Judged { api, body, .. } = Judged::of(frame.clone()).map_err(|refusal| refusal.to_string())?;
    let context = RequestContext { version, ..context.clone() };
    let timeout_ms = request.timeout_ms;
    let reply = ToController { api, context, forward, frame, body, timeout_ms }.answer().await?;
    let Some(Part::Bytes(mut answer)) = reply.parts.into_iter().next() else { return Err("no answer".into()) };
    CreateTopicsResponse::decode(&mut answer, version).map_err(|error| error.to_string())
}
