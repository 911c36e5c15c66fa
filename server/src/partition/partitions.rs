//! All partitions with a replica on this broker, following the metadata image. Not here: what the image says and why.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    damaged::Orphans,
    partition::{Partition, Shared},
    presence::{Begin, Presence},
    settings::PartitionSettings,
};
use crate::{
    metadata::{Image, PartitionInfo, Topic, TopicSettings, topic_config::BrokerDefaults},
    os::clock::Clock,
    raft::{Durability, Groups, Replica, ReplicaKey, ReplicaKind, Storage, StorageError},
};

/// Broker-wide settings of this room.
#[derive(Debug, Clone)]
pub struct PartitionsConfig {
    /// This broker.
    pub node_id: i32,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: u64,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// Bytes of a segment of the metadata's log.
    pub metadata_segment_bytes: u64,
    /// `replica.lag.time.max.ms`.
    pub replica_lag_ms_max: u64,
    /// The broker's own settings, which topics inherit.
    pub broker_defaults: BrokerDefaults,
}

/// The data directory (DescribeLogDirs).
#[derive(Debug, Clone)]
pub struct LogDir {
    /// As it was given at start.
    pub path: PathBuf,
    /// Bytes of the file system; -1 if unknown.
    pub total_bytes: i64,
    /// Bytes still free there; -1 if unknown.
    pub usable_bytes: i64,
    /// Every partition here.
    pub partitions: Vec<PartitionSize>,
}

/// One partition's share of a [`LogDir`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSize {
    /// The topic.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// Bytes of its segments.
    pub size_bytes: u64,
    /// It takes part in nothing at the moment.
    pub is_down: bool,
}

/// Kafka's id of `__cluster_metadata` (`Uuid.METADATA_TOPIC_ID`).
const METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);
/// The metadata's log, as storage knows it.
pub const METADATA_LOG: ReplicaKey = (METADATA_TOPIC_ID, 0);
/// A segment has its files and its place in memory, however small it is.
const METADATA_SEGMENT_BYTES_MIN: u64 = 16 << 10;
const METADATA_DIR: &str = "__cluster_metadata-0";

type ByTopic = HashMap<Uuid, BTreeMap<i32, Arc<Partition>>>;

/// A partition whose files could not be made yet: for want of room or of file descriptors, or what was there is on its way out.
#[derive(Debug, Clone)]
struct Missing {
    topic: Arc<Topic>,
    settings: Arc<PartitionSettings>,
}

/// The name of a partition's directory.
fn dir_name(topic: &Topic, index: i32) -> String {
    format!("{}-{index}", topic.name)
}

/// The registry. Reads take a read lock for a moment; changes come from [`Self::apply`] alone.
#[derive(Debug)]
pub struct Partitions {
    pub(super) config: PartitionsConfig,
    pub(super) clock: Clock,
    storage: Arc<Storage>,
    topics: RwLock<ByTopic>,
    metadata_log: Arc<Partition>,
    /// Recovered replicas that no image has claimed yet; empty after [`Self::start`].
    recovered: RwLock<HashMap<ReplicaKey, Arc<Replica>>>,
    /// Held while partitions are made, configured or deleted, before any other lock of this struct: what should be here and could
    /// not be made.
    missing: Mutex<HashMap<ReplicaKey, Missing>>,
    /// Members that go once their groups have stopped; until then their directories are theirs.
    pub(super) doomed: Mutex<Vec<Arc<Partition>>>,
    /// Told when there are members to be started or to go.
    pub(super) presence_changed: Notify,
    /// Told of each change of a role.
    pub(super) roles: Arc<Notify>,
    /// Told of each change of the role in the metadata's log.
    pub(super) metadata_roles: Arc<Notify>,
    /// Set in a cluster.
    pub(super) groups: Arc<OnceLock<Groups>>,
    pub(super) orphans: Orphans,
}

