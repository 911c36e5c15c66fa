//! Snapshots: what a member that is too far behind gets instead of entries. A snapshot is the log itself, up to the last applied
//! frame: its bytes, what is known of producers and epochs, and the members. It counts as installed once its bytes are synced and
//! one journal record has put them in the place of the old log. Not here: their way there (`transfer`).

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::PoisonError,
};

use super::{
    super::replica::{Held, Replica, State},
    config::{GroupTypes, LogId, StoredMembership},
    member::epoch_of,
    membership,
};
use crate::{
    journal::{Installed, Record},
    log::{Log, LogIdentity, PinnedFile},
    os::disk::{OpenMode, SharedDisk},
};

type RaftSnapshot = openraft::type_config::alias::SnapshotOf<GroupTypes, Snapshot>;
pub(super) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<GroupTypes>;

/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// A log up to its last applied frame.
#[derive(Debug)]
pub enum Snapshot {
    /// Of this broker: its files, which stay readable whatever becomes of the log.
    Pinned(PinnedLog),
    /// Received, whole, checked and synced, in a directory of its own.
    Received(Box<ReceivedLog>),
}

/// Files of a log with what stands in no file.
#[derive(Debug)]
pub struct PinnedLog {
    pub files: Vec<PinnedFile>,
    pub log_start_offset: i64,
}

/// A log that is ready to take the place of another. Dropped before it did, its files go.
#[derive(Debug)]
pub struct ReceivedLog {
    log: Option<Log>,
    site: Site,
}

impl Drop for ReceivedLog {
    fn drop(&mut self) {
        if self.log.take().is_some() {
            // what stays is cleared away at the next start
            let _ = self.site.disk.remove_dir_all(&self.site.dir);
        }
    }
}

/// Where a log is made of what comes from another broker.
#[derive(Debug, Clone)]
pub struct Site {
    pub disk: SharedDisk,
    pub dir: PathBuf,
    pub identity: LogIdentity,
    pub config: crate::log::LogConfig,
}

impl Site {
    /// Empties and makes the directory.
    pub fn clear(&self) -> io::Result<()> {
        if self.disk.exists(&self.dir) {
            self.disk.remove_dir_all(&self.dir)?;
        }
        self.disk.create_dir_all(&self.dir)
    }

    /// Makes a log of the files that are there. Slow: every byte is read and synced.
    pub fn finish(&self, meta: &SnapshotMeta, log_start_offset: i64) -> io::Result<ReceivedLog> {
        let last = meta.last_log_id.ok_or_else(|| io::Error::other("a snapshot of nothing"))?;
        let opened = Log::open_received(self.disk.clone(), &self.dir, self.identity, self.config);
        let mut log = opened.map_err(io::Error::other)?;
        if log.next_index() == 0 {
            // of a log that holds nothing: what was applied was never in it
            log.reset(last.index + 1, 0, epoch_of(&last)).map_err(io::Error::other)?;
            log.capture().and_then(|capture| capture.sync()).map_err(io::Error::other)?;
        }
        if log.next_index() != last.index + 1 || log.last_leader_epoch() != epoch_of(&last) {
            return Err(io::Error::other(format!("it ends before index {}, not behind {last}", log.next_index())));
        }
        log.restore_log_start(log_start_offset);
        if let Some(above) = self.dir.parent() {
            self.disk.sync_dir(above)?;
        }
        Ok(ReceivedLog { log: Some(log), site: self.clone() })
    }
}

impl Replica {
    /// Pins the log's files up to the last applied frame.
    pub(super) fn take_snapshot(&self) -> io::Result<RaftSnapshot> {
        let held = self.read();
        let log = held.state.log().map_err(io::Error::other)?;
        let member = held.member.as_ref().ok_or_else(|| io::Error::other("the replica is in no group"))?;
        let meta = SnapshotMeta { last_log_id: member.applied, last_membership: member.applied_membership.clone() };
        let files = log.pin(member.applied.map_or(0, |applied| applied.index + 1)).map_err(io::Error::other)?;
        let snapshot = Snapshot::Pinned(PinnedLog { files, log_start_offset: log.log_start_offset() });
        Ok(RaftSnapshot { meta, snapshot })
    }

