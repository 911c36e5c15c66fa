//! Which leaders should move: back to the preferred replica, or away from a broker that stops. Pure; few at a time is the
//! caller's business.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::error::ControllerError::{
    self, ElectionNotNeeded, EligibleLeadersNotAvailable, NoSuchPartition, PreferredLeaderNotAvailable,
};
use crate::metadata::{Image, PartitionInfo, Replica};

/// A leadership that shall move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
    /// Broker that leads.
    pub(super) from: i32,
    /// Who shall.
    pub(super) to: Replica,
}

/// What kind of election a client asked for (Kafka `ElectionType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElectionKind {
    /// The preferred leader shall lead.
    Preferred,
    /// Somebody shall lead, even if records are lost. Never done here.
    Unclean,
}

/// The replica that should lead, if it can: in sync, on a broker that stays.
fn preferred(image: &Image, info: &PartitionInfo, leaving: &BTreeSet<i32>) -> Option<Replica> {
    info.wanted().first().copied().filter(|replica| can_lead(image, info, *replica, leaving))
}

fn can_lead(image: &Image, info: &PartitionInfo, replica: Replica, leaving: &BTreeSet<i32>) -> bool {
    let id = replica.broker_id;
    info.replicas.contains(&replica) && info.isr.contains(&id) && image.is_available(id) && !leaving.contains(&id)
}

fn partitions(image: &Image) -> impl Iterator<Item = (Uuid, i32, &PartitionInfo)> {
    image.topics().flat_map(|topic| (0..).zip(&topic.partitions).map(|(index, info)| (topic.id, index, info)))
}

/// Leaderships that are not where they should be, though they could.
pub(super) fn misplaced(image: &Image, leaving: &BTreeSet<i32>) -> Vec<Transfer> {
    let transfer = |(topic_id, partition, info): (Uuid, i32, &PartitionInfo)| {
        let from = image.leader_of(info)?;
        let to = preferred(image, info, leaving).filter(|to| to.broker_id != from)?;
        Some(Transfer { topic_id, partition, from, to })
    };
    partitions(image).filter_map(transfer).collect()
}

/// Leaderships that a broker which stops must give away, where anybody can take them. The one with the fewest gets the next.
pub(super) fn to_drain(image: &Image, broker_id: i32, leaving: &BTreeSet<i32>) -> Vec<Transfer> {
    let mut leads: BTreeMap<i32, usize> = BTreeMap::new();
    for leader in partitions(image).filter_map(|(.., info)| image.leader_of(info)) {
        *leads.entry(leader).or_default() += 1;
    }
    let mut transfers = Vec::new();
    for (topic_id, partition, info) in partitions(image).filter(|(.., info)| info.leader == broker_id) {
        let able = info
            .replicas
            .iter()
            .filter(|replica| replica.broker_id != broker_id && can_lead(image, info, **replica, leaving));
        let fewest = able.min_by_key(|replica| leads.get(&replica.broker_id).copied().unwrap_or(0)).copied();
        if let Some(to) = fewest {
            *leads.entry(to.broker_id).or_default() += 1;
            transfers.push(Transfer { topic_id, partition, from: broker_id, to });
        }
    }
    transfers
}

