//! Three members in one process: elections, commits, restarts, power cuts, leaders that come and go.

use std::time::Duration;

use futures_util::FutureExt;
use openraft::entry::RaftEntry;

use super::{
    super::{
        super::{Appending, Proposed, ReplicaError, Role, SpreadError},
        entry::{Entry, Payload},
        member::log_id,
        membership::of_voters,
    },
    cluster::*,
    *,
};
use crate::os::disk::sim::Fault;

/// Every broker has the same rounds below its high watermark, once that is at `end`.
pub async fn agree(cluster: &Cluster, end: i64) -> Vec<i64> {
    for broker in cluster.running.keys() {
        cluster.committed(*broker, end).await;
    }
    let mut all = cluster.running.values().map(|broker| rounds(&broker.replica));
    let first = all.next().unwrap();
    for other in all {
        assert_eq!(first, other);
    }
    first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_elect_a_leader_and_commit_what_it_is_given() {
    let cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    for round in 0..20 {
        let done = cluster.write(leader, round).await.unwrap();
        assert_eq!((done.base_offset, done.last_offset), (round * 3, round * 3 + 2));
    }
    assert_eq!(agree(&cluster, 60).await, (0..20).collect::<Vec<_>>());
    let follower = (1..=3).find(|broker| *broker != leader).unwrap();
    let refused = cluster.write(follower, 20).await;
    assert!(matches!(refused, Err(ReplicaError::NotLeader { leader: Some(known), .. }) if known == node(leader)));
    // one that starts again knows at once whom to name
    let mut cluster = cluster;
    cluster.kill(follower, SimDisk::process_killed).await;
    cluster.start(follower).await;
    let knows = |role| matches!(role, Role::Follower { leader: Some(known), .. } if known == node(leader));
    assert!(knows(cluster.replica(follower).role()));
    let roles = cluster.running[&leader].heard.roles.lock().unwrap().clone();
    assert!(matches!(roles.last(), Some(Role::Leader { .. })), "{roles:?}");
}

/// Election timeouts are off here: who is told that the leader's broker is gone does not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_broker_is_gone_is_succeeded_at_once() {
    let mut cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    let end = cluster.write(leader, 1).await.unwrap().last_offset + 1;
    for broker in cluster.running.values() {
        broker.replica.group.load_full().unwrap().raft.runtime_config().elect(false);
    }
    cluster.kill(leader, SimDisk::process_killed).await;
    let told = cluster.running.values().map(|broker| async {
        // a loaded machine may need more than one succession has in it
        while !cluster.running.values().any(|broker| broker.replica.role().leads()) {
            broker.groups.succeed(leader).await;
            tokio::task::yield_now().await;
        }
    });
    let elected = tokio::time::timeout(SOON, futures_util::future::join_all(told)).await;
    assert!(elected.is_ok(), "nobody leads");
    assert_eq!(cluster.write_somewhere(2).await.base_offset, end);
}

