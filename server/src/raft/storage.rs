//! The data directory of a broker: its lock, its journal, and every replica in it.
//!
//! Not here: which replicas there should be (the metadata says, `partition::Partitions` acts).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    boot,
    captured::Captured,
    checkpoint::{self, Keeper},
    error::{ReplicaError, StorageError},
    group::{Member, RecoveredMember, encode_membership, of_voters},
    meta_properties::MetaProperties,
    node_id::NodeId,
    recovery::{self, Circumstances},
    replica::{Durability, Replica, State},
    role::Role,
    room::Room,
};
use crate::{
    journal::{Journal, JournalConfig, Record, ReplicaId},
    log::{Log, LogConfig, LogIdentity},
    os::{
        disk::{DiskLock, MemoryDisk, SharedDisk, SharedFileSystem},
        random::Random,
        thread,
    },
};

/// Half a week: every byte is read within a week, though a start begins a pass anew.
const SCRUB_INTERVAL: Duration = Duration::from_millis(302_400_000);

/// What the data directory is told at start.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// The directory.
    pub dir: PathBuf,
    /// This broker.
    pub node_id: i32,
    /// A new directory is of a lone broker, which is a cluster by itself; else it waits for [`Storage::join_cluster`].
    pub lone: bool,
    /// Bytes of the disk that produce must leave free.
    pub reserve_bytes: u64,
    /// Bytes appended between two checkpoints, at most about 64 MiB: what a start may have to replay.
    pub checkpoint_bytes: u64,
    /// How long a pass over all sealed segments takes, in search of rot.
    pub scrub_interval: Duration,
    /// Opened to recover its cluster, not to serve: also where that was begun and interrupted.
    pub recovers: bool,
    /// How the journal uses its files.
    pub journal: JournalConfig,
}

impl StorageConfig {
    /// The usual settings.
    pub fn new(dir: PathBuf, node_id: i32) -> Self {
        Self {
            dir,
            node_id,
            lone: true,
            reserve_bytes: 64 << 20,
            checkpoint_bytes: 64 << 20,
            scrub_interval: SCRUB_INTERVAL,
            recovers: false,
            journal: JournalConfig::default(),
        }
    }
}

/// What a new replica is.
#[derive(Debug, Clone, Copy)]
pub enum ReplicaKind<'a> {
    /// The only one of its partition.
    Solo,
    /// One of the first voters of a group; each of them is made with the same list.
    Voter {
        /// What it is called.
        node: NodeId,
        /// All of them.
        voters: &'a [NodeId],
    },
    /// A member of a group that exists: it knows nothing until the leader sends it the log.
    Learner {
        /// What it is called.
        node: NodeId,
    },
}

impl ReplicaKind<'_> {
    /// What the log's first frame says of the group; none for a log that a leader fills.
    fn membership(&self) -> Option<Vec<u8>> {
        match self {
            Self::Voter { voters, .. } => Some(encode_membership(&of_voters(voters))),
            _ => None,
        }
    }
}

/// A log, and the member that it belongs to. A member whose log cannot be read that far is not one.
fn held(state: State, member: Option<&RecoveredMember>) -> (State, Option<Box<Member>>) {
    let opened = match (&state, member) {
        (State::Open(log), Some(member)) => Member::open(member, log),
        _ => return (state, None),
    };
    match opened {
        Ok(member) => (state, Some(Box::new(member))),
        Err(error) => (State::Failed(error.to_string().into()), None),
    }
}

/// Which partition a replica is of.
pub type ReplicaKey = (Uuid, i32);

/// What every replica needs of the directory.
#[derive(Debug)]
pub(super) struct Shared {
    pub disk: SharedDisk,
    pub dir: PathBuf,
    pub journal: Journal,
    pub room: Room,
    pub keeper: Keeper,
    /// Watched since the start; none where a failed write could go unnoticed.
    pub file_system: Option<SharedFileSystem>,
    failure: watch::Sender<Option<Arc<str>>>,
}

