//! Creating, growing and deleting topics (Kafka `ReplicationControlManager`).

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::{
    configs::check_topic_configs,
    controller::Controller,
    error::ControllerError::{
        self, InvalidAssignment, InvalidPartitions, InvalidReplicationFactor, InvalidRequest, InvalidTopic,
    },
    placement::{Placer, check_assignment, check_available, manual},
    warnings,
};
use crate::metadata::{Image, MetadataRecord, PartitionInfo, Topic, check_topic_name, first_replicas};

/// Partitions that one request may make (Kafka `ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// Places in the dealing of replicas at which a new topic may begin.
const START_MAX: u64 = 1 << 16;

/// A topic to be made.
#[derive(Debug, Clone, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 for the broker's default.
    pub partitions: i32,
    /// How many replicas each; -1 for the broker's default.
    pub replication_factor: i16,
    /// Replicas by partition, instead of counts.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Settings; a null value is refused.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that was made, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; one that nothing has where nothing was made.
    pub id: Uuid,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas each.
    pub replication_factor: i16,
    /// Its own settings.
    pub configs: BTreeMap<String, String>,
}

/// A topic by name or by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(Uuid),
}

/// A topic that shall have more partitions.
#[derive(Debug, Clone, Default)]
pub struct GrowTopic {
    /// Its name.
    pub name: String,
    /// How many it shall have in all.
    pub count: i32,
    /// Replicas of each new partition, or none to let the controller choose.
    pub assignments: Option<Vec<Vec<i32>>>,
}