/// A start applies its log anew from an early frame on; a replica that was refilled finds members there that it was none of.
#[tokio::test]
async fn a_leader_that_applies_memberships_of_the_past_goes_on_leading() {
    let storage = open_storage(Arc::new(fresh()), 3);
    let replica = make(&storage, ReplicaKind::Learner { node: node(3) });
    let voters: [&[NodeId]; 3] = [&[node(1), node(2)], &[node(1), node(2), node(3)], &[node(1), node(2)]];
    let append = |index: u64| {
        let members = of_voters(voters[index as usize]);
        let entry = Entry::new(log_id(1, index), Payload::Membership(members));
        replica.append_entries([entry], Box::new(|_| {})).unwrap();
    };
    let apply = |index: u64| {
        let waiting = replica.read().member.as_ref().unwrap().unapplied(index, index + 1).unwrap();
        replica.apply_frames(&[(log_id(1, index), waiting[0].frame.clone())]).unwrap();
    };
    append(0);
    append(1);
    replica.set_role(Role::Leader { epoch: 1 });
    apply(0);
    assert!(replica.role().leads(), "it came later");
    apply(1);
    assert!(replica.role().leads());
    append(2);
    apply(2);
    assert!(!replica.role().leads(), "it was taken out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_may_be_killed_and_comes_back_with_what_was_committed() {
    let mut cluster = Cluster::of(3).await;
    let mut end = 0;
    for round in 0..9 {
        end = cluster.write_somewhere(round).await.last_offset + 1;
        let victim = if round % 3 == 0 { cluster.leader().await } else { (round % 3) as i32 + 1 };
        if round % 2 == 0 {
            cluster.running[&victim].storage.checkpoint().unwrap();
        }
        let seed = round as u64;
        let power = round % 3 != 1;
        cluster.kill(victim, |disk| if power { disk.power_cut(seed) } else { disk.process_killed() }).await;
        end = end.max(cluster.write_somewhere(100 + round).await.last_offset + 1);
        cluster.start(victim).await;
    }
    let found = agree(&cluster, end).await;
    for round in 0..9 {
        for sent in [round, 100 + round] {
            assert!(found.contains(&sent), "round {sent} is lost: {found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_may_lose_power_at_once() {
    let mut cluster = Cluster::of(3).await;
    let mut end = 0;
    for life in 0..4 {
        for round in 0..5 {
            end = cluster.write_somewhere(life * 10 + round).await.last_offset + 1;
        }
        for broker in 1..=3 {
            cluster.kill(broker, |disk| disk.power_cut(life as u64 * 3 + broker as u64)).await;
        }
        for broker in 1..=3 {
            cluster.start(broker).await;
        }
    }
    cluster.write_somewhere(99).await;
    let found = agree(&cluster, end + 3).await;
    let sent: Vec<i64> = (0..4).flat_map(|life| (0..5).map(move |round| life * 10 + round)).chain([99]).collect();
    let mut seen = found.clone();
    seen.dedup();
    assert_eq!(seen, sent, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_loses_what_no_majority_has_and_says_so() {
    let cluster = Cluster::of(3).await;
    let old = cluster.leader().await;
    cluster.write(old, 1).await.unwrap();
    cluster.net.isolate(old, &[1, 2, 3], true);
    let (lost, kept) = tokio::join!(cluster.write(old, 2), async {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let other = (1..=3).find(|broker| *broker != old && cluster.replica(*broker).role().leads());
            if let Some(other) = other {
                let done = cluster.write(other, 3).await.unwrap();
                cluster.net.isolate(old, &[1, 2, 3], false);
                return done;
            }
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(matches!(lost, Err(ReplicaError::NotLeader { .. })), "{lost:?}");
    assert_eq!(agree(&cluster, kept.last_offset + 1).await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leadership_is_handed_over() {
    let cluster = Cluster::of(3).await;
    let mut end = 0;
    for round in 0..4 {
        let leader = cluster.leader().await;
        end = cluster.write(leader, round).await.unwrap().last_offset + 1;
        let next = leader % 3 + 1;
        let broker = &cluster.running[&leader];
        broker.groups.transfer(&broker.replica, node(next)).await.unwrap();
        assert_eq!(cluster.leader().await, next);
        let done: Appending = cluster.write(next, 10 + round).await.unwrap();
        end = end.max(done.last_offset + 1);
    }
    assert_eq!(agree(&cluster, end).await, [0, 10, 1, 11, 2, 12, 3, 13]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_has_the_same_segments_after_a_crash() {
    let cluster = Cluster::of(1).await;
    for round in 0..60 {
        cluster.write(1, round).await.unwrap();
    }
    let broker = &cluster.running[&1];
    broker.groups.stop(&broker.replica).await.unwrap();
    broker.storage.sync().unwrap();
    let segments = |replica: &Replica| replica.look(|log| log.sealed_segments().collect::<Vec<_>>()).unwrap();
    let before = segments(&broker.replica);
    assert!(before.len() > 2, "{before:?}");
    for after in [cluster.disks[&1].process_killed(), cluster.disks[&1].power_cut(3)] {
        let storage = open_storage(Arc::new(after), 1);
        assert_eq!(segments(&storage.replicas()[0].1), before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_lacks_descriptors_leaves_it_to_the_others_and_its_broker_goes_on() {
    let mut cluster = Cluster::of(3).await;
    let old = cluster.leader().await;
    cluster.disks[&old].fail(Fault::Open(".log", 24));
    let mut end = 0;
    for round in 0..40 {
        end = cluster.write_somewhere(round).await.last_offset + 1;
    }
    assert!(!cluster.replica(old).role().leads(), "it cannot have begun a second segment");
    assert!(cluster.running[&old].storage.failed().now_or_never().is_none());
    cluster.disks[&old].mend();
    cluster.kill(old, SimDisk::process_killed).await;
    cluster.start(old).await;
    let mut found = agree(&cluster, end).await;
    found.dedup();
    assert_eq!(found, (0..40).collect::<Vec<_>>());
}

/// Moves the log start at the leader, and waits until every broker's log starts there and has as many segments as is said.
pub async fn move_start(cluster: &Cluster, to: i64) {
    let leader = cluster.leader().await;
    let (start, durable) = cluster.replica(leader).move_log_start(to).unwrap();
    assert_eq!(start, to);
    tokio::time::timeout(SOON, durable).await.unwrap().unwrap();
    for broker in cluster.running.values() {
        until("log start", || broker.replica.look(|log| log.log_start_offset()).unwrap() == to).await;
        // a segment holds about twenty batches
        until("old segments", || broker.replica.look(|log| log.first_offset()).unwrap() > to - 100).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_moves_its_log_start_and_gives_up_what_lies_below() {
    let mut cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    for round in 0..100 {
        cluster.write(leader, round).await.unwrap();
    }
    agree(&cluster, 300).await;
    move_start(&cluster, 150).await;
    for broker in 1..=3 {
        cluster.kill(broker, |disk| disk.power_cut(broker as u64)).await;
    }
    for broker in 1..=3 {
        cluster.start(broker).await;
        assert_eq!(cluster.replica(broker).look(|log| log.log_start_offset()).unwrap(), 150);
    }
    let end = cluster.write_somewhere(100).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (50..=100).collect::<Vec<_>>());
    move_start(&cluster, end).await;
    let end = cluster.write_somewhere(101).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, [101]);
}

/// A cluster with a member that comes back when the others have 100 rounds, and have given up the first 50.
async fn one_too_far_behind() -> (Cluster, i32) {
    let mut cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    let late = leader % 3 + 1;
    cluster.write(leader, 0).await.unwrap();
    agree(&cluster, 3).await;
    cluster.kill(late, SimDisk::process_killed).await;
    for round in 1..100 {
        cluster.write_somewhere(round).await;
    }
    move_start(&cluster, 150).await;
    cluster.start(late).await;
    (cluster, late)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_too_far_behind_gets_the_log_itself() {
    let (mut cluster, late) = one_too_far_behind().await;
    let end = cluster.write_somewhere(100).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (50..=100).collect::<Vec<_>>());
    // what it installed, and what followed, is there after a power cut
    for (seed, checkpoint) in [(1, false), (2, true)] {
        if checkpoint {
            cluster.running[&late].storage.checkpoint().unwrap();
        }
        cluster.kill(late, |disk| disk.power_cut(seed)).await;
        cluster.start(late).await;
        assert_eq!(cluster.replica(late).look(|log| log.log_start_offset()).unwrap(), 150);
    }
    let end = cluster.write_somewhere(101).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (50..=101).collect::<Vec<_>>());
    // and it can lead
    let broker = &cluster.running[&cluster.leader().await];
    if broker.replica.role() != cluster.replica(late).role() {
        broker.groups.transfer(&broker.replica, node(late)).await.unwrap();
    }
    let end = cluster.write(late, 102).await.unwrap().last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (50..=102).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_more_than_a_majority_shall_have_is_waited_for() {
    let cluster = Cluster::of(3).await;
    let at = cluster.leader().await;
    let (leader, other) = (&cluster.running[&at], at % 3 + 1);
    let in_sync = |within_ms| leader.groups.in_sync_count(&leader.replica, within_ms, 3);
    let commit = async |round| {
        let bytes = bytes_of(round);
        let header = tidemark_record::batch::verify(&bytes).unwrap();
        match leader.replica.propose(bytes, &header, None, 0).unwrap() {
            Proposed::Pending(proposal) => proposal.committed_at().await.unwrap().1,
            Proposed::Appended(_) => panic!("a group has others to ask"),
        }
    };
    until("all are in sync", || in_sync(60_000) == 3).await;
    let index = commit(0).await;
    leader.groups.spread(&leader.replica, index, (60_000, 3)).await.unwrap();
    cluster.net.isolate(other, &[1, 2, 3], true);
    let index = commit(1).await;
    let spread = leader.groups.spread(&leader.replica, index, (60_000, 3));
    assert!(tokio::time::timeout(Duration::from_millis(300), spread).await.is_err(), "one of three cannot have it");
    leader.groups.spread(&leader.replica, index, (60_000, 2)).await.unwrap();
    let too_few = leader.groups.spread(&leader.replica, index, (100, 3)).await;
    assert!(matches!(too_few, Err(SpreadError::TooFew { needed: 3, .. })), "{too_few:?}");
    cluster.net.isolate(other, &[1, 2, 3], false);
    until("all are in sync again", || in_sync(60_000) == 3).await;
    let healed = tokio::time::timeout(SOON, leader.groups.spread(&leader.replica, index, (60_000, 3))).await;
    assert!(matches!(healed, Ok(Ok(()))), "{healed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_from_the_leader_may_be_given_up_before_a_checkpoint_knows_it() {
    let (mut cluster, late) = one_too_far_behind().await;
    agree(&cluster, 300).await;
    for round in 100..200 {
        cluster.write_somewhere(round).await;
    }
    agree(&cluster, 600).await;
    move_start(&cluster, 450).await;
    for seed in [0, 1, 2] {
        match seed {
            0 => cluster.kill(late, SimDisk::process_killed).await,
            seed => cluster.kill(late, |disk| disk.power_cut(seed)).await,
        }
        cluster.start(late).await;
        assert_eq!(cluster.replica(late).look(|log| log.log_start_offset()).unwrap(), 450);
        assert_eq!(agree(&cluster, 600).await, (150..200).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go() {
    let mut cluster = Cluster::of(3).await;
    for round in 0..60 {
        cluster.write_somewhere(round).await;
    }
    for broker in 4..=6 {
        cluster.add(broker, ReplicaKind::Learner { node: node(broker) }).await;
    }
    let leader = cluster.leader().await;
    let broker = &cluster.running[&leader];
    broker.groups.change(&broker.replica, &[node(4), node(5), node(leader)]).await.unwrap();
    let status = broker.groups.status(&broker.replica).unwrap();
    let mut expected = vec![node(leader), node(4), node(5)];
    expected.sort();
    assert_eq!((status.voters, status.learners), (expected, vec![]));
    for gone in (1..=3).filter(|broker| *broker != leader) {
        cluster.kill(gone, SimDisk::process_killed).await;
    }
    // the leader itself leaves
    let broker = &cluster.running[&leader];
    broker.groups.change(&broker.replica, &[node(4), node(5), node(6)]).await.unwrap();
    until("the leader that left follows", || !broker.replica.role().leads()).await;
    cluster.kill(leader, SimDisk::process_killed).await;
    let end = cluster.write_somewhere(60).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (0..=60).collect::<Vec<_>>());
    let leader = cluster.leader().await;
    let broker = &cluster.running[&leader];
    until("all in sync", || broker.groups.in_sync(&broker.replica, 10_000).unwrap().len() == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_alone_becomes_a_group_and_is_alone_again() {
    let mut cluster = Cluster::empty();
    cluster.add(1, ReplicaKind::Solo).await;
    for round in 0..30 {
        cluster.write(1, round).await.unwrap();
    }
    cluster.kill(1, SimDisk::process_killed).await;
    cluster.start(1).await;
    cluster.write(1, 30).await.unwrap();
    let solo_epoch = cluster.replica(1).role().epoch();
    let broker = &cluster.running[&1];
    broker.groups.into_group(&broker.replica, node(1)).await.unwrap();
    assert_eq!(cluster.leader().await, 1);
    assert!(broker.replica.role().epoch() > solo_epoch);
    assert_eq!(cluster.write(1, 31).await.unwrap().base_offset, 93);
    // it starts as what it became
    cluster.kill(1, |disk| disk.power_cut(1)).await;
    cluster.start(1).await;
    assert_eq!(cluster.leader().await, 1);
    for broker in [2, 3] {
        cluster.add(broker, ReplicaKind::Learner { node: node(broker) }).await;
    }
    let broker = &cluster.running[&1];
    broker.groups.change(&broker.replica, &[node(1), node(2), node(3)]).await.unwrap();
    let end = cluster.write_somewhere(32).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (0..=32).collect::<Vec<_>>());
    let refused = broker.groups.into_solo(&broker.replica).await;
    assert!(refused.is_err(), "it has other members");
    broker.groups.change(&broker.replica, &[node(1)]).await.unwrap();
    let group_epoch = broker.replica.role().epoch();
    broker.groups.into_solo(&broker.replica).await.unwrap();
    for gone in [2, 3] {
        cluster.kill(gone, SimDisk::process_killed).await;
    }
    assert!(matches!(cluster.replica(1).role(), Role::Solo { epoch } if epoch > group_epoch));
    assert_eq!(cluster.write(1, 33).await.unwrap().base_offset, 99);
    cluster.running[&1].storage.sync().unwrap();
    cluster.kill(1, |disk| disk.power_cut(2)).await;
    cluster.start(1).await;
    assert!(matches!(cluster.replica(1).role(), Role::Solo { .. }));
    assert_eq!(rounds(cluster.replica(1)), (0..=33).collect::<Vec<_>>());
}
