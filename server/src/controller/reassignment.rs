//! Moving partitions from broker to broker (Kafka `ReplicationControlManager.alterPartitionReassignments`): the plan. The leader
//! carries it out and reports its members; the plan is done when they are those of the target (`reports`).

use super::{
    controller::Controller,
    error::ControllerError::{self, InvalidReplicationFactor, NoSuchPartition},
    placement::check_assignment,
};
use crate::metadata::{Image, MetadataRecord, NO_BROKER, PartitionInfo, Replica, Topic};

/// What shall happen to one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Brokers that shall hold it, the preferred leader first; none takes a move back.
    pub brokers: Option<Vec<i32>>,
}

impl Controller {
    /// Moves partitions. Each is judged by itself; all that are allowed are committed as one change.
    pub async fn alter_reassignments(
        &self,
        moves: &[Reassignment],
        allow_factor_change: bool,
    ) -> Vec<Result<(), ControllerError>> {
        let _deciding = match self.decide().await {
            Ok(deciding) => deciding,
            Err(error) => return moves.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut image = Image::clone(&self.image.load());
        let mut records = Vec::new();
        let mut answers = Vec::with_capacity(moves.len());
        for wanted in moves {
            answers.push(plan(&image, wanted, allow_factor_change).map(|planned| {
                planned.iter().for_each(|record| image.apply(record));
                records.extend(planned);
            }));
        }
        if let Err(error) = self.commit(&records).await {
            answers.iter_mut().filter(|answer| answer.is_ok()).for_each(|answer| *answer = Err(error.clone()));
        }
        answers
    }

    /// Lets a new log take the place of one that a broker lost: same broker, next incarnation.
    ///
    /// # Errors
    /// The partition has no such replica, or too few others are in sync to go on without it.
    pub async fn replace_replica(
        &self,
        topic_id: uuid::Uuid,
        partition: i32,
        replica: Replica,
    ) -> Result<(), ControllerError> {
        let _deciding = self.decide().await?;
        let image = self.image.load();
        let records = plan_replacement(&image, topic_id, partition, replica)?;
        if !records.is_empty() && !goes_on_without(&image, topic_id, partition, replica) {
            let what = "too few other replicas are in sync: it may hold the only copy of something".to_owned();
            return Err(ControllerError::InvalidRequest(what));
        }
        self.commit(&records).await
    }
}

/// Whether the members that are in sync, and that nobody takes the place of, are a majority without this one.
fn goes_on_without(image: &Image, topic_id: uuid::Uuid, partition: i32, lost: Replica) -> bool {
    let found = image.topic_by_id(topic_id).and_then(|topic| topic.partition(partition));
    let Some(info) = found else { return false };
    let stays = |one: &&Replica| info.wanted_on(one.broker_id).is_none_or(|wanted| wanted == **one);
    let others = info.replicas.iter().filter(|one| one.broker_id != lost.broker_id).filter(stays);
    let well = others.filter(|one| info.isr.contains(&one.broker_id) && image.is_available(one.broker_id));
    well.count() > info.replicas.len() / 2
}

fn plan(
    image: &Image,
    wanted: &Reassignment,
    allow_factor_change: bool,
) -> Result<Vec<MetadataRecord>, ControllerError> {
    let Reassignment { topic, partition, brokers } = wanted;
    let unknown = || NoSuchPartition(format!("Unable to find a topic named {topic}."));
    let known = image.topic(topic).ok_or_else(unknown)?;
    let unknown = || NoSuchPartition(format!("Unable to find partition {topic}:{partition}."));
    let info = known.partition(*partition).ok_or_else(unknown)?;
    let Some(brokers) = brokers else {
        if !info.is_reassigning() {
            return Err(ControllerError::NoReassignmentInProgress);
        }
        return Ok(aim(known, *partition, info, kept(info, &info.replicas)));
    };
    check_assignment(image, brokers, None)?;
    let factor = info.wanted().len();
    if !allow_factor_change && factor != brokers.len() {
        let what = format!("The replication factor is changed from {factor} to {}", brokers.len());
        return Err(InvalidReplicationFactor(what));
    }
    Ok(aim(known, *partition, info, on_brokers(info, brokers)))
}

/// These replicas again, but for those that are lost meanwhile: others take their places.
fn kept(info: &PartitionInfo, replicas: &[Replica]) -> Vec<Replica> {
    let ids: Vec<i32> = replicas.iter().map(|replica| replica.broker_id).collect();
    on_brokers(info, &ids)
}

/// Replicas on these brokers: those that are there, or on their way, stay; the others are new.
fn on_brokers(info: &PartitionInfo, ids: &[i32]) -> Vec<Replica> {
    let mut next = info.last_incarnation;
    let replica = |id: &i32| {
        info.replica_on(*id).unwrap_or_else(|| {
            next += 1;
            Replica::new(*id, next)
        })
    };
    ids.iter().map(replica).collect()
}

/// Lets new logs take the places of all that a broker had. Those that nobody else has are told, and stay as they are: their broker
/// makes them anew, empty, as Kafka's does.
pub(super) fn plan_refill(image: &Image, broker_id: i32) -> Vec<MetadataRecord> {
    let (mut records, mut replaced, mut alone) = (Vec::new(), 0, 0);
    for topic in image.topics() {
        for (partition, info) in (0..).zip(&topic.partitions) {
            let Some(lost) = info.wanted_on(broker_id) else { continue };
            if info.isr.contains(&broker_id) && info.replicas.len() > 1 {
                records.push(without(topic, partition, info, broker_id));
            }
            match plan_replacement(image, topic.id, partition, lost) {
                Ok(planned) => {
                    records.extend(planned);
                    replaced += 1;
                }
                Err(_) => alone += 1,
            }
        }
    }
    tracing::warn!(broker_id, replaced, alone, "broker came with another data directory: its replicas are filled anew");
    if alone > 0 {
        tracing::error!(broker_id, alone, "partitions had their only replica on a data directory that is gone");
    }
    records
}

/// A broker is in sync no more, and leads nothing: until the leader says so itself, if there is one.
fn without(topic: &Topic, partition: i32, info: &PartitionInfo, broker_id: i32) -> MetadataRecord {
    let leader = if info.leader == broker_id { NO_BROKER } else { info.leader };
    let isr = info.isr.iter().copied().filter(|id| *id != broker_id).collect();
    MetadataRecord::PartitionState { topic_id: topic.id, partition, leader, leader_epoch: info.leader_epoch, isr }
}

/// Records that make the leader work towards these members.
fn aim(topic: &Topic, partition: i32, info: &PartitionInfo, target: Vec<Replica>) -> Vec<MetadataRecord> {
    let topic_id = topic.id;
    if !same_members(&target, &info.replicas) {
        let changed = info.target.as_ref() != Some(&target);
        let record = MetadataRecord::PartitionTarget { topic_id, partition, target: Some(target) };
        return if changed { vec![record] } else { Vec::new() };
    }
    let mut records = Vec::new();
    if info.target.is_some() {
        records.push(MetadataRecord::PartitionTarget { topic_id, partition, target: None });
    }
    // the same members in another order: only the preferred leader changes
    if target != info.replicas {
        let last_incarnation = info.last_incarnation;
        records.push(MetadataRecord::PartitionReplicas { topic_id, partition, replicas: target, last_incarnation });
    }
    records
}

/// Whether both lists hold the same replicas.
pub(super) fn same_members(a: &[Replica], b: &[Replica]) -> bool {
    a.len() == b.len() && a.iter().all(|replica| b.contains(replica))
}

fn plan_replacement(
    image: &Image,
    topic_id: uuid::Uuid,
    partition: i32,
    lost: Replica,
) -> Result<Vec<MetadataRecord>, ControllerError> {
    let topic = image.topic_by_id(topic_id).ok_or(ControllerError::UnknownTopicId)?;
    let info = topic.partition(partition).ok_or(ControllerError::UnknownTopic)?;
    // asked again: another log takes its place already
    if info.replica_on(lost.broker_id).is_some_and(|now| now.incarnation > lost.incarnation) {
        return Ok(Vec::new());
    }
    if !info.wanted().contains(&lost) {
        return Err(ControllerError::UnknownTopic);
    }
    if !info.replicas.iter().any(|replica| replica.broker_id != lost.broker_id) {
        let what = format!("{}-{partition} has no other replica to be filled from", topic.name);
        return Err(ControllerError::InvalidRequest(what));
    }
    let next = Replica::new(lost.broker_id, info.last_incarnation + 1);
    let target = info.wanted().iter().map(|replica| if *replica == lost { next } else { *replica });
    Ok(aim(topic, partition, info, target.collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{
        super::{message::Leadership, reports},
        *,
    };
    use crate::metadata::first_replicas;

    fn image() -> Image {
        let (mut image, topic_id) = (Image::default(), Uuid::from_u128(1));
        for broker_id in 1..=5 {
            image.apply(&MetadataRecord::registers(broker_id));
        }
        image.apply(&MetadataRecord::CreateTopic { topic_id, name: "t".into() });
        let replicas = first_replicas(&[1, 2, 3]);
        image.apply(&MetadataRecord::CreatePartition { topic_id, partition: 0, replicas });
        image
    }

    fn info(image: &Image) -> &PartitionInfo {
        &image.topic("t").unwrap().partitions[0]
    }

    fn change(image: &mut Image, brokers: Option<&[i32]>) -> Result<(), ControllerError> {
        let wanted = Reassignment { topic: "t".into(), partition: 0, brokers: brokers.map(<[i32]>::to_vec) };
        plan(image, &wanted, true).map(|records| records.iter().for_each(|record| image.apply(record)))
    }

    #[test]
    fn a_move_is_aimed_at_changed_and_taken_back() {
        let mut image = image();
        assert_eq!(change(&mut image, None), Err(ControllerError::NoReassignmentInProgress));
        change(&mut image, Some(&[4, 2, 1])).unwrap();
        let target = vec![Replica::new(4, 1), Replica::new(2, 0), Replica::new(1, 0)];
        assert_eq!(info(&image).target, Some(target), "who is there already stays, who comes is new");
        change(&mut image, Some(&[5, 4, 1])).unwrap();
        assert_eq!(info(&image).wanted()[..2], [Replica::new(5, 2), Replica::new(4, 1)], "4 is on its way already");
        change(&mut image, None).unwrap();
        assert_eq!((info(&image).target.is_some(), info(&image).broker_ids()), (false, vec![1, 2, 3]));
        change(&mut image, Some(&[4, 2, 1])).unwrap();
        assert_eq!(info(&image).wanted()[0], Replica::new(4, 3), "what was dropped comes back as another");
    }

    #[test]
    fn another_order_needs_no_move() {
        let mut image = image();
        change(&mut image, Some(&[3, 1, 2])).unwrap();
        assert_eq!((info(&image).target.is_some(), info(&image).preferred_leader()), (false, 3));
    }

    #[test]
    fn each_bad_move_gets_its_own_error() {
        let image = image();
        let judged = |topic: &str, partition, brokers: Option<Vec<i32>>, allowed| {
            plan(&image, &Reassignment { topic: topic.into(), partition, brokers }, allowed).unwrap_err().to_string()
        };
        assert_eq!(judged("x", 0, None, true), "Unable to find a topic named x.");
        assert_eq!(judged("t", 1, None, true), "Unable to find partition t:1.");
        assert_eq!(judged("t", 0, Some(vec![1]), false), "The replication factor is changed from 3 to 1");
        assert!(judged("t", 0, Some(vec![1, 1, 2]), true).contains("more than once"));
        assert!(judged("t", 0, Some(vec![9]), true).contains("no such broker"));
        assert!(judged("t", 0, Some(vec![]), true).contains("empty replica list"));
    }

    #[test]
    fn a_lost_log_is_replaced_once_and_survives_other_moves() {
        let (mut image, id) = (image(), Uuid::from_u128(1));
        let lost = Replica::new(2, 0);
        for _ in 0..2 {
            let records = plan_replacement(&image, id, 0, lost).unwrap();
            records.iter().for_each(|record| image.apply(record));
        }
        assert_eq!(info(&image).wanted()[1], Replica::new(2, 1));
        assert!(!info(&image).is_reassigning());
        change(&mut image, Some(&[2, 3, 4])).unwrap();
        assert_eq!(info(&image).wanted(), [Replica::new(2, 1), Replica::new(3, 0), Replica::new(4, 2)]);
        change(&mut image, None).unwrap();
        assert_eq!(
            info(&image).wanted()[1],
            Replica::new(2, 1),
            "taking the move back does not bring the lost log back"
        );
        let again = plan_replacement(&image, id, 0, Replica::new(2, 1)).unwrap();
        again.iter().for_each(|record| image.apply(record));
        assert_eq!(info(&image).wanted()[1], Replica::new(2, 3));
        assert!(plan_replacement(&image, id, 0, Replica::new(5, 0)).is_err());
    }

    proptest! {
        /// What a replica promised is forgotten with its log: neither a lost nor a dropped one may ever be wanted again.
        #[test]
        fn no_replica_comes_back_from_the_dead(
            steps in proptest::collection::vec((0..4, proptest::sample::subsequence(vec![1, 2, 3, 4, 5], 1..4)), 1..30),
        ) {
            let (mut image, id) = (image(), Uuid::from_u128(1));
            let mut dead: Vec<Replica> = Vec::new();
            for (step, brokers) in steps {
                let before = info(&image).clone();
                let held = |info: &PartitionInfo| [info.wanted(), &info.replicas].concat();
                match step {
                    0 => change(&mut image, Some(&brokers)).unwrap(),
                    1 => drop(change(&mut image, None)),
                    2 => {
                        let lost = before.wanted_on(brokers[0]);
                        let records = lost.map(|lost| plan_replacement(&image, id, 0, lost)).and_then(Result::ok);
                        if let Some(records) = records {
                            records.iter().for_each(|record| image.apply(record));
                            dead.extend(lost);
                        }
                    }
                    _ => {
                        // the leader has done what was wanted
                        let (leader_epoch, isr, voters) = (9, Vec::new(), before.wanted().to_vec());
                        let led = Leadership { topic_id: id, partition: 0, leader_epoch, isr, voters };
                        let records = reports::plan(&image, 1, &led);
                        records.iter().for_each(|record| image.apply(record));
                    }
                }
                let now = held(info(&image));
                dead.extend(held(&before).into_iter().filter(|replica| !now.contains(replica)));
                let wanted = info(&image).wanted();
                prop_assert!(wanted.iter().all(|replica| !dead.contains(replica)), "{:?} of {:?}", wanted, dead);
                let ids: std::collections::HashSet<i32> = wanted.iter().map(|replica| replica.broker_id).collect();
                prop_assert_eq!(ids.len(), wanted.len());
                let mut again = Image::default();
                image.to_records().iter().for_each(|record| again.apply(record));
                prop_assert_eq!(&again, &image);
            }
        }
    }

    #[test]
    fn the_only_log_is_not_replaced() {
        let (mut image, topic_id) = (image(), Uuid::from_u128(2));
        image.apply(&MetadataRecord::CreateTopic { topic_id, name: "solo".into() });
        let replicas = first_replicas(&[1]);
        image.apply(&MetadataRecord::CreatePartition { topic_id, partition: 0, replicas });
        assert!(plan_replacement(&image, topic_id, 0, Replica::new(1, 0)).is_err());
    }
}
