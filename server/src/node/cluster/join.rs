//! A directory that did not form the cluster takes part in the metadata's log: it asks whoever leads it to be let in. A voter whose
//! disk was lost takes the place of its former self; any other broker follows. Not here: how members are changed (`raft`).

use std::time::Duration;

use bytes::Bytes;

use super::{desk::Rooms, kind::Kind, links::Links};
use crate::{
    config::ClusterConfig,
    raft::{GroupError, NodeId},
    transport::{Caller, Lane, Refusal},
};

const ASK_EVERY: Duration = Duration::from_millis(500);
/// The answers.
const IN: &[u8] = b"in";
const NOT_LEADER: &[u8] = b"not leader";

/// Asks until this member is let in.
pub(in crate::node) async fn join(links: &Links, config: &ClusterConfig, node: NodeId) {
    let voter = config.voters.iter().any(|voter| voter.id == node.broker());
    let mut body = node.as_u64().to_be_bytes().to_vec();
    body.push(u8::from(voter));
    let body = Bytes::from(body);
    loop {
        for other in config.voters.iter().filter(|other| other.id != node.broker()) {
            match links.call(other.id, Lane::Bulk, Kind::Join, body.clone()).await {
                Ok(answer) if *answer == *IN => return tracing::info!(%node, "the metadata's log is followed"),
                Ok(_) => {}
                Err(error) => tracing::debug!(broker = other.id, %error, "not let in yet"),
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Lets a member in, if this broker leads the metadata's log.
pub(super) async fn admit(rooms: &Rooms, from: Caller, body: &[u8]) -> Result<Vec<Bytes>, Refusal> {
    let malformed = || Refusal::Close("no request to join".to_owned());
    let (node, rest) = body.split_first_chunk::<8>().ok_or_else(malformed)?;
    let node = NodeId::from(u64::from_be_bytes(*node));
    let &[voter] = rest else { return Err(malformed()) };
    if node.broker() != from.broker_id {
        return Err(Refusal::Close("a broker joins for itself only".to_owned()));
    }
    match rooms.partitions.metadata_log().admit(node, voter == 1).await {
        Ok(()) => Ok(vec![Bytes::from_static(IN)]),
        Err(GroupError::NotLeader { .. }) => Ok(vec![Bytes::from_static(NOT_LEADER)]),
        Err(error) => Err(Refusal::Answer(error.to_string())),
    }
}
