//! What leaders report, as records: who leads since when, who is in sync, and moves that are done. Pure.

use super::{message::Leadership, reassignment::same_members};
use crate::metadata::{Image, MetadataRecord, NO_BROKER, PartitionInfo};

/// Records for what a broker says of a partition that it leads. What is stale, known or about nothing gives none.
pub(super) fn plan(image: &Image, broker_id: i32, reported: &Leadership) -> Vec<MetadataRecord> {
    let Leadership { topic_id, partition, leader_epoch, isr, voters } = reported;
    let (topic_id, partition) = (*topic_id, *partition);
    let found = image.topic_by_id(topic_id).and_then(|topic| topic.partition(partition));
    let Some(info) = found.filter(|info| is_newest(info, broker_id, *leader_epoch)) else { return Vec::new() };
    let mut records = Vec::new();
    let isr = held(info, isr);
    if (info.leader, info.leader_epoch, &info.isr) != (broker_id, *leader_epoch, &isr) {
        let leader_epoch = *leader_epoch;
        records.push(MetadataRecord::PartitionState { topic_id, partition, leader: broker_id, leader_epoch, isr });
    }
    if let Some(target) = info.target.as_ref().filter(|target| same_members(target, voters)) {
        records.push(MetadataRecord::PartitionReplicas {
            topic_id,
            partition,
            replicas: target.clone(),
            last_incarnation: info.last_incarnation,
        });
        records.push(MetadataRecord::PartitionTarget { topic_id, partition, target: None });
    }
    records
}

fn is_newest(info: &PartitionInfo, broker_id: i32, leader_epoch: i32) -> bool {
    leader_epoch > info.leader_epoch
        || (leader_epoch == info.leader_epoch && [broker_id, NO_BROKER].contains(&info.leader))
}

/// Those of these brokers that hold or shall hold a replica, in one order, so that only a change of members is a change.
fn held(info: &PartitionInfo, brokers: &[i32]) -> Vec<i32> {
    let mut held: Vec<i32> = brokers.iter().copied().filter(|id| info.replica_on(*id).is_some()).collect();
    held.sort_unstable();
    held.dedup();
    held
}

/// Whether a leader has something to report: the metadata says otherwise than it knows.
pub(super) fn is_news(image: &Image, broker_id: i32, led: &Leadership) -> bool {
    !plan(image, broker_id, led).is_empty()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::metadata::{Replica, first_replicas};

    const TOPIC: Uuid = Uuid::from_u128(1);

    fn led(leader_epoch: i32, isr: &[i32], voters: &[Replica]) -> Leadership {
        Leadership { topic_id: TOPIC, partition: 0, leader_epoch, isr: isr.to_vec(), voters: voters.to_vec() }
    }

    fn report(image: &mut Image, broker_id: i32, led: &Leadership) -> usize {
        let records = plan(image, broker_id, led);
        records.iter().for_each(|record| image.apply(record));
        assert!(!is_news(image, broker_id, led), "said once is enough");
        records.len()
    }

    #[test]
    fn the_newest_epoch_counts_and_a_reached_target_ends_the_move() {
        let (mut image, replicas) = (Image::default(), first_replicas(&[1, 2, 3]));
        image.apply(&MetadataRecord::CreateTopic { topic_id: TOPIC, name: "t".into() });
        let made = MetadataRecord::CreatePartition { topic_id: TOPIC, partition: 0, replicas: replicas.clone() };
        image.apply(&made);
        assert_eq!(report(&mut image, 2, &led(4, &[2, 3], &replicas)), 1);
        assert_eq!(report(&mut image, 1, &led(3, &[1], &replicas)), 0, "an older leader");
        assert_eq!(report(&mut image, 1, &led(4, &[1], &replicas)), 0, "an epoch has one leader");
        assert_eq!(report(&mut image, 2, &led(4, &[3, 1, 2], &replicas)), 1);
        assert_eq!(report(&mut image, 2, &led(4, &[2, 9, 3, 1, 1], &replicas)), 0, "the same, said otherwise");
        assert_eq!(image.topic("t").unwrap().partitions[0].isr, [1, 2, 3]);
        let target = vec![Replica::new(4, 1), Replica::new(2, 0), Replica::new(3, 0)];
        image.apply(&MetadataRecord::PartitionTarget { topic_id: TOPIC, partition: 0, target: Some(target.clone()) });
        assert_eq!(report(&mut image, 2, &led(4, &[1, 2, 3], &replicas)), 0, "not there yet");
        let reached: Vec<Replica> = target.iter().rev().copied().collect();
        assert_eq!(report(&mut image, 2, &led(4, &[2, 3, 4], &reached)), 3);
        let info = &image.topic("t").unwrap().partitions[0];
        assert_eq!((&info.replicas, &info.target), (&target, &None), "in the order that was asked for");
        let elsewhere = Leadership { partition: 7, ..led(9, &[1], &replicas) };
        assert_eq!(report(&mut image, 1, &elsewhere), 0);
    }
}
