//! AddRaftVoter: gives a vote on the metadata to a broker that follows it (KIP-853). Where it is, its registration says: the
//! request's listeners are not looked at.

use std::time::Duration;

use kafka_protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    topic::text,
};
use crate::controller::VoterKey;

/// However long a client would wait, a decision ends.
const CATCH_UP_MS_MAX: i32 = 60_000;

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("cluster_id", Kind::String).nullable_since(0),
        field("timeout_ms", Kind::Int32),
        field("voter_id", Kind::Int32),
        field("voter_directory_id", Kind::Uuid),
        field(
            "listeners",
            Kind::Array(&[field("name", Kind::String), field("host", Kind::String), field("port", Kind::Uint16)]),
        ),
    ],
};

pub(super) fn handle(context: &RequestContext, request: AddRaftVoterRequest) -> Handling {
    let controller = context.broker.controller.clone();
    let voter = VoterKey {
        cluster_id: request.cluster_id.map(|id| id.to_string()),
        broker_id: request.voter_id,
        directory_id: request.voter_directory_id,
    };
    let within = Duration::from_millis(request.timeout_ms.clamp(0, CATCH_UP_MS_MAX).unsigned_abs().into());
    Handling::decided(context.version, async move {
        match controller.add_voter(&voter, within).await {
            Ok(()) => AddRaftVoterResponse::default().with_error_code(NONE).with_error_message(None),
            Err(error) => AddRaftVoterResponse::default()
                .with_error_code(error.error_code())
                .with_error_message(Some(text(&error.to_string()))),
        }
    })
}
