//! Three members in one process: elections, commits, restarts, power cuts, leaders that come and go.

use std::time::Duration;

use futures_util::FutureExt;

use super::{
    super::super::{Appending, ReplicaError, Role},
    cluster::*,
    *,
};
use crate::os::disk::sim::Fault;

/// Every broker has the same rounds below its high watermark, once that is at `end`.
async fn agree(cluster: &Cluster, end: i64) -> Vec<i64> {
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
    let roles = cluster.running[&leader].heard.roles.lock().unwrap().clone();
    assert!(matches!(roles.last(), Some(Role::Leader { .. })), "{roles:?}");
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