impl Controller {
    /// Makes topics. Each is judged by itself; all that are allowed are committed as one change.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Vec<Result<CreatedTopic, ControllerError>> {
        let _deciding = match self.decide().await {
            Ok(deciding) => deciding,
            Err(error) => return topics.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut image = Image::clone(&self.image.load());
        if self.partitions_asked(topics) > PARTITIONS_PER_REQUEST_MAX {
            let what = "Excessively large number of partitions per request.";
            return topics.iter().map(|_| Err(ControllerError::PolicyViolation(what.into()))).collect();
        }
        let mut names = HashSet::new();
        let doubled: HashSet<&str> =
            topics.iter().map(|topic| topic.name.as_str()).filter(|name| !names.insert(*name)).collect();
        let mut records = Vec::new();
        let mut answers = Vec::with_capacity(topics.len());
        for topic in topics {
            let judged = if doubled.contains(topic.name.as_str()) {
                Err(InvalidRequest("Duplicate topic name.".into()))
            } else {
                self.plan_topic(&image, topic)
            };
            answers.push(judged.map(|(created, planned)| {
                planned.iter().for_each(|record| image.apply(record));
                records.extend(planned);
                created
            }));
        }
        if !validate_only && let Err(error) = self.commit(&records).await {
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(error.clone());
            }
        }
        answers
    }

    fn partitions_asked(&self, topics: &[NewTopic]) -> usize {
        let asked = |topic: &NewTopic| match topic.partitions {
            -1 if topic.assignments.is_empty() => self.config.default_partitions.max(0) as usize,
            -1 => topic.assignments.len(),
            count => usize::try_from(count).unwrap_or(0),
        };
        topics.iter().map(asked).sum()
    }

    fn plan_topic(
        &self,
        image: &Image,
        topic: &NewTopic,
    ) -> Result<(CreatedTopic, Vec<MetadataRecord>), ControllerError> {
        let name = &topic.name;
        if name == "__cluster_metadata" {
            return Err(InvalidRequest(format!("Creation of internal topic {name} is prohibited.")));
        }
        check_topic_name(name).map_err(|error| InvalidTopic(error.to_string()))?;
        if image.topic(name).is_some() {
            return Err(ControllerError::TopicExists(name.clone()));
        }
        if let Some(other) = image.topic_colliding(name) {
            return Err(InvalidTopic(format!("Topic '{name}' collides with existing topic: {}", other.name)));
        }
        let assignments = self.assignments(image, topic)?;
        self.check_room(image, assignments.len())?;
        let configs = check_topic_configs(&topic.configs)?;
        let topic_id = self.random.uuid();
        let mut records = vec![MetadataRecord::CreateTopic { topic_id, name: name.clone() }];
        let replication_factor = assignments.first().map_or(0, |replicas| replicas.len() as i16);
        let partitions = assignments.len() as i32;
        let factor = assignments.first().map_or(1, Vec::len);
        warnings::of_factor(name, factor);
        configs.iter().for_each(|(key, value)| warnings::of_setting(name, factor, key, value));
        for (partition, replicas) in (0..).zip(assignments) {
            let replicas = first_replicas(&replicas);
            records.push(MetadataRecord::CreatePartition { topic_id, partition, replicas });
        }
        for (key, value) in &configs {
            records.push(MetadataRecord::TopicConfig { topic_id, key: key.clone(), value: Some(value.clone()) });
        }
        Ok((CreatedTopic { id: topic_id, partitions, replication_factor, configs }, records))
    }

    fn check_room(&self, image: &Image, more: usize) -> Result<(), ControllerError> {
        let max = self.config.partitions_max;
        if image.partition_count().saturating_add(more) > max {
            return Err(InvalidPartitions(format!(
                "{more} more partitions would exceed the {max} that this cluster takes"
            )));
        }
        Ok(())
    }

    fn assignments(&self, image: &Image, topic: &NewTopic) -> Result<Vec<Vec<i32>>, ControllerError> {
        if !topic.assignments.is_empty() {
            if topic.replication_factor != -1 {
                let what = "A manual partition assignment was specified, but replication factor was not set to -1.";
                return Err(InvalidRequest(what.into()));
            }
            if topic.partitions != -1 {
                let what = "A manual partition assignment was specified, but numPartitions was not set to -1.";
                return Err(InvalidRequest(what.into()));
            }
            return manual(image, &self.leaving(), &topic.assignments);
        }
        let partitions = if topic.partitions == -1 { self.config.default_partitions } else { topic.partitions };
        if partitions < 1 {
            return Err(InvalidPartitions("Number of partitions was set to an invalid non-positive value.".into()));
        }
        let factor = if topic.replication_factor == -1 {
            self.config.default_replication_factor
        } else {
            topic.replication_factor
        };
        if factor < 1 {
            let what = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(InvalidReplicationFactor(what.into()));
        }
        self.check_room(image, partitions as usize)?;
        // topics of one partition each must not all be led by the same broker
        let start = self.random.below(START_MAX) as usize;
        Placer::new(image, &self.leaving()).place(partitions as usize, factor, start)
    }

    /// Adds partitions to topics. Each is judged and committed by itself.
    pub async fn create_partitions(
        &self,
        topics: &[GrowTopic],
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        let _deciding = match self.decide().await {
            Ok(deciding) => deciding,
            Err(error) => return topics.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut names = HashSet::new();
        let doubled: HashSet<&str> =
            topics.iter().map(|topic| topic.name.as_str()).filter(|name| !names.insert(*name)).collect();
        let mut answers = Vec::with_capacity(topics.len());
        for topic in topics {
            answers.push(if doubled.contains(topic.name.as_str()) {
                Err(InvalidRequest("Duplicate topic name.".into()))
            } else {
                match self.plan_growth(&self.image.load(), topic) {
                    Ok(records) if !validate_only => self.commit(&records).await,
                    planned => planned.map(drop),
                }
            });
        }
        answers
    }

    fn plan_growth(&self, image: &Image, topic: &GrowTopic) -> Result<Vec<MetadataRecord>, ControllerError> {
        let known = image.topic(&topic.name).ok_or(ControllerError::UnknownTopic)?;
        let have = known.partitions.len() as i32;
        if topic.count == have {
            return Err(InvalidPartitions(format!("Topic already has {have} partition(s).")));
        }
        if topic.count < have {
            let what = format!(
                "The topic {} currently has {have} partition(s); {} would not be an increase.",
                topic.name, topic.count
            );
            return Err(InvalidPartitions(what));
        }
        let more = (topic.count - have) as usize;
        self.check_room(image, more)?;
        let first = known.partitions.first();
        let factor = first.map_or(1, |first| first.wanted().len());
        let leaving = self.leaving();
        let assignments = match &topic.assignments {
            Some(given) if given.len() != more => {
                let what = format!(
                    "Attempted to add {more} additional partition(s), but only {} assignment(s) were specified.",
                    given.len()
                );
                return Err(InvalidAssignment(what));
            }
            Some(given) => {
                for (partition, replicas) in (have..).zip(given) {
                    check_assignment(image, replicas, Some(factor))?;
                    check_available(image, &leaving, partition, replicas)?;
                }
                given.clone()
            }
            None => Placer::new(image, &leaving).place(more, factor as i16, growth_start(image, known))?,
        };
        let record = |(partition, replicas): (i32, Vec<i32>)| MetadataRecord::CreatePartition {
            topic_id: known.id,
            partition,
            replicas: first_replicas(&replicas),
        };
        Ok((have..).zip(assignments).map(record).collect())
    }

    /// Deletes topics; the answer names what was deleted.
    pub async fn delete_topics(&self, topics: &[TopicRef]) -> Vec<Result<(String, Uuid), ControllerError>> {
        let _deciding = match self.decide().await {
            Ok(deciding) => deciding,
            Err(error) => return topics.iter().map(|_| Err(error.clone())).collect(),
        };
        let image = self.image.load();
        let mut gone = HashSet::new();
        let mut answers: Vec<Result<(String, Uuid), ControllerError>> = Vec::with_capacity(topics.len());
        for topic in topics {
            let (found, unknown) = match topic {
                TopicRef::Name(name) => (image.topic(name), ControllerError::UnknownTopic),
                TopicRef::Id(id) => (image.topic_by_id(*id), ControllerError::UnknownTopicId),
            };
            answers.push(match found {
                None => Err(unknown),
                Some(found) if !gone.insert(found.id) => Err(InvalidRequest("Duplicate topic name.".into())),
                Some(found) => Ok((found.name.clone(), found.id)),
            });
        }
        let records: Vec<_> = gone.into_iter().map(|topic_id| MetadataRecord::DeleteTopic { topic_id }).collect();
        if let Err(error) = self.commit(&records).await {
            answers.iter_mut().filter(|answer| answer.is_ok()).for_each(|answer| *answer = Err(error.clone()));
        }
        answers
    }
}

/// New partitions go on where the topic's first ones began, if they lie where they were dealt.
fn growth_start(image: &Image, topic: &Topic) -> usize {
    let led_by = topic.partitions.first().map_or(0, PartitionInfo::preferred_leader);
    let place = image.brokers().position(|broker| broker.id == led_by).unwrap_or(0);
    place + topic.partitions.len()
}