impl Partitions {
    /// Over a data directory; nothing but the metadata's log is open until [`Self::start`]. `metadata` says what that log is
    /// where it is not there yet.
    ///
    /// # Errors
    /// The metadata's log cannot be made.
    pub fn new(
        config: PartitionsConfig,
        storage: Arc<Storage>,
        clock: Clock,
        metadata: ReplicaKind<'_>,
    ) -> Result<Self, StorageError> {
        let mut recovered: HashMap<ReplicaKey, Arc<Replica>> = storage.replicas().into_iter().collect();
        let mut settings = PartitionSettings::of(
            &TopicSettings::resolve(&BTreeMap::new(), None, &BrokerDefaults::default()),
            config.producer_id_expiration_ms,
        );
        settings.log.deletes = false;
        let segment_bytes = config.metadata_segment_bytes.clamp(METADATA_SEGMENT_BYTES_MIN, 1 << 30);
        settings.log.segment_bytes = u32::try_from(segment_bytes).unwrap_or(u32::MAX);
        let key = METADATA_LOG;
        let replica = match recovered.remove(&key) {
            Some(replica) => replica,
            None => storage.create_replica(key, METADATA_DIR, settings.log, metadata)?,
        };
        let (metadata_roles, groups) = (Arc::<Notify>::default(), Arc::default());
        let roles = metadata_roles.clone();
        let shared = Shared { clock: clock.clone(), roles, groups: Arc::clone(&groups), config: &config };
        let metadata_log = Arc::new(Partition::new(key, replica, Arc::new(settings), shared));
        Ok(Self {
            config,
            clock,
            storage,
            topics: RwLock::default(),
            metadata_log,
            recovered: RwLock::new(recovered),
            missing: Mutex::default(),
            doomed: Mutex::default(),
            presence_changed: Notify::new(),
            roles: Arc::default(),
            metadata_roles,
            groups,
            orphans: Orphans::default(),
        })
    }

    /// Takes in the image that the metadata's log adds up to: opens its partitions, sets aside what it does not know.
    ///
    /// # Errors
    /// The disk's.
    pub fn start(&self, image: &Image) -> Result<(), StorageError> {
        self.apply(&Image::default(), image);
        let strays: Vec<Arc<Replica>> = self
            .recovered
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
            .map(|(_, replica)| replica)
            .collect();
        for replica in strays {
            self.storage.abandon_replica(&replica)?;
        }
        self.storage.clear_leftovers()
    }

    /// Follows a change of the metadata: makes, configures and deletes partitions. A disk's refusal is logged; the partition
    /// then answers as one that is not here, until another try succeeds.
    pub fn apply(&self, old: &Image, new: &Image) {
        let defaults_changed =
            [-1, self.config.node_id].iter().any(|id| old.broker_configs(*id) != new.broker_configs(*id));
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cached = Vec::new();
        for topic in new.topics() {
            let before = old.topic_by_id(topic.id);
            if !defaults_changed && before.is_some_and(|before| Arc::ptr_eq(before, topic)) {
                continue;
            }
            let settings = Arc::new(self.settings_of(topic, new));
            for (index, info) in (0..).zip(&topic.partitions) {
                let key = (topic.id, index);
                if self.follow(topic, index, info, &settings, &mut cached) {
                    missing.remove(&key);
                } else {
                    missing.insert(key, Missing { topic: topic.clone(), settings: settings.clone() });
                }
            }
        }
        if !cached.is_empty() {
            self.set_write_caching(&cached, true);
        }
        for gone in old.topics().filter(|topic| new.topic_by_id(topic.id).is_none()) {
            missing.retain(|(topic_id, _), _| *topic_id != gone.id);
            self.delete(gone.id);
        }
    }

