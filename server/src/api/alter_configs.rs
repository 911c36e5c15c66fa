//! AlterConfigs: all settings of a resource replaced by those named.

use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, alter_configs_request::AlterConfigsResource,
    alter_configs_response::AlterConfigsResourceResponse,
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::NONE,
    reply::Handling,
    resource::{self, ResourceError},
    topic::text,
};
use crate::controller::Resource;

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 2,
    fields: &[
        field(
            "resources",
            Kind::Array(&[
                field("resource_type", Kind::Int8),
                field("resource_name", Kind::String),
                field(
                    "configs",
                    Kind::Array(&[field("name", Kind::String), field("value", Kind::String).nullable_since(0)]),
                ),
            ]),
        ),
        field("validate_only", Kind::Bool),
    ],
};

pub(super) fn handle(context: &RequestContext, request: AlterConfigsRequest) -> Handling {
    let (controller, asked_at) = (context.broker.controller.clone(), context.asked_at);
    Handling::decided(context.version, async move {
        let parsed = request.resources.iter().map(parse).collect();
        let decide = |readable: Vec<_>| async move {
            controller.alter_configs(&readable, asked_at, request.validate_only).await
        };
        let outcomes = resource::decided(parsed, decide).await;
        let responses =
            request.resources.into_iter().zip(outcomes).map(|(resource, outcome)| response(resource, outcome));
        AlterConfigsResponse::default().with_responses(responses.collect())
    })
}

type Replacement = (Resource, Vec<(String, Option<String>)>);

fn parse(resource: &AlterConfigsResource) -> Result<Replacement, ResourceError> {
    let parsed = resource::parse(resource.resource_type, &resource.resource_name)?;
    let configs = resource.configs.iter();
    let configs = configs.map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)));
    Ok((parsed, configs.collect()))
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