impl Shared {
    /// The broker cannot go on; the first reason is the one that is told.
    pub fn fail(&self, reason: &str) {
        self.failure.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(reason.into());
            }
            first
        });
    }

    pub fn check_room(&self, bytes: usize) -> Result<(), ReplicaError> {
        // journal and segment both take the bytes
        if self.room.take(2 * bytes as u64) {
            return Ok(());
        }
        Err(ReplicaError::Storage("the disk is nearly full; writing resumes once there is room again".into()))
    }

    pub fn note_written(&self, bytes: u64) {
        self.keeper.note_written(bytes);
    }

    pub fn flush_later(&self, replica: &Arc<Replica>, after_ms: u64) {
        self.keeper.flush_later(replica, after_ms);
    }
}

/// The data directory of a running broker.
#[derive(Debug)]
pub struct Storage {
    pub(super) shared: Arc<Shared>,
    pub(super) replicas: Mutex<Replicas>,
    pub(super) boot_epoch: i32,
    /// One checkpoint at a time.
    pub(super) checkpointing: Mutex<()>,
    properties: ArcSwap<MetaProperties>,
    thread: Mutex<Option<JoinHandle<()>>>,
    _lock: DiskLock,
}

/// Every journaled replica, and the id that the next one gets.
#[derive(Debug, Default)]
pub(super) struct Replicas {
    pub by_id: BTreeMap<ReplicaId, Entry>,
    pub next_id: u64,
    /// A directory was made since the last checkpoint: its name is not synced yet.
    pub unsynced_names: bool,
}

/// One replica with what a checkpoint says of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: ReplicaKey,
    pub dir: String,
    pub replica: Arc<Replica>,
    /// What the last checkpoint said; it stands for a replica whose log cannot be captured.
    pub last: Captured,
}

impl Replicas {
    fn take_id(&mut self) -> ReplicaId {
        self.next_id += 1;
        ReplicaId(self.next_id - 1)
    }
}

