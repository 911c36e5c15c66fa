//! A directory that did not form the cluster takes part in the metadata's log: it asks whoever leads it to be let in. A broker whose
//! disk was lost takes the place of its former self, with its vote if it had one; any other follows. Whom to ask is in the list of
//! voters at first; those who are asked know who leads. Not here: how members are changed (`raft`).

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{desk::Rooms, kind::Kind, links::Links, member::NO_MAJORITY};
use crate::{
    config::ClusterConfig,
    metadata::Endpoint,
    node::StartError,
    raft::{GroupError, NodeId},
    transport::{Caller, Lane, Refusal},
};

const ASK_EVERY: Duration = Duration::from_millis(500);
/// How often somebody who looks at the log is told that nobody answers.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// One that is let in, and not registered, says again where it is: another may lead by now.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How long a start waits for somebody who knows better.
const COME_BACK_WITHIN: Duration = Duration::from_secs(1);
/// Longest host name of DNS.
const HOST_BYTES_MAX: usize = 255;
/// The answers.
const REPLACED: &[u8] = b"replaced";
const IN: &[u8] = b"in";
const NOT_LEADER: &[u8] = b"not leader ";

/// Who asks to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) struct Joining {
    /// Its member of the metadata's log.
    pub node: NodeId,
    /// It was a member before, by what its log holds.
    pub was_in: bool,
    /// Where it can be called.
    pub raft: Endpoint,
}

impl Joining {
    fn encode(&self) -> Bytes {
        let mut body = self.node.as_u64().to_be_bytes().to_vec();
        body.push(u8::from(self.was_in));
        body.extend(self.raft.port.to_be_bytes());
        body.extend(self.raft.host.as_bytes());
        body.into()
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (node, rest) = body.split_first_chunk::<8>()?;
        let (was_in, rest) = rest.split_first()?;
        let (port, host) = rest.split_first_chunk::<2>()?;
        if *was_in > 1 || host.is_empty() || host.len() > HOST_BYTES_MAX {
            return None;
        }
        let raft = Endpoint { host: String::from_utf8(host.to_vec()).ok()?, port: u16::from_be_bytes(*port) };
        Some(Self { node: NodeId::from(u64::from_be_bytes(*node)), was_in: *was_in == 1, raft })
    }
}

/// Those who are asked.
#[derive(Debug)]
pub(in crate::node) struct Asking<'a> {
    pub links: &'a Links,
    pub config: &'a ClusterConfig,
    pub joining: Joining,
    /// Brokers beside those of the list: who votes by what the log here holds, and who is said to lead.
    pub others: BTreeSet<i32>,
    /// Whoever leads said that there is a newer directory of this broker.
    pub replaced: bool,
}

impl Asking<'_> {
    /// Asks until this member is let in. All of them hear where it is: any may lead next.
    pub async fn join(&mut self) {
        let mut told = Instant::now();
        while !self.asked().await {
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                let node = self.joining.node;
                tracing::warn!(%node, next_step = NO_MAJORITY, "no broker leads the metadata, and lets this one in");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        tracing::info!(node = %self.joining.node, "the metadata's log is followed");
    }

    /// Says it again and again; resolves if another directory of this broker took the place of this one.
    pub async fn stay_known(&mut self) -> StartError {
        loop {
            tokio::time::sleep(SAY_AGAIN_AFTER).await;
            self.asked().await;
            if let Err(replaced) = self.judged() {
                return replaced;
            }
        }
    }

    /// Says it once, for a moment, before this broker takes part.
    ///
    /// # Errors
    /// Another directory of this broker took the place of this one.
    pub async fn come_back(&mut self) -> Result<(), StartError> {
        // who does not answer now is asked again later
        let _ = tokio::time::timeout(COME_BACK_WITHIN, self.asked()).await;
        self.judged()
    }

    fn judged(&self) -> Result<(), StartError> {
        let broker = self.joining.node.broker();
        let why = format!(
            "another directory took the place of this one as that of broker {broker}: start with that one, or with an empty one"
        );
        if self.replaced { Err(StartError::Cluster(why)) } else { Ok(()) }
    }

    /// Whether somebody let it in.
    async fn asked(&mut self) -> bool {
        let mut let_in = false;
        let listed = self.config.voters.iter().map(|voter| voter.id);
        let all: BTreeSet<i32> = listed.chain(self.others.iter().copied()).collect();
        for other in all.into_iter().filter(|other| *other != self.joining.node.broker()) {
            match self.links.call(other, Lane::Bulk, Kind::Join, self.joining.encode()).await {
                Ok(answer) if *answer == *IN => let_in = true,
                Ok(answer) if *answer == *REPLACED => self.replaced = true,
                Ok(answer) => {
                    if let Some((leader, Endpoint { host, port })) = read_not_leader(&answer)
                        && !self.config.names(leader)
                    {
                        self.links.transport.set_peer(leader, &host, port);
                        self.others.insert(leader);
                    }
                }
                Err(error) => tracing::debug!(broker = other, %error, "not let in yet"),
            }
        }
        let_in
    }
}

