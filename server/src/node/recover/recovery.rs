//! The directories, opened and surveyed; and carrying out what was shown. Nothing of it is decided here but the order of the steps.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tidemark_record::BatchBuilder;

use super::{
    error::RecoverError,
    group::{Fate, Found, Group, epoch_above, judge, longest},
    plan,
};
use crate::{
    metadata::{Image, PartitionInfo, Topic},
    node::{StartError, metadata_log},
    os::{clock::Clock, disk::SharedDisk, random::Random},
    partition::METADATA_LOG,
    raft::{MetaProperties, NodeId, Remains, ReplicaKey, Sole, Storage, StorageConfig, random_incarnation},
};

const METADATA_TOPIC: &str = "__cluster_metadata";

/// One directory.
#[derive(Debug)]
struct Opened {
    broker_id: i32,
    storage: Arc<Storage>,
    remains: BTreeMap<ReplicaKey, Remains>,
}

/// A cluster's directories, held so that no broker starts over them.
#[derive(Debug)]
pub struct Recovery {
    opened: Vec<Opened>,
    /// How often the cluster was recovered, the last time perhaps not to its end.
    recovery: u32,
    image: Image,
    random: Random,
    /// The metadata's log.
    pub metadata: Group,
    /// Every partition, by topic.
    pub partitions: Vec<Group>,
    /// Directories that belong to no cluster yet: their brokers join as they are.
    pub empty: Vec<PathBuf>,
}

impl Recovery {
    /// Opens the directories as a start would, and looks at what they have. Blocks on the disk.
    ///
    /// # Errors
    /// They do not belong together, one is in use or cannot be read, or no metadata are left.
    pub fn open(disk: &SharedDisk, dirs: &[PathBuf], random: &Random) -> Result<Self, RecoverError> {
        Self::open_as(disk, dirs, random, StorageConfig::new)
    }

    pub(super) fn open_as(
        disk: &SharedDisk,
        dirs: &[PathBuf],
        random: &Random,
        config: impl Fn(PathBuf, i32) -> StorageConfig,
    ) -> Result<Self, RecoverError> {
        let (mut found, mut empty) = (Vec::new(), Vec::new());
        for dir in dirs {
            if !MetaProperties::are_in(disk, dir) {
                return Err(RecoverError::NoData(dir.clone()));
            }
            let properties = MetaProperties::of(disk, dir)?;
            match (properties.cluster_id.is_empty(), properties.quorum.is_empty()) {
                (true, _) => empty.push(dir.clone()),
                (false, true) => return Err(RecoverError::Alone(dir.clone())),
                (false, false) => found.push((dir.clone(), properties)),
            }
        }
        let recovery = belong_together(&found)?;
        let mut opened = Vec::new();
        for (dir, properties) in found {
            let config = StorageConfig { recovers: true, ..config(dir, properties.node_id) };
            let storage = Storage::open(disk.clone(), &config, random)?;
            let remains = storage.remains().into_iter().collect();
            opened.push(Opened { broker_id: properties.node_id, storage, remains });
        }
        opened.sort_by_key(|opened| opened.broker_id);
        let metadata = metadata_group(&opened);
        let image = match longest(&metadata.found) {
            Some(longest) => image_of(&opened, longest.broker_id)?,
            None => return Err(RecoverError::NoMetadata),
        };
        let partitions = image.topics().flat_map(|topic| partitions_of(topic, &opened)).collect();
        Ok(Self { opened, recovery, image, random: random.clone(), metadata, partitions, empty })
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        self.image.cluster_id()
    }

    #[cfg(test)]
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// Brokers whose directories these are.
    pub fn brokers(&self) -> Vec<i32> {
        self.opened.iter().map(|opened| opened.broker_id).collect()
    }

    /// Brokers that the metadata know, and whose directories are not among these: they have to start with empty ones.
    pub fn missing(&self) -> Vec<i32> {
        let known = self.image.brokers().map(|broker| broker.id);
        known.filter(|id| self.opened.iter().all(|opened| opened.broker_id != *id)).collect()
    }

