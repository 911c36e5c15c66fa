//! `GET /v1/streams`, `/v1/streams/{topic}`, `/v1/streams/{topic}/partitions/{partition}`: what there is, and where it
//! starts and ends. Topics are made and changed elsewhere.

use axum::{
    Json,
    extract::{Path, Request, State},
};
use serde_json::{Value, json};
use tidemark_client::{ClientError, KafkaError, admin::OffsetSpec, error::Subject};

use crate::{bridge::Bridge, error::Problem, path, query::Query};

/// All topics, the cluster's own ones marked.
pub(crate) async fn list(State(bridge): State<Bridge>, request: Request) -> Result<Json<Value>, Problem> {
    Query::parse(request.uri().query(), &[])?;
    let topics = bridge.client.admin().list_topics().await?;
    let topics: Vec<_> = topics
        .into_iter()
        .map(|topic| json!({"topic": topic.name, "partitions": topic.partitions, "internal": topic.internal}))
        .collect();
    Ok(Json(json!({"streams": topics})))
}

/// One topic and its partitions.
pub(crate) async fn topic(
    State(bridge): State<Bridge>,
    Path(topic): Path<String>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    path::topic(&topic)?;
    Query::parse(request.uri().query(), &[])?;
    let found = bridge.client.topic(&topic).await?;
    let partitions: Vec<_> = found
        .partitions
        .iter()
        .map(|partition| {
            let (leader, replicas, isr) = (partition.leader, &partition.replicas, &partition.isr);
            json!({"partition": partition.partition, "leader": leader, "replicas": replicas, "isr": isr})
        })
        .collect();
    let id = found.id.map(|id| id.to_string());
    Ok(Json(json!({"topic": topic, "id": id, "internal": found.internal, "partitions": partitions})))
}

/// First and next offset of a partition, and the offset at a time if one is asked for.
pub(crate) async fn partition(
    State(bridge): State<Bridge>,
    Path((topic, partition)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    path::topic(&topic)?;
    let partition = path::partition(&partition)?;
    let query = Query::parse(request.uri().query(), &["timestamp"])?;
    let timestamp_ms = query.timestamp_ms("timestamp")?;
    let known = bridge.client.topic(&topic).await?;
    if !known.partitions.iter().any(|other| other.partition == partition) {
        let error = KafkaError::new(KafkaError::UNKNOWN_TOPIC_OR_PARTITION);
        return Err(ClientError::Kafka { subject: Subject::Partition(topic, partition), error }.into());
    }
    let lookup = |spec| bridge.client.list_offset(&topic, partition, spec);
    let (earliest, latest) = tokio::try_join!(lookup(OffsetSpec::Earliest), lookup(OffsetSpec::Latest))?;
    let mut body = json!({
        "topic": topic, "partition": partition, "earliest": earliest.offset, "latest": latest.offset,
    });
    if let Some(timestamp_ms) = timestamp_ms {
        let found = lookup(OffsetSpec::Timestamp(timestamp_ms)).await?;
        body["at"] = json!({
            "timestamp": timestamp_ms, "offset": found.offset, "record_timestamp": found.timestamp_ms,
        });
    }
    Ok(Json(body))
}
