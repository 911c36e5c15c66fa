//! RemoveRaftVoter: takes a broker's vote on the metadata, which it goes on following (KIP-853).

use kafka_protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    topic::text,
};
use crate::controller::VoterKey;

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("cluster_id", Kind::String).nullable_since(0),
        field("voter_id", Kind::Int32),
        field("voter_directory_id", Kind::Uuid),
    ],
};

pub(super) fn handle(context: &RequestContext, request: RemoveRaftVoterRequest) -> Handling {
    let controller = context.broker.controller.clone();
    let voter = VoterKey {
        cluster_id: request.cluster_id.map(|id| id.to_string()),
        broker_id: request.voter_id,
        directory_id: request.voter_directory_id,
    };
    Handling::decided(context.version, async move {
        match controller.remove_voter(&voter).await {
            Ok(()) => RemoveRaftVoterResponse::default().with_error_code(NONE).with_error_message(None),
            Err(error) => RemoveRaftVoterResponse::default()
                .with_error_code(error.error_code())
                .with_error_message(Some(text(&error.to_string()))),
        }
    })
}
