//! A snapshot on its way: announced, sent in pieces one after the other and not too fast, put together beside the old log, checked
//! and synced on a thread of its own, and only then given to openraft. Not here: putting it in the old one's place (`snapshot`).

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::pin,
    sync::PoisonError,
    time::Duration,
};

use bytes::Bytes;
use openraft::{
    errors::{NetworkError, ReplicationClosed, StreamingError},
    raft::SnapshotResponse,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    super::{carrier::CarrierError, node_id::NodeId, replica::Replica},
    config::{GroupTypes, LogId, Vote},
    groups::Group,
    message::{Begin, BeginAnswer, Malformed, Piece},
    peer::Peer,
    serve::ServeError,
    snapshot::{PinnedLog, ReceivedLog, Site, Snapshot, SnapshotMeta},
};
use crate::{
    log::{Log, PinnedFile},
    os::{
        disk::{OpenMode, SharedFile},
        thread,
    },
};

/// Bytes of one piece.
const PIECE: u64 = 1 << 20;
/// Bytes in a second, so that clients do not notice.
const PACE: u64 = 64 << 20;
/// A piece that is not answered for so long has stalled.
const PIECE_WITHIN: Duration = Duration::from_secs(30);
/// The other side reads, checks and syncs everything before it answers the end.
const END_WITHIN: Duration = Duration::from_secs(600);
/// Files that one snapshot may have.
pub(super) const FILES_MAX: usize = 65_535;

type Snapshots = openraft::type_config::alias::SnapshotOf<GroupTypes, Snapshot>;
type Sent<T> = Result<T, StreamingError<GroupTypes>>;

impl Peer {
    /// Sends a snapshot, until it is installed there or `cancel` says that it is of no use any more.
    pub(super) async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshots,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
    ) -> Sent<SnapshotResponse<GroupTypes>> {
        let Snapshot::Pinned(pinned) = snapshot.snapshot else {
            return Err(NetworkError::from_string("a received snapshot is not sent on").into());
        };
        let mut cancel = pin!(cancel);
        let sending = pin!(self.send_pinned(vote, snapshot.meta, pinned));
        tokio::select! {
            closed = &mut cancel => Err(closed.into()),
            sent = sending => sent,
        }
    }

    async fn send_pinned(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        pinned: PinnedLog,
    ) -> Sent<SnapshotResponse<GroupTypes>> {
        let PinnedLog { files, log_start_offset } = pinned;
        let named = files.iter().map(|file| (file.name.clone(), file.len)).collect();
        let last = meta.last_log_id;
        let begin = Begin { vote, meta, log_start_offset, files: named };
        if let BeginAnswer::HigherVote(vote) = self.begin_snapshot(&begin, PIECE_WITHIN).await? {
            return Ok(SnapshotResponse::new(vote));
        }
        let (started, mut sent) = (Instant::now(), 0);
        for (number, PinnedFile { file, len, .. }) in files.iter().enumerate() {
            let mut offset = 0;
            while offset < *len {
                let mut bytes = vec![0; PIECE.min(len - offset) as usize];
                file.read_exact_at(&mut bytes, offset).map_err(|error| NetworkError::new(&error))?;
                let read = bytes.len() as u64;
                let piece = Piece { last, file: number as u16, offset, bytes: Bytes::from(bytes) };
                self.send_piece(piece, PIECE_WITHIN).await?;
                (offset, sent) = (offset + read, sent + read);
                sleep_until(started + Duration::from_micros(sent * 1_000_000 / PACE)).await;
            }
        }
        let vote = self.end_snapshot(vote, last, END_WITHIN).await?;
        Ok(SnapshotResponse::new(vote))
    }
}

/// A snapshot that is being received.
#[derive(Debug)]
pub struct Receiving {
    /// The broker that sends it.
    from: i32,
    meta: SnapshotMeta,
    log_start_offset: i64,
    site: Site,
    files: Vec<ReceivingFile>,
    finished: bool,
}

#[derive(Debug)]
struct ReceivingFile {
    file: SharedFile,
    len: u64,
    received: u64,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if !self.finished {
            // what stays is cleared away at the next start
            let _ = self.site.disk.remove_dir_all(&self.site.dir);
        }
    }
}

impl Receiving {
    fn begin(replica: &Replica, from: NodeId, begin: Begin) -> Result<Self, ServeError> {
        let last = begin.meta.last_log_id.ok_or(Malformed("a snapshot of nothing"))?;
        if begin.files.iter().any(|(name, _)| !Log::is_pinned_name(name)) {
            return Err(Malformed("a file has a name that no log has").into());
        }
        let site = replica.site_for(&last).map_err(failed)?;
        site.clear().map_err(failed)?;
        let open = |(name, len): &(String, u64)| {
            let file = site.disk.open(&site.dir.join(name), OpenMode::Create)?;
            Ok(ReceivingFile { file, len: *len, received: 0 })
        };
        let files: io::Result<Vec<ReceivingFile>> = begin.files.iter().map(open).collect();
        let files = files.map_err(failed)?;
        let Begin { meta, log_start_offset, .. } = begin;
        Ok(Self { from: from.broker(), meta, log_start_offset, site, files, finished: false })
    }

