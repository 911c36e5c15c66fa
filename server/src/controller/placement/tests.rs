//! Placement over brokers and racks.

use std::collections::HashMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::metadata::MetadataRecord;

fn image(brokers: &[(i32, Option<&str>, bool)]) -> Image {
    let mut image = Image::default();
    for (broker_id, rack, fenced) in brokers {
        image.apply(&MetadataRecord::RegisterBroker {
            broker_id: *broker_id,
            incarnation: Uuid::nil(),
            host: "h".into(),
            port: 1,
            rack: rack.map(str::to_owned),
            raft: None,
            directory_id: Uuid::nil(),
            fenced: *fenced,
        });
    }
    image
}

fn placer(brokers: &[(i32, Option<&str>, bool)]) -> Placer {
    Placer::new(&image(brokers), &BTreeSet::new())
}

#[test]
fn leaders_rotate_and_followers_are_mixed() {
    let placed = placer(&[(1, None, false), (2, None, false), (3, None, false)]).place(6, 3, 0).unwrap();
    assert_eq!(
        placed,
        [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 3, 2], [2, 1, 3], [3, 2, 1]],
        "a broker's end spreads its leaderships over all others"
    );
    let later = placer(&[(1, None, false), (2, None, false), (3, None, false)]).place(1, 1, 4).unwrap();
    assert_eq!(later, [[2]], "the dealing goes on where a growing topic ended");
}

#[test]
fn replicas_lie_on_as_many_racks_as_there_are() {
    let brokers = [(1, Some("a"), false), (2, Some("a"), false), (3, Some("b"), false), (4, Some("c"), false)];
    let racks: HashMap<i32, &str> = brokers.iter().map(|(id, rack, _)| (*id, rack.unwrap())).collect();
    let placed = placer(&brokers).place(12, 3, 5).unwrap();
    let mut leaders: HashMap<&str, usize> = HashMap::new();
    for replicas in &placed {
        let on: HashSet<&str> = replicas.iter().map(|id| racks[id]).collect();
        assert_eq!(on.len(), 3, "{replicas:?}");
        *leaders.entry(racks[&replicas[0]]).or_default() += 1;
    }
    assert_eq!(leaders, HashMap::from([("a", 4), ("b", 4), ("c", 4)]));
}

#[test]
fn fenced_brokers_come_last_and_are_never_the_majority() {
    let one_fenced = [(1, None, true), (2, None, false), (3, None, false)];
    for replicas in placer(&one_fenced).place(8, 3, 0).unwrap() {
        assert_eq!(replicas[2], 1, "{replicas:?}");
    }
    assert!(placer(&one_fenced).place(8, 2, 0).unwrap().iter().all(|replicas| !replicas.contains(&1)));
    let leaving = Placer::new(&image(&[(1, None, false), (2, None, false)]), &BTreeSet::from([2]));
    assert!(leaving.place(4, 1, 0).unwrap().iter().all(|replicas| replicas == &[1]));
    let refused =
        |brokers: &[(i32, Option<&str>, bool)], factor| placer(brokers).place(1, factor, 0).unwrap_err().to_string();
    assert!(refused(&one_fenced, 4).contains("factor of 4 cannot be reached because only 3 broker(s)"));
    assert!(refused(&[(1, None, true)], 1).contains("All brokers are currently fenced."));
    assert!(refused(&[(1, None, true), (2, None, true), (3, None, false)], 3).contains("only 1 broker(s)"));
}

#[test]
fn what_a_client_chose_is_judged_in_kafka_s_order() {
    let image = image(&[(1, None, false), (2, None, false), (3, None, true)]);
    let none = BTreeSet::new();
    let judged =
        |assignments: &[(i32, Vec<i32>)]| manual(&image, &none, assignments).map_err(|error| error.to_string());
    assert_eq!(judged(&[(1, vec![2, 1]), (0, vec![1, 3])]), Ok(vec![vec![1, 3], vec![2, 1]]));
    type Assignments<'a> = &'a [(i32, Vec<i32>)];
    let cases: [(Assignments, &str); 8] = [
        (&[(0, vec![])], "empty replica list"),
        (&[(0, vec![1, 9])], "includes broker 9, but no such broker is registered"),
        (&[(0, vec![2, 2])], "includes the broker 2 more than once"),
        (&[(0, vec![1]), (1, vec![1, 2])], "a partition with 2 replica(s), but this is not consistent"),
        (&[(0, vec![1]), (0, vec![2])], "multiple manual partition assignments for partition 0"),
        (&[(0, vec![1]), (2, vec![2])], "consecutive 0-based"),
        (&[(-1, vec![1])], "consecutive 0-based"),
        (&[(0, vec![3])], "for partition 0 are fenced or in controlled shutdown"),
    ];
    for (assignments, what) in cases {
        assert!(judged(assignments).unwrap_err().contains(what), "{assignments:?}: {:?}", judged(assignments));
    }
}

proptest! {
    #[test]
    fn every_broker_gets_its_share(count in 1..9_i32, factor in 1..4_i16, start in 0..50_usize) {
        prop_assume!(i32::from(factor) <= count);
        let brokers: Vec<_> = (0..count).map(|id| (id, None, false)).collect();
        let partitions = 4 * count as usize;
        let placed = placer(&brokers).place(partitions, factor, start * count as usize).unwrap();
        let (mut leaders, mut replicas) = (HashMap::new(), HashMap::new());
        for brokers in &placed {
            prop_assert_eq!(brokers.iter().collect::<HashSet<_>>().len(), factor as usize);
            *leaders.entry(brokers[0]).or_insert(0) += 1;
            brokers.iter().for_each(|id| *replicas.entry(*id).or_insert(0) += 1);
        }
        prop_assert!((0..count).all(|id| leaders[&id] == 4), "{:?}", leaders);
        prop_assert!((0..count).all(|id| replicas[&id] == 4 * factor as usize), "{:?}", replicas);
    }

    #[test]
    fn racks_of_any_size_keep_replicas_apart(racks in proptest::collection::vec(0..4_usize, 1..9), factor in 1..5_i16) {
        let names = ["a", "b", "c", "d"];
        let brokers: Vec<_> = (0..).zip(&racks).map(|(id, rack)| (id, Some(names[*rack]), false)).collect();
        prop_assume!(factor as usize <= brokers.len());
        let distinct = racks.iter().collect::<HashSet<_>>().len();
        for replicas in placer(&brokers).place(20, factor, 3).unwrap() {
            prop_assert_eq!(replicas.iter().collect::<HashSet<_>>().len(), factor as usize);
            let on = replicas.iter().map(|id| racks[*id as usize]).collect::<HashSet<_>>().len();
            prop_assert_eq!(on, distinct.min(factor as usize), "{:?}", replicas);
        }
    }
}