/// The answer of one that does not lead; with the leader's id and place behind it, where they are known.
fn not_leader(leader: Option<(i32, &Endpoint)>) -> Bytes {
    let place = |(id, Endpoint { host, port }): (i32, &Endpoint)| format!("{id}@{host}:{port}");
    [NOT_LEADER, leader.map(place).unwrap_or_default().as_bytes()].concat().into()
}

fn read_not_leader(answer: &[u8]) -> Option<(i32, Endpoint)> {
    let place = std::str::from_utf8(answer.strip_prefix(NOT_LEADER)?).ok()?;
    let (id, address) = place.split_once('@')?;
    let (host, port) = address.rsplit_once(':')?;
    let fits = !host.is_empty() && host.len() <= HOST_BYTES_MAX;
    let endpoint = Endpoint { host: host.to_owned(), port: port.parse().ok()? };
    Some((id.parse().ok()?, endpoint)).filter(|_| fits)
}

/// Notes where a member is, and lets it in if this broker leads the metadata's log.
pub(super) async fn admit(rooms: &Rooms, from: Caller, body: &[u8]) -> Result<Vec<Bytes>, Refusal> {
    let joining = Joining::decode(body).ok_or_else(|| Refusal::Close("no request to join".to_owned()))?;
    if joining.node.broker() != from.broker_id {
        return Err(Refusal::Close("a broker joins for itself only".to_owned()));
    }
    // where a live broker is, the metadata says: another with its id shall not draw its messages away
    let image = rooms.controller.image();
    if image.broker(from.broker_id).is_none_or(|known| known.fenced) {
        rooms.links.transport.set_peer(from.broker_id, &joining.raft.host, joining.raft.port);
    }
    let log = rooms.partitions.metadata_log();
    // what it promised since is in the other directory
    if joining.was_in && log.role().leads() && log.is_replaced(joining.node) {
        return Ok(vec![Bytes::from_static(REPLACED)]);
    }
    match log.admit(joining.node).await {
        Ok(()) => Ok(vec![Bytes::from_static(IN)]),
        Err(GroupError::NotLeader { leader }) => {
            let leader = leader.and_then(|leader| image.broker(leader.broker()));
            let place = leader.and_then(|leader| Some((leader.id, leader.raft.as_ref()?)));
            Ok(vec![not_leader(place)])
        }
        Err(error) => Err(Refusal::Answer(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_joins_says_where_it_is_and_nonsense_is_refused() {
        let raft = Endpoint { host: "edge-7.example".into(), port: 9093 };
        let joining = Joining { node: NodeId::new(4, 77), was_in: true, raft };
        let body = joining.encode();
        assert_eq!(Joining::decode(&body), Some(joining));
        assert!((0..12).all(|len| Joining::decode(&body[..len]).is_none()), "no host is no place");
        let too_long = [&body[..11], &[b'h'; HOST_BYTES_MAX + 1]].concat();
        assert!(Joining::decode(&too_long).is_none());
        assert!(Joining::decode(&[&body[..11], &[0xff]].concat()).is_none(), "not UTF-8");
        assert!(Joining::decode(&[&body[..8], &[2], &body[9..]].concat()).is_none());
    }

    #[test]
    fn who_does_not_lead_says_who_does() {
        let leader = Endpoint { host: "core-2.example".into(), port: 9093 };
        assert_eq!(read_not_leader(&not_leader(Some((2, &leader)))), Some((2, leader)));
        for answer in [&not_leader(None)[..], IN, b"not leader 2@:1", b"not leader 2@h:70000", b"not leader h:1", b""] {
            assert_eq!(read_not_leader(answer), None);
        }
    }
}