    /// Tries again to make what could not be made: there may be room by now.
    pub(super) fn make_missing(&self) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cached = Vec::new();
        missing.retain(|(_, index), Missing { topic, settings }| {
            let place = usize::try_from(*index).unwrap_or(usize::MAX);
            let Some(info) = topic.partitions.get(place) else { return false };
            let made = self.follow(topic, *index, info, settings, &mut cached);
            if made {
                tracing::info!(topic = topic.name, partition = *index, "partition could be made now");
            }
            !made
        });
        if !cached.is_empty() {
            self.set_write_caching(&cached, true);
        }
    }

    fn settings_of(&self, topic: &Topic, image: &Image) -> PartitionSettings {
        let mut dynamic = image.broker_configs(-1).cloned().unwrap_or_default();
        dynamic.extend(image.broker_configs(self.config.node_id).cloned().unwrap_or_default());
        let resolved = TopicSettings::resolve(&topic.configs, Some(&dynamic), &self.config.broker_defaults);
        PartitionSettings::of(&resolved, self.config.producer_id_expiration_ms)
    }

    /// Makes what is here what the metadata says. False if that has to be tried again.
    fn follow(
        &self,
        topic: &Topic,
        index: i32,
        info: &PartitionInfo,
        settings: &Arc<PartitionSettings>,
        cached: &mut Vec<Arc<Replica>>,
    ) -> bool {
        let presence = Presence::of(info, self.config.node_id);
        if let Some(known) = self.get(topic.id, index).filter(|known| !known.is(&presence)) {
            if known.becomes(&presence) {
                self.presence_changed.notify_one();
            } else {
                self.doom(&known);
            }
        }
        let partition = match self.get(topic.id, index) {
            None if presence == Presence::Absent => return true,
            // what had its place before is on its way out
            None if self.has_doomed_in(&dir_name(topic, index)) => return false,
            Some(known) => {
                known.configure(settings.clone());
                known
            }
            None => match self.make(topic, index, &presence, settings) {
                Ok(Some(made)) => {
                    made.replica.lead_above(info.leader_epoch);
                    made
                }
                Ok(None) => return true,
                Err(error) => {
                    tracing::error!(topic = topic.name, partition = index, %error, "partition could not be made");
                    return false;
                }
            },
        };
        match (partition.replica.durability(), settings.write_caching) {
            (Durability::Journaled, true) => cached.push(partition.replica.clone()),
            (Durability::WriteCaching, false) => {
                self.set_write_caching(std::slice::from_ref(&partition.replica), false)
            }
            _ => {}
        }
        true
    }

    /// `None` for a member that leaves and is not here any more.
    fn make(
        &self,
        topic: &Topic,
        index: i32,
        presence: &Presence,
        settings: &Arc<PartitionSettings>,
    ) -> Result<Option<Arc<Partition>>, StorageError> {
        let key = (topic.id, index);
        let recovered = self.recovered.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let replica = match recovered {
            Some(replica) if presence.fits(&replica) || presence.follows(&replica) => replica,
            recovered => {
                if let Some(other) = recovered {
                    self.storage.abandon_replica(&other)?;
                }
                match self.create(key, &dir_name(topic, index), presence, settings)? {
                    Some(created) => created,
                    None => return Ok(None),
                }
            }
        };
        let (roles, groups) = (self.roles.clone(), Arc::clone(&self.groups));
        let shared = Shared { clock: self.clock.clone(), roles, groups, config: &self.config };
        if let (Presence::Member { node, .. }, true) = (presence, replica.is_nameless()) {
            replica.is_called(*node);
        }
        let partition = Arc::new(Partition::new(key, replica, settings.clone(), shared));
        partition.becomes(presence);
        self.write().entry(topic.id).or_default().insert(index, partition.clone());
        if matches!(presence, Presence::Member { .. }) {
            self.presence_changed.notify_one();
        }
        Ok(Some(partition))
    }

    fn create(
        &self,
        key: ReplicaKey,
        name: &str,
        presence: &Presence,
        settings: &PartitionSettings,
    ) -> Result<Option<Arc<Replica>>, StorageError> {
        let kind = match presence {
            Presence::Absent => return Ok(None),
            Presence::Solo if settings.volatile => {
                return self.storage.create_volatile_replica(key, settings.log).map(Some);
            }
            Presence::Solo => ReplicaKind::Solo,
            Presence::Member { begin: Begin::Never, .. } => return Ok(None),
            // a log that was lost before it had company begins anew
            Presence::Member { begin: Begin::Converted, .. } => ReplicaKind::Solo,
            Presence::Member { node, begin: Begin::Voters(voters) } => ReplicaKind::Voter { node: *node, voters },
            Presence::Member { node, begin: Begin::Filled } => ReplicaKind::Learner { node: *node },
        };
        self.storage.create_replica(key, name, settings.log, kind).map(Some)
    }

    /// Ends a partition here; its files go once its group has stopped.
    fn doom(&self, partition: &Arc<Partition>) {
        partition.end();
        if let Some(partitions) = self.write().get_mut(&partition.topic_id()) {
            partitions.remove(&partition.partition_index());
        }
        if partition.replica.node().is_none() {
            return self.delete_files(partition);
        }
        self.doomed.lock().unwrap_or_else(PoisonError::into_inner).push(partition.clone());
        self.presence_changed.notify_one();
    }

    /// Whether a directory is still one of a member that goes.
    fn has_doomed_in(&self, dir: &str) -> bool {
        let any = !self.doomed.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        any && self.storage.has_replica_in(dir)
    }

    /// Removes a member whose group has stopped.
    pub(super) fn bury(&self, doomed: &Arc<Partition>) {
        let _nobody_makes = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        self.delete_files(doomed);
        self.doomed.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| !Arc::ptr_eq(one, doomed));
    }

    fn delete_files(&self, partition: &Partition) {
        if let Err(error) = self.storage.delete_replica(&partition.replica) {
            let (topic_id, partition) = (partition.topic_id(), partition.partition_index());
            tracing::error!(%topic_id, partition, %error, "files of a deleted partition could not be removed");
        }
    }

    fn set_write_caching(&self, replicas: &[Arc<Replica>], on: bool) {
        // a failed sync ends the broker by itself
        if let Err(error) = self.storage.set_write_caching(replicas, on) {
            tracing::error!(%error, on, "write.caching could not be switched");
        }
    }

    fn delete(&self, topic_id: Uuid) {
        let partitions = self.read().get(&topic_id).cloned().unwrap_or_default();
        partitions.values().for_each(|partition| self.doom(partition));
        self.write().remove(&topic_id);
    }

    /// The partition, if this broker has a replica of it. A topic made anew under the same name has another id.
    pub fn get(&self, topic_id: Uuid, partition: i32) -> Option<Arc<Partition>> {
        self.read().get(&topic_id)?.get(&partition).cloned()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.read().values().map(BTreeMap::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// The data directory and what each partition takes of it.
    pub fn log_dir(&self) -> LogDir {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let (total_bytes, usable_bytes) =
            self.storage.space().map_or((-1, -1), |(total, free)| (bytes(total), bytes(free)));
        let size = |partition: &Arc<Partition>| PartitionSize {
            topic_id: partition.topic_id(),
            partition: partition.partition_index(),
            size_bytes: partition.size_bytes(),
            is_down: partition.replica.is_down() || partition.replica.is_damaged(),
        };
        let partitions = self.all().iter().map(size).collect();
        LogDir { path: self.storage.dir().to_path_buf(), total_bytes, usable_bytes, partitions }
    }

    /// The log of `__cluster_metadata`, made at the first start. It is not in [`Self::get`].
    pub fn metadata_log(&self) -> &Arc<Partition> {
        &self.metadata_log
    }

    pub(super) fn all(&self) -> Vec<Arc<Partition>> {
        self.read().values().flat_map(BTreeMap::values).cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, ByTopic> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ByTopic> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }
}
