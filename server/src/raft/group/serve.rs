//! Requests of other members, handed to the right group. Not here: their bytes (`message`), sockets.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};

use super::{
    super::node_id::NodeId,
    config::Raft,
    groups::Groups,
    message::{self, Fields, Head, Kind, Malformed},
};

/// Why a request was not served. Nothing was promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// Its bytes are not what they claim: the connection is not to be trusted.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// This broker has no such member, or not any more.
    #[error("there is no such member of such a group here")]
    NoSuchMember,
    /// The group stopped.
    #[error("the group stopped: {0}")]
    Stopped(String),
}

/// The answer to a request, on its way.
pub type Serving = BoxFuture<'static, Result<Vec<Bytes>, ServeError>>;

impl Groups {
    /// Serves a request of a member on the broker of `from`. The request has reached its group's core when this returns, so
    /// requests of one group are taken in the order of these calls; the future gives the answer.
    pub fn serve(&self, from: NodeId, body: Bytes) -> Serving {
        match self.begin(from, body) {
            Ok(serving) => under_way(serving),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn begin(&self, from: NodeId, body: Bytes) -> Result<Serving, ServeError> {
        let mut fields = Fields(body);
        let head = Head::decode(&mut fields)?;
        let found = self.group(&head.key).filter(|(group, _)| group.node == head.to);
        let Some((group, replica)) = found else {
            if head.kind == Kind::Append && from.broker() != head.to.broker() {
                self.missed().insert(head.key, head.to);
            }
            return Err(ServeError::NoSuchMember);
        };
        let raft = group.raft.clone();
        match head.kind {
            Kind::Append => {
                let request = message::read_append(&mut fields)?;
                claimed_by(from, request.vote.leader_id.voted_for)?;
                Ok(async move {
                    let answer = raft.append_entries(request).await.map_err(stopped)?;
                    Ok(vec![message::append_answer(&answer)?])
                }
                .boxed())
            }
            Kind::Vote | Kind::PreVote => {
                let request = message::read_vote(&mut fields)?;
                claimed_by(from, request.vote.leader_id.voted_for)?;
                Ok(async move {
                    let answer = match head.kind {
                        Kind::Vote => raft.vote(request).await,
                        _ => raft.pre_vote(request).await,
                    };
                    Ok(vec![message::vote_answer(&answer.map_err(stopped)?)])
                }
                .boxed())
            }
            Kind::Transfer => {
                let request = message::read_transfer(&mut fields)?;
                claimed_by(from, request.from_leader().leader_id.voted_for)?;
                Ok(transfer(raft, request))
            }
            Kind::SnapshotBegin => {
                let begin = message::read_begin(&mut fields)?;
                claimed_by(from, begin.vote.leader_id.voted_for)?;
                Ok(ready(message::begin_answer(group.begin_receiving(&replica, from, begin)?)))
            }
            Kind::SnapshotPiece => {
                group.receive(&replica, from, &message::read_piece(&mut fields)?)?;
                Ok(ready(Bytes::new()))
            }
            Kind::SnapshotEnd => {
                let (vote, last) = message::read_end(&mut fields)?;
                claimed_by(from, vote.leader_id.voted_for)?;
                let ending = group.end_receiving(&replica, vote, last)?;
                Ok(async move { Ok(vec![message::end_answer(&ending.await?)]) }.boxed())
            }
        }
    }
}

fn transfer(raft: Raft, request: openraft::raft::TransferLeaderRequest<super::config::GroupTypes>) -> Serving {
    async move {
        let answer = raft.handle_transfer_leader(request).await.map_err(stopped)?;
        Ok(vec![message::transfer_answer(&answer)])
    }
    .boxed()
}

fn ready(answer: Bytes) -> Serving {
    std::future::ready(Ok(vec![answer])).boxed()
}

/// A member speaks for itself only.
fn claimed_by(from: NodeId, member: NodeId) -> Result<(), ServeError> {
    if from.broker() == member.broker() { Ok(()) } else { Err(Malformed("it speaks for another broker").into()) }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn stopped(error: impl ToString) -> ServeError {
    ServeError::Stopped(error.to_string())
}

/// Polls a future up to its first wait: by then the request is in the core's queue, which has room.
fn under_way(serving: Serving) -> Serving {
    let mut serving: Pin<Box<_>> = Box::pin(tokio::task::unconstrained(serving));
    match serving.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => std::future::ready(answer).boxed(),
        Poll::Pending => serving,
    }
}