    /// Whether anything would be changed: a group has lost its majority, or a recovery was interrupted.
    pub fn is_needed(&self) -> bool {
        self.forces() || self.opened.iter().any(|opened| self.is_unfinished(opened))
    }

    /// Whether a recovery was interrupted.
    pub fn was_interrupted(&self) -> bool {
        self.opened.iter().any(|opened| self.is_unfinished(opened))
    }

    fn forces(&self) -> bool {
        let survives = |group: &Group| matches!(group.fate, Fate::Survives { .. });
        survives(&self.metadata) || self.partitions.iter().any(survives)
    }

    fn is_unfinished(&self, opened: &Opened) -> bool {
        let properties = opened.storage.properties();
        properties.recovering.is_some() || properties.recovery < self.recovery
    }

    /// Does it. Interrupted, it is to be done again over the same directories.
    ///
    /// # Errors
    /// The disk's.
    pub fn carry_out(self) -> Result<(), RecoverError> {
        let forces = self.forces();
        let recovery = self.recovery + u32::from(forces);
        let Some(keeper) = self.keeper() else { return Err(RecoverError::NoMetadata) };
        let survivor = (keeper.broker_id, keeper.storage.properties().directory_id.clone());
        let node = self.metadata_node(keeper);
        let pending = self.opened.iter().filter(|opened| forces || self.is_unfinished(opened));
        let pending: Vec<&Opened> = pending.collect();
        for opened in &pending {
            opened.storage.begin_recovery(recovery)?;
        }
        if forces {
            // the metadata say what is to be done with the others: they come first
            keeper.storage.make_sole(&[self.sole_metadata(node)?])?;
            for opened in &self.opened {
                opened.storage.make_sole(&self.soles_on(opened.broker_id))?;
            }
        }
        for opened in pending {
            let mut incarnation = node.incarnation();
            if opened.broker_id != keeper.broker_id {
                // its broker asks to be let in again, and is filled
                let mut replicas = opened.storage.replicas().into_iter();
                if let Some((_, replica)) = replicas.find(|(key, _)| *key == METADATA_LOG) {
                    opened.storage.abandon_replica(&replica)?;
                }
                incarnation = random_incarnation(&self.random);
            }
            opened.storage.end_recovery(recovery, survivor.clone(), incarnation)?;
        }
        self.close()
    }

    /// Lets go of the directories.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(self) -> Result<(), RecoverError> {
        for opened in &self.opened {
            opened.storage.close()?;
        }
        Ok(())
    }

    /// Whose metadata log goes on.
    fn keeper(&self) -> Option<&Opened> {
        let longest = longest(&self.metadata.found)?;
        self.opened.iter().find(|opened| opened.broker_id == longest.broker_id)
    }

    /// What the replica that keeps the metadata is called: as before, unless it lost that name, or had none.
    fn metadata_node(&self, keeper: &Opened) -> NodeId {
        let remains = keeper.remains.get(&METADATA_LOG).filter(|remains| !remains.given_up);
        let other = || NodeId::new(keeper.broker_id, random_incarnation(&self.random));
        remains.and_then(|remains| remains.node).unwrap_or_else(other)
    }

    fn sole_metadata(&self, node: NodeId) -> Result<Sole, RecoverError> {
        let epoch = match self.metadata.fate {
            Fate::Survives { epoch, .. } => epoch,
            _ => epoch_above(&self.metadata.found, 0),
        };
        let records = plan::records(&self.image, &self.partitions);
        if records.is_empty() {
            return Ok(Sole { key: METADATA_LOG, node, epoch, batch: None });
        }
        let (mut builder, now_ms) = (BatchBuilder::new(), Clock::system().wall_ms());
        records.iter().for_each(|record| builder.append_plain(now_ms, None, Some(&record.encode())));
        let batch = builder.build().map_err(|error| StartError::Metadata(error.to_string()))?;
        Ok(Sole { key: METADATA_LOG, node, epoch, batch: Some(batch.to_vec()) })
    }

    fn soles_on(&self, broker: i32) -> Vec<Sole> {
        let sole = |group: &Group| {
            let Fate::Survives { epoch, .. } = group.fate else { return None };
            let node = plan::survivor(&self.image, group).filter(|node| node.broker_id == broker)?;
            Some(Sole { key: group.key, node: node.into(), epoch, batch: None })
        };
        self.partitions.iter().filter_map(sole).collect()
    }
}

