//! DescribeConfigs: every setting of topics and brokers, with where its value comes from.

use std::collections::HashSet;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym},
    },
    protocol::StrBytes,
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    config_entry::{ConfigEntry, TopicEntries, broker_default_entries, broker_entries},
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    resource::{self, ResourceError},
    topic::text,
};
use crate::{
    controller::{ControllerError, Resource},
    metadata::{Image, check_topic_name},
};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 4,
    fields: &[
        field(
            "resources",
            Kind::Array(&[
                field("resource_type", Kind::Int8),
                field("resource_name", Kind::String),
                field("configuration_keys", Kind::List(&Kind::String)).nullable_since(0),
            ]),
        ),
        field("include_synonyms", Kind::Bool),
        field("include_documentation", Kind::Bool).since(3),
    ],
};

/// Resources that may stand in a request again. An answer about what there is stays as small as that is; one about the
/// same over and over would be thousands of times its request.
const REPEATS_MAX: usize = 100;

pub(super) fn handle(context: &RequestContext, request: DescribeConfigsRequest) -> Handling {
    let image = context.broker.controller.image();
    let show = Show { synonyms: request.include_synonyms, docs: request.include_documentation };
    let entries = TopicEntries::new(&context.broker.controller);
    let mut seen = HashSet::new();
    let mut repeats = 0;
    let results = request.resources.into_iter().map(|resource| {
        repeats += usize::from(!seen.insert((resource.resource_type, resource.resource_name.clone())));
        let described = match repeats {
            ..=REPEATS_MAX => described(context, &image, &resource, show, &entries),
            _ => Err(repeated()),
        };
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match described {
            Ok(configs) => result.with_error_code(NONE).with_error_message(Some(StrBytes::new())).with_configs(configs),
            Err(ResourceError { code, message }) => {
                result.with_error_code(code).with_error_message(Some(text(&message)))
            }
        }
    });
    Handling::ready(&DescribeConfigsResponse::default().with_results(results.collect()), context.version)
}

fn repeated() -> ResourceError {
    let message = "The request names resources again and again.".to_owned();
    ResourceError { code: ResponseError::InvalidRequest.code(), message }
}

#[derive(Clone, Copy)]
struct Show {
    synonyms: bool,
    docs: bool,
}

fn described(
    context: &RequestContext,
    image: &Image,
    asked: &DescribeConfigsResource,
    show: Show,
    entries: &TopicEntries,
) -> Result<Vec<DescribeConfigsResourceResult>, ResourceError> {
    let controller = &context.broker.controller;
    // none named means all, in either way of naming none
    let keys = asked.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
    let wanted = |entry: &ConfigEntry<'_>| keys.is_none_or(|keys| keys.iter().any(|key| **key == *entry.name));
    let shown = |entry: ConfigEntry<'_>| result(entry, show);
    match resource::parse(asked.resource_type, &asked.resource_name).map_err(in_words_of_describe)? {
        Resource::Topic(name) => {
            check_topic_name(&name).map_err(|error| ControllerError::InvalidTopic(error.to_string()))?;
            let unknown = || ResourceError { code: ControllerError::UnknownTopic.error_code(), message: String::new() };
            let topic = image.topic(&name).ok_or_else(unknown)?;
            Ok(entries.of(&topic.configs).filter(wanted).map(shown).collect())
        }
        Resource::Broker(None) => Ok(broker_default_entries(image).into_iter().filter(wanted).map(shown).collect()),
        Resource::Broker(Some(id)) if id == context.broker.node_id => {
            Ok(broker_entries(controller).into_iter().filter(wanted).map(shown).collect())
        }
        Resource::Broker(Some(id)) => Err(ResourceError {
            code: ResponseError::InvalidRequest.code(),
            message: format!(
                "Unexpected broker id, expected {} or empty string, but received {id}",
                context.broker.node_id
            ),
        }),
    }
}

fn result(entry: ConfigEntry<'_>, show: Show) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.into_iter().filter(|_| show.synonyms).map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(synonym.name.into())
            .with_value(synonym.value.map(Into::into))
            .with_source(synonym.source as i8)
    });
    DescribeConfigsResourceResult::default()
        .with_name(text(entry.name))
        .with_value(entry.value.map(Into::into))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.sensitive)
        .with_synonyms(synonyms.collect())
        .with_config_type(entry.kind.map_or(0, |kind| kind as i8))
        .with_documentation(entry.doc.filter(|_| show.docs).map(text))
}

/// Kafka names the same mistakes differently here than where settings are changed.
fn in_words_of_describe(error: ResourceError) -> ResourceError {
    let message = match error.message.strip_prefix("Unknown resource type") {
        Some(_) => {
            "This most likely occurs because of a request being malformed by the client library or the message was \
                    sent to an incompatible broker. See the broker logs for more details."
                .to_owned()
        }
        None => error.message.replacen("Node id", "Broker id", 1),
    };
    ResourceError { message, ..error }
}

impl From<ControllerError> for ResourceError {
    fn from(error: ControllerError) -> Self {
        Self { code: error.error_code(), message: error.to_string() }
    }
}