/// Judges an election that a client asked for; the transfer that it takes.
pub(super) fn judge_election(
    image: &Image,
    leaving: &BTreeSet<i32>,
    kind: ElectionKind,
    (topic, partition): (&str, i32),
) -> Result<Transfer, ControllerError> {
    let known = image.topic(topic).ok_or_else(|| NoSuchPartition(format!("No such topic as {topic}")))?;
    let unknown = || NoSuchPartition(format!("No such partition as {topic}-{partition}"));
    let info = known.partition(partition).ok_or_else(unknown)?;
    let leader = image.leader_of(info);
    match (kind, leader) {
        (ElectionKind::Preferred, Some(leader)) if leader == info.preferred_leader() => Err(ElectionNotNeeded),
        (ElectionKind::Preferred, Some(from)) => {
            let to = preferred(image, info, leaving).ok_or(PreferredLeaderNotAvailable)?;
            Ok(Transfer { topic_id: known.id, partition, from, to })
        }
        (ElectionKind::Preferred, None) => Err(PreferredLeaderNotAvailable),
        (ElectionKind::Unclean, Some(_)) => Err(ElectionNotNeeded),
        // without a majority there is no way to know what was acknowledged: that is for `cluster recover`
        (ElectionKind::Unclean, None) => Err(EligibleLeadersNotAvailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{MetadataRecord, first_replicas};

    const TOPIC: Uuid = Uuid::from_u128(1);

    /// Partitions of topic `t`, each with its leader and brokers in sync, over brokers 1, 2 and 3.
    fn image(states: &[(i32, &[i32])]) -> Image {
        let mut image = Image::default();
        for broker_id in 1..=3 {
            image.apply(&MetadataRecord::registers(broker_id));
        }
        image.apply(&MetadataRecord::CreateTopic { topic_id: TOPIC, name: "t".into() });
        for (partition, (leader, isr)) in (0..).zip(states) {
            let (replicas, isr) = (first_replicas(&[1, 2, 3]), isr.to_vec());
            image.apply(&MetadataRecord::CreatePartition { topic_id: TOPIC, partition, replicas });
            let leader = *leader;
            image.apply(&MetadataRecord::PartitionState { topic_id: TOPIC, partition, leader, leader_epoch: 1, isr });
        }
        image
    }

    fn fence(image: &mut Image, broker_id: i32) {
        image.apply(&MetadataRecord::FenceBroker { broker_id, incarnation: Uuid::nil() });
    }

    fn moves(transfers: &[Transfer]) -> Vec<(i32, i32, i32)> {
        transfers.iter().map(|transfer| (transfer.partition, transfer.from, transfer.to.broker_id)).collect()
    }

    #[test]
    fn leaders_go_home_where_home_is_in_sync_and_stays() {
        let mut image = image(&[(1, &[1, 2]), (2, &[1, 2]), (3, &[2, 3]), (-1, &[1])]);
        let none = BTreeSet::new();
        assert_eq!(moves(&misplaced(&image, &none)), [(1, 2, 1)]);
        assert!(misplaced(&image, &BTreeSet::from([1])).is_empty(), "home is about to stop");
        fence(&mut image, 1);
        assert!(misplaced(&image, &none).is_empty());
    }

    #[test]
    fn a_broker_that_stops_gives_away_all_that_others_can_lead() {
        let image = image(&[(1, &[1, 2, 3]), (1, &[1, 2, 3]), (1, &[1]), (2, &[1, 2, 3])]);
        let leaving = BTreeSet::from([1]);
        assert_eq!(moves(&to_drain(&image, 1, &leaving)), [(0, 1, 3), (1, 1, 2)], "the idle one first");
        assert!(to_drain(&image, 3, &leaving).is_empty());
        assert_eq!(moves(&to_drain(&image, 1, &BTreeSet::from([1, 2]))), [(0, 1, 3), (1, 1, 3)]);
    }

    #[test]
    fn elections_are_judged_as_kafka_does() {
        let mut image = image(&[(1, &[1, 2]), (2, &[1, 2]), (3, &[2, 3]), (-1, &[1])]);
        let judge = |image: &Image, kind, partition| {
            judge_election(image, &BTreeSet::new(), kind, ("t", partition)).map(|transfer| moves(&[transfer]))
        };
        use ElectionKind::{Preferred, Unclean};
        assert_eq!(judge(&image, Preferred, 0), Err(ElectionNotNeeded));
        assert_eq!(judge(&image, Preferred, 1), Ok(vec![(1, 2, 1)]));
        assert_eq!(judge(&image, Preferred, 2), Err(PreferredLeaderNotAvailable), "not in sync");
        assert_eq!(judge(&image, Preferred, 3), Err(PreferredLeaderNotAvailable));
        assert_eq!(judge(&image, Preferred, 4), Err(NoSuchPartition("No such partition as t-4".into())));
        assert_eq!(judge(&image, Unclean, 1), Err(ElectionNotNeeded));
        assert_eq!(judge(&image, Unclean, 3), Err(EligibleLeadersNotAvailable));
        fence(&mut image, 2);
        assert_eq!(judge(&image, Unclean, 1), Err(EligibleLeadersNotAvailable), "its leader is silent");
    }
}