/// How often their cluster was recovered.
fn belong_together(found: &[(PathBuf, MetaProperties)]) -> Result<u32, RecoverError> {
    let Some((one, first)) = found.first() else { return Err(RecoverError::NoMetadata) };
    let recovery = found.iter().map(|(_, properties)| properties.recovery).max().unwrap_or(0);
    for (place, (other, properties)) in found.iter().enumerate() {
        if properties.cluster_id != first.cluster_id {
            let (cluster_id, other_id) = (first.cluster_id.clone(), properties.cluster_id.clone());
            return Err(RecoverError::OtherCluster { one: one.clone(), cluster_id, other: other.clone(), other_id });
        }
        if properties.recovery < recovery && properties.recovering.is_none() {
            return Err(RecoverError::LeftOut(other.clone()));
        }
        let broker_id = properties.node_id;
        if let Some((one, _)) = found[..place].iter().find(|(_, before)| before.node_id == broker_id) {
            return Err(RecoverError::SameBroker { broker_id, one: one.clone(), other: other.clone() });
        }
    }
    let begun = found.iter().filter_map(|(_, properties)| properties.recovering).max();
    Ok(recovery.max(begun.unwrap_or(0)))
}

fn found(opened: &[Opened], key: ReplicaKey) -> Vec<Found> {
    let found = |opened: &Opened| {
        let remains = opened.remains.get(&key)?.clone();
        Some(Found { broker_id: opened.broker_id, remains })
    };
    opened.iter().filter_map(found).collect()
}

fn metadata_group(opened: &[Opened]) -> Group {
    let found = found(opened, METADATA_LOG);
    let voters = longest(&found).map(|longest| longest.remains.voters.concat()).unwrap_or_default();
    let mut brokers: Vec<i32> = voters.into_iter().map(NodeId::broker).collect();
    brokers.sort_unstable();
    brokers.dedup();
    // a log without a group is none that brokers could go on with
    let fate = judge(&found, |found| found.remains.node.is_some(), 0);
    Group { key: METADATA_LOG, topic: METADATA_TOPIC.to_owned(), brokers, found, fate }
}

fn partitions_of(topic: &Topic, opened: &[Opened]) -> Vec<Group> {
    let group = |(partition, info): (i32, &PartitionInfo)| {
        let key = (topic.id, partition);
        let found = found(opened, key);
        let stays = |found: &Found| {
            let own = info.replica_on(found.broker_id);
            match found.remains.node {
                Some(node) => own == Some(node.into()),
                None => own.is_some_and(|own| info.replicas == [own]),
            }
        };
        let fate = judge(&found, stays, info.leader_epoch);
        Group { key, topic: topic.name.clone(), brokers: info.broker_ids(), found, fate }
    };
    (0..).zip(&topic.partitions).map(group).collect()
}

/// What all records of a broker's metadata log add up to, committed or not: all of them will be.
fn image_of(opened: &[Opened], broker_id: i32) -> Result<Image, RecoverError> {
    let storage = opened.iter().find(|opened| opened.broker_id == broker_id).map(|opened| &opened.storage);
    let replicas = storage.map(|storage| storage.replicas()).unwrap_or_default();
    let replica = replicas.into_iter().find(|(key, _)| *key == METADATA_LOG);
    let (_, replica) = replica.ok_or(RecoverError::NoMetadata)?;
    Ok(metadata_log::replay_all(&replica)?)
}
