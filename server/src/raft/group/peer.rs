//! Another member, as openraft calls it: requests go through the carrier, in order, several at once; a stall is an error, or a
//! member that hangs would keep this one from ever deleting anything. Not here: bytes of requests (`message`), sockets.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use openraft::{
    OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2,
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};

use super::{
    super::{
        carrier::{Carrier, CarrierError, Lane},
        node_id::NodeId,
        storage::ReplicaKey,
    },
    config::{GroupTypes, LogId, Vote},
    message::{self, Begin, BeginAnswer, Head, Kind, Malformed, Piece},
    snapshot::Snapshot,
    transfer::streaming,
};

/// Append requests to one member that wait for their answers at once, each of at most 4 MiB.
const APPENDS_AT_ONCE: usize = 8;

type Streamed<T> = Result<T, StreamingError<GroupTypes>>;
type RpcResult<T> = Result<T, RPCError<GroupTypes>>;
type Snapshots = openraft::type_config::alias::SnapshotOf<GroupTypes, Snapshot>;

/// Makes the peers of one group.
pub struct Network {
    pub(super) carrier: Arc<dyn Carrier>,
    pub(super) key: ReplicaKey,
    pub(super) own: NodeId,
    pub(super) stall: Duration,
}

impl RaftNetworkFactory<GroupTypes> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, _: &openraft::EmptyNode) -> Peer {
        let (key, own, stall) = (self.key, self.own, self.stall);
        Peer { carrier: Arc::clone(&self.carrier), key, own, target, stall }
    }
}

/// One other member.
pub struct Peer {
    carrier: Arc<dyn Carrier>,
    key: ReplicaKey,
    own: NodeId,
    target: NodeId,
    stall: Duration,
}

impl Peer {
    fn head(&self, kind: Kind) -> Head {
        Head { key: self.key, kind, to: self.target }
    }

    /// Sends at once, and awaits the answer for `within`.
    fn call(
        &self,
        kind: RPCTypes,
        body: Vec<Bytes>,
        within: Duration,
    ) -> impl Future<Output = RpcResult<Bytes>> + Send + 'static {
        let (own, target) = (self.own, self.target);
        let answer = self.carrier.call(target, Lane::Append, body);
        async move {
            match tokio::time::timeout(within, answer).await {
                Ok(Ok(bytes)) => Ok(bytes),
                Ok(Err(CarrierError::Unreachable(what))) => Err(Unreachable::from_string(what).into()),
                Ok(Err(error @ CarrierError::Lost(_))) => Err(NetworkError::from_string(error).into()),
                Ok(Err(CarrierError::Timeout)) | Err(_) => {
                    Err(Timeout { action: kind, id: own, target, timeout: within }.into())
                }
            }
        }
    }

    /// Sends an append; what openraft wants to know of the answer.
    fn send_append(
        &self,
        request: AppendEntriesRequest<GroupTypes>,
    ) -> impl Future<Output = RpcResult<StreamAppendResult<GroupTypes>>> + Send + 'static {
        let before = request.prev_log_id;
        let last: Option<LogId> = request.entries.last().map(openraft::entry::RaftEntry::log_id).or(before);
        let answer = self.call(RPCTypes::AppendEntries, message::append(self.head(Kind::Append), request), self.stall);
        answer.map(move |answer| {
            let answer = message::read_append_answer(answer?).map_err(malformed)?;
            if answer.is_conflict() && before.is_none() {
                return Err(malformed(Malformed("nothing can conflict with an empty log")));
            }
            Ok(answer.into_stream_result(before, last))
        })
    }
}

impl RaftNetworkV2<GroupTypes> for Peer {
    type SnapshotData = Snapshot;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<GroupTypes>,
        _: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<GroupTypes>> {
        self.send_append(request).await.map(AppendEntriesResponse::from)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _: RPCOption,
    ) -> BoxFuture<'s, RpcResult<BoxStream<'s, RpcResult<StreamAppendResult<GroupTypes>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<GroupTypes>> + OptionalSend + Unpin + 'static,
    {
        let peer: &'s Self = self;
        let answers = input.map(move |request| peer.send_append(request)).buffered(APPENDS_AT_ONCE);
        // what was sent behind one that failed must not be taken for an answer to something else
        let until_failure = stream::unfold(Some(Box::pin(answers)), |answers| async move {
            let mut answers = answers?;
            let answer = answers.next().await?;
            let goes_on = matches!(answer, Ok(Ok(_)));
            Some((answer, goes_on.then_some(answers)))
        });
        Box::pin(async move { Ok(until_failure.boxed()) })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<GroupTypes>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<GroupTypes>> {
        let body = message::vote(self.head(Kind::Vote), &request);
        let answer = self.call(RPCTypes::Vote, body, option.hard_ttl()).await?;
        message::read_vote_answer(answer).map_err(malformed)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<GroupTypes>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<GroupTypes>> {
        let body = message::vote(self.head(Kind::PreVote), &request);
        let answer = self.call(RPCTypes::Vote, body, option.hard_ttl()).await?;
        message::read_vote_answer(answer).map_err(malformed)
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<GroupTypes>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<GroupTypes>> {
        let body = message::transfer(self.head(Kind::Transfer), &request);
        let answer = self.call(RPCTypes::TransferLeader, body, option.hard_ttl()).await?;
        message::read_transfer_answer(answer).map_err(malformed)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshots,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<GroupTypes>, StreamingError<GroupTypes>> {
        self.send_snapshot(vote, snapshot, cancel).await
    }
}

/// The three requests that carry a snapshot.
impl Peer {
    pub(super) async fn begin_snapshot(&self, begin: &Begin, within: Duration) -> Streamed<BeginAnswer> {
        let answer = self.call_bulk(message::begin(self.head(Kind::SnapshotBegin), begin), within).await?;
        message::read_begin_answer(answer).map_err(malformed_stream)
    }

    pub(super) async fn send_piece(&self, piece: Piece, within: Duration) -> Streamed<()> {
        self.call_bulk(message::piece(self.head(Kind::SnapshotPiece), piece), within).await.map(drop)
    }

    pub(super) async fn end_snapshot(&self, vote: Vote, last: Option<LogId>, within: Duration) -> Streamed<Vote> {
        let body = message::end(self.head(Kind::SnapshotEnd), &vote, last.as_ref());
        message::read_end_answer(self.call_bulk(body, within).await?).map_err(malformed_stream)
    }

    async fn call_bulk(&self, body: Vec<Bytes>, within: Duration) -> Streamed<Bytes> {
        match tokio::time::timeout(within, self.carrier.call(self.target, Lane::Bulk, body)).await {
            Ok(answer) => answer.map_err(|error| streaming(&error)),
            Err(_) => Err(streaming(&CarrierError::Timeout)),
        }
    }
}

fn malformed_stream(error: Malformed) -> StreamingError<GroupTypes> {
    NetworkError::from_string(error).into()
}

fn malformed(error: Malformed) -> RPCError<GroupTypes> {
    NetworkError::from_string(error).into()
}
