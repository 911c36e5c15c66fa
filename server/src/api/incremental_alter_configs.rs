//! IncrementalAlterConfigs: single keys set, reset, or changed as lists.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::AlterConfigsResource,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::NONE,
    reply::Handling,
    resource::{self, ResourceError},
    topic::text,
};
use crate::controller::{ConfigChange, ConfigOp, Resource};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 1,
    fields: &[
        field(
            "resources",
            Kind::Array(&[
                field("resource_type", Kind::Int8),
                field("resource_name", Kind::String),
                field(
                    "configs",
                    Kind::Array(&[
                        field("name", Kind::String),
                        field("config_operation", Kind::Int8),
                        field("value", Kind::String).nullable_since(0),
                    ]),
                ),
            ]),
        ),
        field("validate_only", Kind::Bool),
    ],
};

pub(super) fn handle(context: &RequestContext, request: IncrementalAlterConfigsRequest) -> Handling {
    let (controller, asked_at) = (context.broker.controller.clone(), context.asked_at);
    Handling::decided(context.version, async move {
        let parsed = request.resources.iter().map(parse).collect();
        let decide = |readable: Vec<_>| async move {
            controller.incremental_alter_configs(&readable, asked_at, request.validate_only).await
        };
        let outcomes = resource::decided(parsed, decide).await;
        let responses =
            request.resources.into_iter().zip(outcomes).map(|(resource, outcome)| response(resource, outcome));
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    })
}

fn parse(resource: &AlterConfigsResource) -> Result<(Resource, Vec<ConfigChange>), ResourceError> {
    let parsed = resource::parse(resource.resource_type, &resource.resource_name)?;
    let changes = resource.configs.iter().map(|config| {
        let op = match config.config_operation {
            0 => ConfigOp::Set,
            1 => ConfigOp::Delete,
            2 => ConfigOp::Append,
            3 => ConfigOp::Subtract,
            other => {
                let code = ResponseError::InvalidRequest.code();
                return Err(ResourceError { code, message: format!("Unknown operation type {other}") });
            }
        };
        Ok(ConfigChange { key: config.name.to_string(), op, value: config.value.as_ref().map(ToString::to_string) })
    });
    Ok((parsed, changes.collect::<Result<_, _>>()?))
}

fn response(resource: AlterConfigsResource, outcome: Result<(), ResourceError>) -> AlterConfigsResourceResponse {
    let response = AlterConfigsResourceResponse::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name);
    match outcome {
        Ok(()) => response.with_error_code(NONE).with_error_message(None),
        Err(ResourceError { code, message }) => response.with_error_code(code).with_error_message(Some(text(&message))),
    }
}
