//! InitProducerId: a producer id for idempotent producers. Not here: transactions (a later issue).

use kafka_protocol::{
    error::ResponseError,
    messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId},
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
};
use crate::controller::{ControllerError, ProposeError};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 2,
    fields: &[
        field("transactional_id", Kind::String).nullable_since(0),
        field("transaction_timeout_ms", Kind::Int32),
        field("producer_id", Kind::Int64).since(3),
        field("producer_epoch", Kind::Int16).since(3),
    ],
};

const NO_PRODUCER_ID: i64 = -1;
const NO_EPOCH: i16 = -1;

pub(super) fn handle(context: &RequestContext, request: InitProducerIdRequest) -> Handling {
    if let Some(error) = refusal(&request, context.broker.config.transaction_timeout_max_ms) {
        return Handling::ready(&refused(error), context.version);
    }
    let controller = context.broker.controller.clone();
    Handling::decided(context.version, async move {
        match controller.allocate_producer_id().await {
            Ok(id) => InitProducerIdResponse::default()
                .with_error_code(NONE)
                .with_producer_id(ProducerId(id))
                .with_producer_epoch(0),
            // Kafka's word for "no controller gives a block of ids now": clients ask again
            Err(ControllerError::Propose(ProposeError::NotController { .. })) => {
                refused(ResponseError::CoordinatorLoadInProgress)
            }
            Err(error) => refused(error.response_error()),
        }
    })
}

fn refusal(request: &InitProducerIdRequest, timeout_max_ms: i32) -> Option<ResponseError> {
    let has_id = request.producer_id != NO_PRODUCER_ID;
    if has_id != (request.producer_epoch != NO_EPOCH) {
        return Some(ResponseError::InvalidRequest);
    }
    // without a transaction Kafka gives a new id and looks at nothing else
    let transactional_id = request.transactional_id.as_ref()?;
    if transactional_id.is_empty() {
        return Some(ResponseError::InvalidRequest);
    }
    if !(1..=timeout_max_ms).contains(&request.transaction_timeout_ms) {
        return Some(ResponseError::InvalidTransactionTimeout);
    }
    // there is no transaction coordinator yet; clients take this as a reason to ask again later
    Some(ResponseError::CoordinatorNotAvailable)
}

fn refused(error: ResponseError) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId(NO_PRODUCER_ID))
        .with_producer_epoch(NO_EPOCH)
}