    /// Where a snapshot that ends with `last` is put together.
    pub(super) fn site_for(&self, last: &LogId) -> io::Result<Site> {
        let held = self.read();
        let log = held.state.log().map_err(io::Error::other)?;
        let name = log.dir().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let dir = log.dir().with_file_name(format!("{name}.{}-install", last.index));
        Ok(Site { disk: self.shared.disk.clone(), dir, identity: log.identity(), config: log.config() })
    }

    /// Takes a snapshot in the place of the log. Blocks on one sync of the journal.
    pub(super) fn install_snapshot(&self, meta: &SnapshotMeta, snapshot: Snapshot) -> io::Result<()> {
        let last = meta.last_log_id.ok_or_else(|| io::Error::other("a snapshot of nothing"))?;
        let received = match snapshot {
            Snapshot::Received(received) => *received,
            Snapshot::Pinned(pinned) => {
                let site = self.site_for(&last)?;
                copy(&site, &pinned)?;
                site.finish(meta, pinned.log_start_offset)?
            }
        };
        // a sync of the old log under way must not be taken for one of the new
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.write();
        let installed = self.put_in_place(&mut held, &last, &meta.last_membership, received);
        let (high_watermark, doomed) = match installed {
            Ok(installed) => installed,
            Err(error) => return Err(io::Error::other(self.fail(&mut held.state, &error.to_string()))),
        };
        drop(held);
        tracing::info!(index = last.index, high_watermark, "log was replaced by the leader's");
        if let Some(doomed) = doomed {
            self.shared.disk.remove_dir_all(&doomed)?;
        }
        self.commit(high_watermark, 0);
        Ok(())
    }

    /// The step that counts: journal, directories, and what this process knows. The high watermark, and the old directory.
    fn put_in_place(
        &self,
        held: &mut Held,
        last: &LogId,
        members: &StoredMembership,
        received: ReceivedLog,
    ) -> io::Result<(i64, Option<PathBuf>)> {
        let (dir, mut received) = (received.site.dir.clone(), received);
        let place = held.state.log().map_err(io::Error::other)?.dir().to_path_buf();
        let words =
            members.log_id().as_ref().map(|id| (id.index, epoch_of(id), membership::encode(members.membership())));
        let mut log = received.log.take().ok_or_else(|| io::Error::other("the snapshot is gone"))?;
        let installed = Installed {
            dir: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            log_start_offset: log.log_start_offset(),
            end: log.end(),
            membership: words,
        };
        let (journal, disk) = (&self.shared.journal, &self.shared.disk);
        let record = Record::Install { replica: self.id, installed: &installed };
        let written = journal.append(&record, None).map_err(io::Error::other)?;
        journal.sync_blocking(written).map_err(io::Error::other)?;
        let doomed = take_place(&**disk, &dir, &place)?;
        log.moved_to(place);
        let high_watermark = log.log_end_offset();
        if let Some(member) = &mut held.member {
            member.note_installed(*last, high_watermark, members.clone());
        }
        held.state = State::Open(log);
        Ok((high_watermark, doomed))
    }
}

/// Gives a directory the name of another, which gets a doomed one that is returned.
pub(in crate::raft) fn take_place(
    disk: &dyn crate::os::disk::Disk,
    from: &Path,
    place: &Path,
) -> io::Result<Option<PathBuf>> {
    let mut doomed = None;
    if disk.exists(place) {
        let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let old = place.with_file_name(format!("{name}ed-delete"));
        if disk.exists(&old) {
            disk.remove_dir_all(&old)?;
        }
        disk.rename(place, &old)?;
        doomed = Some(old);
    }
    disk.rename(from, place)?;
    if let Some(above) = place.parent() {
        disk.sync_dir(above)?;
    }
    Ok(doomed)
}

/// Copies pinned files into a directory of this broker.
fn copy(site: &Site, pinned: &PinnedLog) -> io::Result<()> {
    site.clear()?;
    for PinnedFile { name, file, len } in &pinned.files {
        let to = site.disk.open(&site.dir.join(name), OpenMode::Create)?;
        let mut at = 0;
        while at < *len {
            let mut piece = vec![0; PIECE.min(usize::try_from(len - at).unwrap_or(PIECE))];
            file.read_exact_at(&mut piece, at)?;
            to.write_all_at(&[IoSlice::new(&piece)], at)?;
            at += piece.len() as u64;
        }
        to.sync_data()?;
    }
    Ok(())
}
