//! All partitions with a replica on this broker, following the metadata image. Not here: what the image says and why.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use uuid::Uuid;

use super::{partition::Partition, settings::PartitionSettings};
use crate::{
    metadata::{Image, Topic, TopicSettings, topic_config::BrokerDefaults},
    os::clock::Clock,
    raft::{Durability, ReplicaKey, Solo, Storage, StorageError},
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
}

/// Kafka's id of `__cluster_metadata` (`Uuid.METADATA_TOPIC_ID`).
const METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);
const METADATA_DIR: &str = "__cluster_metadata-0";

type ByTopic = HashMap<Uuid, BTreeMap<i32, Arc<Partition>>>;

/// A partition whose files could not be made: for want of room, or of file descriptors.
#[derive(Debug, Clone)]
struct Missing {
    topic: Arc<Topic>,
    settings: Arc<PartitionSettings>,
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
    recovered: RwLock<HashMap<ReplicaKey, Arc<Solo>>>,
    /// Held while partitions are made, configured or deleted: what should be here and could not be made.
    missing: Mutex<HashMap<ReplicaKey, Missing>>,
}

impl Partitions {
    /// Over a data directory; nothing but the metadata's log is open until [`Self::start`].
    ///
    /// # Errors
    /// The metadata's log cannot be made.
    pub fn new(config: PartitionsConfig, storage: Arc<Storage>, clock: Clock) -> Result<Self, StorageError> {
        let mut recovered: HashMap<ReplicaKey, Arc<Solo>> = storage.replicas().into_iter().collect();
        let mut settings = PartitionSettings::of(
            &TopicSettings::resolve(&BTreeMap::new(), None, &BrokerDefaults::default()),
            config.producer_id_expiration_ms,
        );
        settings.log.deletes = false;
        let key = (METADATA_TOPIC_ID, 0);
        let replica = match recovered.remove(&key) {
            Some(replica) => replica,
            None => storage.create_replica(key, METADATA_DIR, settings.log)?,
        };
        let metadata_log = Arc::new(Partition::new(key, replica, Arc::new(settings), clock.clone()));
        let (topics, recovered, missing) = (RwLock::default(), RwLock::new(recovered), Mutex::default());
        Ok(Self { config, clock, storage, topics, metadata_log, recovered, missing })
    }

    /// Takes in the image that the metadata's log adds up to: opens its partitions, sets aside what it does not know.
    ///
    /// # Errors
    /// The disk's.
    pub fn start(&self, image: &Image) -> Result<(), StorageError> {
        self.apply(&Image::default(), image);
        let strays: Vec<Arc<Solo>> = self
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
    /// then answers as one that is not here, until [`Self::make_missing`] succeeds.
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
                if info.replicas.contains(&self.config.node_id) {
                    if self.make_or_configure(topic, index, &settings, &mut cached) {
                        missing.remove(&(topic.id, index));
                    } else {
                        let (topic, settings) = (topic.clone(), settings.clone());
                        missing.insert((topic.id, index), Missing { topic, settings });
                    }
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
            let made = self.make_or_configure(topic, *index, settings, &mut cached);
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

    /// False if it is not here and could not be made.
    fn make_or_configure(
        &self,
        topic: &Topic,
        index: i32,
        settings: &Arc<PartitionSettings>,
        cached: &mut Vec<Arc<Solo>>,
    ) -> bool {
        let partition = match self.get(topic.id, index) {
            Some(known) => {
                known.configure(settings.clone());
                known
            }
            None => match self.make(topic, index, settings) {
                Ok(made) => made,
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

    fn make(
        &self,
        topic: &Topic,
        index: i32,
        settings: &Arc<PartitionSettings>,
    ) -> Result<Arc<Partition>, StorageError> {
        let key = (topic.id, index);
        let recovered = self.recovered.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let replica = match recovered {
            Some(replica) => replica,
            None if settings.volatile => self.storage.create_volatile_replica(key, settings.log)?,
            None => self.storage.create_replica(key, &format!("{}-{index}", topic.name), settings.log)?,
        };
        let partition = Arc::new(Partition::new(key, replica, settings.clone(), self.clock.clone()));
        self.write().entry(topic.id).or_default().insert(index, partition.clone());
        Ok(partition)
    }

    fn set_write_caching(&self, replicas: &[Arc<Solo>], on: bool) {
        // a failed sync ends the broker by itself
        if let Err(error) = self.storage.set_write_caching(replicas, on) {
            tracing::error!(%error, on, "write.caching could not be switched");
        }
    }

    fn delete(&self, topic_id: Uuid) {
        let Some(partitions) = self.write().remove(&topic_id) else { return };
        for (index, partition) in partitions {
            partition.end();
            if let Err(error) = self.storage.delete_replica(&partition.replica) {
                tracing::error!(%topic_id, partition = index, %error, "files of a deleted partition could not be removed");
            }
        }
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