impl Storage {
    /// Opens the directory, making it if need be, and recovers what was acknowledged.
    ///
    /// # Errors
    /// In use, not ours, newer than this program, or the disk's. A single damaged log does not fail the start: its replica
    /// answers with a storage error.
    pub fn open(disk: SharedDisk, config: &StorageConfig, random: &Random) -> Result<Arc<Self>, StorageError> {
        let dir = &config.dir;
        StorageError::at(dir, disk.create_dir_all(dir))?;
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
            StorageError::at(above, disk.sync_dir(above))?;
        }
        let lock = disk.lock(&dir.join(".lock")).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::WouldBlock => StorageError::InUse { path: dir.clone() },
            _ => StorageError::Io { path: dir.clone(), cause },
        })?;
        let properties = MetaProperties::load_or_create(&disk, dir, (config.node_id, config.lone), random)?;
        if properties.recovering.is_some() && !config.recovers {
            return Err(StorageError::Recovering { path: dir.join("meta.properties") });
        }
        // before anything is written, or a failure could come before the watch
        let file_system = disk.file_system(dir).ok();
        let circumstances = Circumstances { ended: boot::last(&disk, dir), opens_given_up: config.recovers };
        let recovered = recovery::recover(&disk, dir, config.journal, random, circumstances)?;
        let shared = Arc::new(Shared {
            room: Room::new(disk.clone(), dir.clone(), config.reserve_bytes),
            disk,
            dir: dir.clone(),
            journal: recovered.journal,
            keeper: Keeper::new(config.checkpoint_bytes),
            file_system,
            failure: watch::Sender::new(None),
        });
        let mut replicas =
            Replicas { by_id: BTreeMap::new(), next_id: recovered.next_replica_id, unsynced_names: true };
        for (id, found) in recovered.replicas {
            let durability = if found.last.unjournaled { Durability::WriteCaching } else { Durability::Journaled };
            let held = held(found.state, found.last.member.as_ref());
            let replica = Replica::new(id, recovered.boot_epoch, shared.clone(), held, durability);
            if let Some(member) = found.last.member.as_ref().filter(|_| replica.has_failed()) {
                // its log cannot be read: it is a member all the same
                replica.set_role(Role::Follower { leader: None, epoch: member.epoch() });
                if NodeId::from(member.kept.node) != NodeId::UNKNOWN {
                    replica.is_called(NodeId::from(member.kept.node));
                }
            }
            replicas.by_id.insert(id, Entry { key: found.key, dir: found.dir, replica, last: found.last });
        }
        let storage = Arc::new(Self {
            shared,
            replicas: Mutex::new(replicas),
            boot_epoch: recovered.boot_epoch,
            checkpointing: Mutex::new(()),
            properties: ArcSwap::from_pointee(properties),
            thread: Mutex::new(None),
            _lock: lock,
        });
        if recovered.mended {
            storage.checkpoint()?;
        }
        // not before it lies on the disk what was lost
        boot::begin(&storage.shared.disk, dir)?;
        if !config.journal.inline_sync {
            let (keeper, interval) = (storage.clone(), config.scrub_interval);
            let run = move || checkpoint::run(&keeper, interval);
            let handle = StorageError::at(dir, thread::spawn("checkpoint", run))?;
            *storage.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
        }
        Ok(storage)
    }

    /// Whose directory it is.
    pub fn properties(&self) -> Arc<MetaProperties> {
        self.properties.load_full()
    }

    /// Writes down which cluster the directory belongs to from now on, by the name that its brokers call it. Durable when it
    /// returns.
    ///
    /// # Errors
    /// The disk's: nothing changed.
    pub fn join_cluster(
        &self,
        cluster_name: &str,
        quorum: &[(i32, String)],
        incarnation: u32,
    ) -> Result<(), StorageError> {
        self.rewrite_properties(|properties| {
            properties.set_cluster_name(cluster_name);
            (properties.quorum, properties.incarnation) = (quorum.to_vec(), incarnation);
        })
    }

    /// Changes `meta.properties`. Durable when it returns.
    pub(super) fn rewrite_properties(&self, change: impl FnOnce(&mut MetaProperties)) -> Result<(), StorageError> {
        let mut properties = MetaProperties::clone(&self.properties());
        change(&mut properties);
        properties.write(&self.shared.disk, &self.shared.dir)?;
        self.properties.store(Arc::new(properties));
        Ok(())
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Bytes of the file system, all and free; `None` where it cannot tell.
    pub fn space(&self) -> Option<(u64, u64)> {
        let (disk, dir) = (&self.shared.disk, &self.shared.dir);
        Some((disk.total_space(dir).ok()?, disk.free_space(dir).ok()?))
    }

    /// How many times the journal was synced since the start.
    pub fn journal_syncs(&self) -> u64 {
        self.shared.journal.syncs()
    }

    /// Resolves with the reason when the broker cannot go on: a write or a sync failed, and nothing may be retried.
    pub async fn failed(&self) -> Arc<str> {
        let mut failure = self.shared.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Every replica that was recovered or made and is not in memory only.
    pub fn replicas(&self) -> Vec<(ReplicaKey, Arc<Replica>)> {
        self.list().by_id.values().map(|entry| (entry.key, entry.replica.clone())).collect()
    }

    /// Whether a replica has the directory `name`.
    pub fn has_replica_in(&self, name: &str) -> bool {
        self.list().by_id.values().any(|entry| entry.dir == name)
    }

    /// A new, empty replica in the directory `name`. A directory of that name that no replica owns is set aside first.
    ///
    /// # Errors
    /// The disk's, or the journal's: there is nothing of it, and it can be tried again where only room or descriptors lacked.
    pub fn create_replica(
        &self,
        key: ReplicaKey,
        name: &str,
        config: LogConfig,
        kind: ReplicaKind<'_>,
    ) -> Result<Arc<Replica>, StorageError> {
        // held to the end: a checkpoint must see the replica, or its record behind the place where replay will start
        let mut list = self.list();
        let id = list.take_id();
        let shared = &self.shared;
        let path = shared.dir.join(name);
        if shared.disk.exists(&path) {
            self.set_aside(name, id)?;
        }
        let (topic_id, partition) = key;
        let (identity, bytes, words) = (LogIdentity { topic_id, partition }, *topic_id.as_bytes(), kind.membership());
        let (record, member) = match kind {
            ReplicaKind::Solo => (Record::CreateReplica { replica: id, topic_id: bytes, partition, dir: name }, None),
            ReplicaKind::Voter { node, .. } | ReplicaKind::Learner { node } => {
                let membership = words.as_deref().unwrap_or_default();
                let (replica, topic_id, named) = (id, bytes, node.as_u64());
                let record = Record::CreateMember { replica, topic_id, partition, node: named, dir: name, membership };
                (record, Some(RecoveredMember::new(node, words.clone())))
            }
        };
        let made = match kind {
            ReplicaKind::Solo => Log::create(shared.disk.clone(), &path, identity, config),
            _ => Log::create_with(shared.disk.clone(), &path, identity, config, words.as_deref()),
        };
        // the record comes last: a start makes what it names, and would find two of one that was tried twice
        let made = made.map_err(StorageError::from).and_then(|log| Ok((log, shared.journal.append(&record, None)?)));
        let (log, lsn) = made.inspect_err(|error| {
            if error.lacks_descriptors() {
                // it closes files that wait to be synced
                shared.keeper.ask();
            }
            // whatever stays is set aside by the next try or the next start
            let _ = shared.disk.remove_dir_all(&path);
        })?;
        list.unsynced_names = true;
        let last = Captured { member, ..Captured::of(&log, lsn) };
        let held = held(State::Open(log), last.member.as_ref());
        let replica = Replica::new(id, self.boot_epoch, shared.clone(), held, Durability::Journaled);
        list.by_id.insert(id, Entry { key, dir: name.to_owned(), replica: replica.clone(), last });
        Ok(replica)
    }

    /// A new replica in memory only.
    ///
    /// # Errors
    /// None that a disk in memory can have; the type is the log's.
    pub fn create_volatile_replica(&self, key: ReplicaKey, config: LogConfig) -> Result<Arc<Replica>, StorageError> {
        let identity = LogIdentity { topic_id: key.0, partition: key.1 };
        let log = Log::create(Arc::new(MemoryDisk::new()), Path::new("/volatile"), identity, config)?;
        let held = (State::Open(log), None);
        Ok(Replica::new(ReplicaId(u64::MAX), self.boot_epoch, self.shared.clone(), held, Durability::Volatile))
    }

    /// Lets replicas ack from the page cache, or through the journal again. Blocks on the disk.
    ///
    /// # Errors
    /// The disk's: nothing may be retried.
    pub fn set_write_caching(&self, replicas: &[Arc<Replica>], on: bool) -> Result<(), ReplicaError> {
        if on {
            replicas.iter().try_for_each(|replica| replica.announce_write_caching(true))?;
            self.checkpoint().map_err(|error| ReplicaError::Storage(error.to_string()))?;
            replicas.iter().for_each(|replica| replica.leave_journal());
            return Ok(());
        }
        for replica in replicas {
            replica.enter_journal()?;
            replica.announce_write_caching(false)?;
        }
        Ok(())
    }

    /// Removes a replica and its files. Readers that hold ranges of it go on reading.
    ///
    /// # Errors
    /// The journal's, or the disk's.
    pub fn delete_replica(&self, replica: &Replica) -> Result<(), StorageError> {
        let Some(entry) = self.forget(replica.id())? else {
            drop(replica.take());
            return Ok(());
        };
        match replica.take() {
            State::Open(log) => Ok(log.delete()?),
            // whole, as far as it goes: what its place was given for is elsewhere
            _ if entry.last.member.is_some_and(|member| member.kept.given_up) => {
                self.remove_dir(&entry.dir, replica.id())
            }
            _ => self.set_aside(&entry.dir, replica.id()),
        }
    }

    /// Gives up a replica that the metadata does not know; its directory is renamed to `…-stray`, never deleted.
    ///
    /// # Errors
    /// The journal's, or the disk's.
    pub fn abandon_replica(&self, replica: &Replica) -> Result<(), StorageError> {
        drop(replica.take());
        match self.forget(replica.id())? {
            Some(entry) => self.set_aside(&entry.dir, replica.id()),
            None => Ok(()),
        }
    }

    fn forget(&self, id: ReplicaId) -> Result<Option<Entry>, StorageError> {
        let mut list = self.list();
        let entry = list.by_id.remove(&id);
        if entry.is_some() {
            self.shared.journal.append(&Record::DeleteReplica { replica: id }, None)?;
        }
        Ok(entry)
    }

    /// What a crash leaves of it is cleared away at the next start.
    fn remove_dir(&self, name: &str, id: ReplicaId) -> Result<(), StorageError> {
        let (disk, from) = (&self.shared.disk, self.shared.dir.join(name));
        let doomed = self.shared.dir.join(format!("{name}.{}-delete", id.0));
        StorageError::at(&from, disk.rename(&from, &doomed))?;
        StorageError::at(&self.shared.dir, disk.sync_dir(&self.shared.dir))?;
        StorageError::at(&doomed, disk.remove_dir_all(&doomed))
    }

    fn set_aside(&self, name: &str, id: ReplicaId) -> Result<(), StorageError> {
        let (disk, from) = (&self.shared.disk, self.shared.dir.join(name));
        if !disk.exists(&from) {
            return Ok(());
        }
        let to = self.shared.dir.join(format!("{name}.{}-stray", id.0));
        tracing::warn!(from = %from.display(), to = %to.display(), "directory is not in the metadata: set aside");
        StorageError::at(&from, disk.rename(&from, &to))?;
        StorageError::at(&self.shared.dir, disk.sync_dir(&self.shared.dir))
    }

    /// Directories left by an earlier process: removes those on their way out and those that were not ready, sets aside those
    /// of no replica.
    ///
    /// # Errors
    /// The disk's.
    pub fn clear_leftovers(&self) -> Result<(), StorageError> {
        let (disk, dir) = (&self.shared.disk, &self.shared.dir);
        let mut list = self.list();
        let known: Vec<String> = list.by_id.values().map(|entry| entry.dir.clone()).collect();
        for entry in StorageError::at(dir, disk.read_dir(dir))? {
            if !entry.is_dir || entry.name == "journal" || entry.name.ends_with("-stray") || known.contains(&entry.name)
            {
                continue;
            }
            let path = dir.join(&entry.name);
            if entry.name.ends_with("-delete") || entry.name.ends_with("-install") {
                StorageError::at(&path, disk.remove_dir_all(&path))?;
            } else if entry.name.rsplit_once('-').is_some_and(|(_, number)| number.parse::<u32>().is_ok()) {
                self.set_aside(&entry.name, list.take_id())?;
            }
        }
        Ok(())
    }

    /// Waits until all that was written survives a power cut. Blocks.
    ///
    /// # Errors
    /// The journal's.
    pub fn sync(&self) -> Result<(), StorageError> {
        Ok(self.shared.journal.sync_blocking(self.shared.journal.written())?)
    }

    /// Stops: a last checkpoint, so that the next start has nothing to replay, and the journal's end. Blocks.
    ///
    /// # Errors
    /// The disk's; the next start recovers.
    pub fn close(&self) -> Result<(), StorageError> {
        self.shared.keeper.close();
        if let Some(handle) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // a panic there has ended the process already
            let _ = handle.join();
        }
        let written = self.checkpoint();
        self.shared.journal.close()?;
        written?;
        boot::end(&self.shared.disk, &self.shared.dir)
    }

    pub(super) fn list(&self) -> MutexGuard<'_, Replicas> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
