//! A directory that did not form the cluster takes part in the metadata's log: it asks whoever leads it to be let in. A voter whose
//! disk was lost takes the place of its former self; any other broker follows. Not here: how members are changed (`raft`).

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{desk::Rooms, kind::Kind, links::Links};
use crate::{
    config::ClusterConfig,
    metadata::Endpoint,
    raft::{GroupError, NodeId},
    transport::{Caller, Lane, Refusal},
};

const ASK_EVERY: Duration = Duration::from_millis(500);
/// One that is let in, and not registered, says again where it is: another may lead by now.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// An election ends long before.
const TELL_AFTER: Duration = Duration::from_secs(30);
/// Longest host name of DNS.
const HOST_BYTES_MAX: usize = 255;
/// The answers.
const IN: &[u8] = b"in";
const NOT_LEADER: &[u8] = b"not leader";

/// Who asks to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) struct Joining {
    /// Its member of the metadata's log.
    pub node: NodeId,
    /// Whether it is one of those that vote.
    pub voter: bool,
    /// Where it can be called.
    pub raft: Endpoint,
}

impl Joining {
    fn encode(&self) -> Bytes {
        let mut body = self.node.as_u64().to_be_bytes().to_vec();
        body.push(u8::from(self.voter));
        body.extend(self.raft.port.to_be_bytes());
        body.extend(self.raft.host.as_bytes());
        body.into()
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (node, rest) = body.split_first_chunk::<8>()?;
        let (voter, rest) = rest.split_first()?;
        let (port, host) = rest.split_first_chunk::<2>()?;
        if *voter > 1 || host.is_empty() || host.len() > HOST_BYTES_MAX {
            return None;
        }
        let raft = Endpoint { host: String::from_utf8(host.to_vec()).ok()?, port: u16::from_be_bytes(*port) };
        Some(Self { node: NodeId::from(u64::from_be_bytes(*node)), voter: *voter == 1, raft })
    }
}

/// Asks until this member is let in. Every voter hears where it is: any of them may lead next.
pub(in crate::node) async fn join(links: &Links, config: &ClusterConfig, joining: &Joining) {
    let (since, mut told) = (Instant::now(), false);
    while !asked(links, config, joining).await {
        if !told && since.elapsed() > TELL_AFTER {
            told = true;
            tracing::error!(
                "nobody lets this broker follow the cluster's metadata: are more than half of the voters up, with \
                metadata that they trust? If most of them lost it, `tidemark cluster recover` shows what survives"
            );
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    tracing::info!(node = %joining.node, "the metadata's log is followed");
}

/// Says it again and again.
pub(in crate::node) async fn stay_known(links: &Links, config: &ClusterConfig, joining: &Joining) {
    loop {
        tokio::time::sleep(SAY_AGAIN_AFTER).await;
        asked(links, config, joining).await;
    }
}

/// Whether somebody let it in.
async fn asked(links: &Links, config: &ClusterConfig, joining: &Joining) -> bool {
    let mut let_in = false;
    for other in config.voters.iter().filter(|other| other.id != joining.node.broker()) {
        match links.call(other.id, Lane::Bulk, Kind::Join, joining.encode()).await {
            Ok(answer) => let_in |= *answer == *IN,
            Err(error) => tracing::debug!(broker = other.id, %error, "not let in yet"),
        }
    }
    let_in
}

/// Notes where a member is, and lets it in if this broker leads the metadata's log.
pub(super) async fn admit(rooms: &Rooms, from: Caller, body: &[u8]) -> Result<Vec<Bytes>, Refusal> {
    let joining = Joining::decode(body).ok_or_else(|| Refusal::Close("no request to join".to_owned()))?;
    if joining.node.broker() != from.broker_id {
        return Err(Refusal::Close("a broker joins for itself only".to_owned()));
    }
    // where a live broker is, the metadata says: another with its id shall not draw its messages away
    let image = rooms.controller.image();
    if !joining.voter && image.broker(from.broker_id).is_none_or(|known| known.fenced) {
        rooms.links.transport.set_peer(from.broker_id, &joining.raft.host, joining.raft.port);
    }
    match rooms.partitions.metadata_log().admit(joining.node, joining.voter).await {
        Ok(()) => Ok(vec![Bytes::from_static(IN)]),
        Err(GroupError::NotLeader { .. }) => Ok(vec![Bytes::from_static(NOT_LEADER)]),
        Err(error) => Err(Refusal::Answer(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_joins_says_where_it_is_and_nonsense_is_refused() {
        let raft = Endpoint { host: "edge-7.example".into(), port: 9093 };
        let joining = Joining { node: NodeId::new(4, 77), voter: false, raft };
        let body = joining.encode();
        assert_eq!(Joining::decode(&body), Some(joining));
        assert!((0..12).all(|len| Joining::decode(&body[..len]).is_none()), "no host is no place");
        let too_long = [&body[..11], &[b'h'; HOST_BYTES_MAX + 1]].concat();
        assert!(Joining::decode(&too_long).is_none());
        assert!(Joining::decode(&[&body[..8], &[2], &body[9..]].concat()).is_none());
        assert!(Joining::decode(&[&body[..11], &[0xff]].concat()).is_none(), "not UTF-8");
    }
}
