//! Config resources as the three config APIs name them (Kafka `ConfigResource.Type`). Not here: their settings.

use kafka_protocol::error::ResponseError;

use crate::controller::{ControllerError, Resource};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Why a resource was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourceError {
    pub(super) code: i16,
    pub(super) message: String,
}

/// The resource of this type and name. An empty broker name means all brokers.
pub(super) fn parse(kind: i8, name: &str) -> Result<Resource, ResourceError> {
    let refuse = |message: String| Err(ResourceError { code: ResponseError::InvalidRequest.code(), message });
    match kind {
        TOPIC => Ok(Resource::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(Resource::Broker(None)),
        BROKER => match name.parse() {
            Ok(id) => Ok(Resource::Broker(Some(id))),
            Err(_) => refuse(format!("Node id must be an integer, but it is: {name}")),
        },
        other => refuse(format!("Unknown resource type {other}")),
    }
}

/// What becomes of each resource, in the order asked: why it could not be read, or what the controller decides about it.
pub(super) async fn decided<T, Deciding>(
    parsed: Vec<Result<T, ResourceError>>,
    decide: impl FnOnce(Vec<T>) -> Deciding,
) -> Vec<Result<(), ResourceError>>
where
    Deciding: Future<Output = Vec<Result<(), ControllerError>>>,
{
    let (mut readable, mut outcomes) = (Vec::new(), Vec::with_capacity(parsed.len()));
    for resource in parsed {
        outcomes.push(resource.map(|resource| readable.push(resource)));
    }
    let decisions = decide(readable).await;
    for (outcome, decision) in outcomes.iter_mut().filter(|outcome| outcome.is_ok()).zip(decisions) {
        *outcome = decision.map_err(ResourceError::from);
    }
    outcomes
}