    fn take(&mut self, replica: &Replica, piece: &Piece) -> Result<(), ServeError> {
        let file = self.files.get_mut(usize::from(piece.file)).ok_or(Malformed("a piece of no file"))?;
        let len = piece.bytes.len() as u64;
        if piece.last != self.meta.last_log_id || piece.offset != file.received || len > file.len - file.received {
            return Err(ServeError::Stopped("a piece does not follow the one before".to_owned()));
        }
        replica.check_room(piece.bytes.len()).map_err(failed)?;
        file.file.write_all_at(&[IoSlice::new(&piece.bytes)], piece.offset).map_err(failed)?;
        file.file.start_writeback(piece.offset, len);
        file.received += len;
        Ok(())
    }

    /// Checks and syncs what was received. Slow.
    fn finish(mut self) -> io::Result<(SnapshotMeta, ReceivedLog)> {
        if self.files.iter().any(|file| file.received != file.len) {
            return Err(io::Error::other("pieces of it are missing"));
        }
        self.files.iter().try_for_each(|file| file.file.sync_data())?;
        let received = self.site.finish(&self.meta, self.log_start_offset)?;
        self.finished = true;
        Ok((self.meta.clone(), received))
    }
}

impl Group {
    /// A leader announces a snapshot. A newer one takes the place of one that is under way.
    pub(super) fn begin_receiving(
        &self,
        replica: &Replica,
        from: NodeId,
        begin: Begin,
    ) -> Result<BeginAnswer, ServeError> {
        let known = replica.read().member.as_ref().and_then(|member| member.vote);
        if let Some(known) = known.filter(|known| *known > begin.vote) {
            return Ok(BeginAnswer::HigherVote(known));
        }
        let mut receiving = self.receiving.lock().unwrap_or_else(PoisonError::into_inner);
        // its directory may be the same
        drop(receiving.take());
        *receiving = Some(Receiving::begin(replica, from, begin)?);
        Ok(BeginAnswer::GoOn)
    }

    pub(super) fn receive(&self, replica: &Replica, from: NodeId, piece: &Piece) -> Result<(), ServeError> {
        let mut receiving = self.receiving.lock().unwrap_or_else(PoisonError::into_inner);
        let of_sender = receiving.as_mut().filter(|receiving| receiving.from == from.broker());
        let under_way = of_sender.ok_or_else(|| ServeError::Stopped("no snapshot was announced".to_owned()))?;
        let taken = under_way.take(replica, piece);
        if taken.is_err() {
            *receiving = None;
        }
        taken
    }

    /// The last piece came: checks the snapshot, installs it, and gives the vote known then.
    pub(super) fn end_receiving(
        &self,
        replica: &Replica,
        vote: Vote,
        last: Option<LogId>,
    ) -> Result<impl Future<Output = Result<Vote, ServeError>> + Send + 'static, ServeError> {
        let receiving = self.receiving.lock().unwrap_or_else(PoisonError::into_inner).take();
        let receiving = receiving.filter(|receiving| receiving.meta.last_log_id == last);
        let applied = replica.read().member.as_ref().and_then(|member| member.applied);
        if last > applied && last.map(|last| last.index) <= applied.map(|applied| applied.index) {
            return Err(Malformed("it contradicts what is committed here").into());
        }
        let receiving = receiving.ok_or_else(|| ServeError::Stopped("no such snapshot was announced".to_owned()))?;
        let (sender, finished) = oneshot::channel();
        thread::spawn("snapshot", move || {
            // whoever waits may have gone; then its files go
            drop(sender.send(receiving.finish()));
        })
        .map_err(failed)?;
        let raft = self.raft.clone();
        Ok(async move {
            let (meta, received) = finished.await.map_err(failed)?.map_err(failed)?;
            let snapshot = Snapshots { meta, snapshot: Snapshot::Received(Box::new(received)) };
            let installed = raft.install_full_snapshot(vote, snapshot).await.map_err(failed)?;
            Ok(installed.vote)
        })
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: impl ToString) -> ServeError {
    ServeError::Stopped(error.to_string())
}

/// What openraft is told of a carrier's failure.
pub(super) fn streaming(error: &CarrierError) -> StreamingError<GroupTypes> {
    match error {
        CarrierError::Unreachable(what) => openraft::errors::Unreachable::from_string(what).into(),
        error => NetworkError::from_string(error).into(),
    }
}
