//! DeleteTopics, by name or (from version 6) by id.

use std::collections::HashSet;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DeleteTopicsRequest, DeleteTopicsResponse, TopicName, delete_topics_request::DeleteTopicState,
        delete_topics_response::DeletableTopicResult,
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};
use uuid::Uuid;

use super::{
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    topic::text,
};
use crate::controller::{ControllerError, TopicRef};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 4,
    fields: &[
        field("topics", Kind::Array(&[field("name", Kind::String).nullable_since(6), field("topic_id", Kind::Uuid)]))
            .since(6),
        field("topic_names", Kind::List(&Kind::String)).until(5),
        field("timeout_ms", Kind::Int32),
    ],
};

pub(super) fn handle(context: &RequestContext, request: DeleteTopicsRequest) -> Handling {
    let named = |name| DeleteTopicState::default().with_name(Some(name));
    let asked: Vec<DeleteTopicState> = match context.version {
        ..=5 => request.topic_names.into_iter().map(named).collect(),
        _ => request.topics,
    };
    if !context.broker.config.delete_topics {
        let error =
            if context.version < 3 { ResponseError::InvalidRequest } else { ResponseError::TopicDeletionDisabled };
        let results = asked.into_iter().map(|topic| refused(topic, error.code(), "Topic deletion is disabled."));
        return Handling::ready(&DeleteTopicsResponse::default().with_responses(results.collect()), context.version);
    }
    let controller = context.broker.controller.clone();
    Handling::decided(context.version, async move {
        // a topic that stands twice is refused once
        let mut told = HashSet::new();
        let (asked, again): (Vec<_>, Vec<_>) = asked.into_iter().partition(|topic| told.insert(identity(topic)));
        let again: HashSet<Identity> = again.iter().map(identity).collect();
        let doubled = |topic| again.contains(&identity(topic));
        let parsed: Vec<Result<TopicRef, ControllerError>> =
            asked.iter().map(|topic| parse(topic, doubled(topic))).collect();
        let allowed: Vec<TopicRef> = parsed.iter().flatten().cloned().collect();
        let mut deleted = controller.delete_topics(&allowed).await.into_iter();
        let results = asked.into_iter().zip(parsed).map(|(topic, parsed)| {
            match parsed.and_then(|_| deleted.next().unwrap_or(Err(ControllerError::UnknownTopic))) {
                Ok((name, id)) => gone(name, id),
                Err(error) => refused(topic, error.error_code(), &error.to_string()),
            }
        });
        DeleteTopicsResponse::default().with_responses(results.collect())
    })
}

/// What makes two entries the same.
type Identity = (Option<TopicName>, Uuid);

fn identity(topic: &DeleteTopicState) -> Identity {
    (topic.name.clone(), topic.topic_id)
}

fn parse(topic: &DeleteTopicState, doubled: bool) -> Result<TopicRef, ControllerError> {
    let refuse = |what: &str| Err(ControllerError::InvalidRequest(what.into()));
    match (&topic.name, topic.topic_id.is_nil()) {
        (Some(_), true) if doubled => refuse("Duplicate topic name."),
        (None, false) if doubled => refuse("Duplicate topic id."),
        (Some(name), true) => Ok(TopicRef::Name(name.to_string())),
        (None, false) => Ok(TopicRef::Id(topic.topic_id)),
        (Some(_), false) => refuse("You may not specify both topic name and topic id."),
        (None, true) => refuse("Neither topic name nor id were specified."),
    }
}

fn gone(name: String, id: Uuid) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(Some(TopicName(name.into())))
        .with_topic_id(id)
        .with_error_code(NONE)
        .with_error_message(None)
}

fn refused(topic: DeleteTopicState, code: i16, message: &str) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(topic.name)
        .with_topic_id(topic.topic_id)
        .with_error_code(code)
        .with_error_message(Some(text(message)))
}
