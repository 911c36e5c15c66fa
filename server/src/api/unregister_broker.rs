//! UnregisterBroker: forgets a broker that is gone for good (KIP-631).

use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    topic::text,
};

pub(super) static REQUEST: Shape = Shape { flexible_since: 0, fields: &[field("broker_id", Kind::Int32)] };

pub(super) fn handle(context: &RequestContext, request: UnregisterBrokerRequest) -> Handling {
    let controller = context.broker.controller.clone();
    Handling::decided(context.version, async move {
        match controller.unregister_broker(request.broker_id.0).await {
            Ok(()) => UnregisterBrokerResponse::default().with_error_code(NONE),
            Err(error) => UnregisterBrokerResponse::default()
                .with_error_code(error.error_code())
                .with_error_message(Some(text(&error.to_string()))),
        }
    })
}
