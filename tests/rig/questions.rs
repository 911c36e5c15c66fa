//! Questions to a broker that our client does not ask: who leads the metadata's log, and whether all replicas are where they
//! should be and hold the same. No answer is an answer.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use kafka_protocol::{
    messages::{
        DescribeLogDirsRequest, DescribeQuorumRequest, ListPartitionReassignmentsRequest, TopicName,
        describe_quorum_request::{PartitionData, TopicData},
        describe_quorum_response,
    },
    protocol::{Request, StrBytes},
};

use crate::connection::{Connection, decode_response, encode_request};

/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
const METADATA: &str = "__cluster_metadata";

fn ask<R: Request>(address: SocketAddr, request: &R, version: i16) -> Option<R::Response> {
    let mut connection = Connection::try_open(address).ok()?;
    connection.set_patience(PATIENCE);
    let answer = connection.exchange(&encode_request(request, version, 1)).ok()??;
    decode_response::<R>(answer, version).ok().map(|(response, _)| response)
}

/// The metadata's log as this broker knows it.
pub(super) fn quorum(address: SocketAddr) -> Option<describe_quorum_response::PartitionData> {
    let topic = TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str(METADATA)))
        .with_partitions(vec![PartitionData::default()]);
    let mut answer = ask(address, &DescribeQuorumRequest::default().with_topics(vec![topic]), 1)?;
    answer.topics.pop()?.partitions.pop().filter(|partition| partition.error_code == 0)
}

/// What a cluster of these brokers lacks, if anything; under load too.
pub(super) fn settled(addresses: &[SocketAddr], brokers: usize) -> Result<(), String> {
    if brokers == 1 {
        return Ok(());
    }
    // only who leads knows how far the others are
    let leads = |quorum: &describe_quorum_response::PartitionData| {
        quorum.current_voters.iter().all(|voter| voter.log_end_offset >= quorum.high_watermark)
            && quorum.current_voters.len() == brokers
    };
    let quorums: Vec<_> = addresses.iter().filter_map(|address| quorum(*address)).collect();
    if !quorums.iter().any(leads) {
        return Err(format!("the metadata's quorum is not whole: {quorums:?}"));
    }
    for address in addresses {
        let moving = ask(*address, &ListPartitionReassignmentsRequest::default().with_topics(None), 0);
        let moving = moving.ok_or_else(|| format!("{address} does not say what moves"))?.topics;
        if !moving.is_empty() {
            return Err(format!("{address} says that these move: {moving:?}"));
        }
    }
    Ok(())
}

/// Where logs of these brokers are not as long as others, when nobody writes.
pub(super) fn equal(addresses: &[SocketAddr]) -> Result<(), String> {
    let sizes: Vec<_> = addresses.iter().map(|address| sizes(*address)).collect::<Option<_>>().ok_or("no sizes")?;
    match sizes.iter().position(|of| *of != sizes[0]) {
        Some(other) => Err(format!("logs differ in size: {:?} and {:?}", sizes[0], sizes[other])),
        None => Ok(()),
    }
}

/// Bytes and lag of every log of a broker.
fn sizes(address: SocketAddr) -> Option<BTreeMap<(String, i32), (i64, i64)>> {
    let answer = ask(address, &DescribeLogDirsRequest::default().with_topics(None), 4)?;
    let topics = answer.results.into_iter().flat_map(|dir| dir.topics);
    let sized = topics.flat_map(|topic| {
        let name = topic.name.to_string();
        let of = move |index, size, lag| ((name.clone(), index), (size, lag));
        topic.partitions.into_iter().map(move |at| of(at.partition_index, at.partition_size, at.offset_lag))
    });
    Some(sized.filter(|((name, _), _)| name != METADATA).collect())
}
