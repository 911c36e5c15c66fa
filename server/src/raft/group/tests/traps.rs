//! The five traps of openraft under a store like ours, to be run on every new version of it; and what the store must keep for
//! them: votes behind entries, completions in order.

use std::{sync::Mutex, time::Duration};

use openraft::{
    entry::{RaftEntry, RaftPayload},
    storage::RaftLogStorage,
};

use super::{
    super::{
        config::{LogId, Vote},
        entry::{Entry, Payload},
        store::LogStore,
    },
    cluster::*,
    gated_disk::{Gate, GatedDisk},
    members::{agree, move_start},
    *,
};
use crate::log::Log;

fn blank(term: u64, index: u64) -> Entry {
    Entry::new(LogId::new_term_index(term, index), Payload::blank())
}

fn first_offset(cluster: &Cluster, broker: i32) -> i64 {
    cluster.replica(broker).look(Log::first_offset).unwrap()
}

/// 1: a leader whose followers committed an entry that its own disk lost must not give that entry's index to another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_restarts_does_not_go_on_in_its_term() {
    for seed in 0..3 {
        let mut cluster = Cluster::of(3).await;
        let leader = cluster.leader().await;
        cluster.write(leader, 1).await.unwrap();
        cluster.gates[&leader].close();
        // committed by the two others
        let acked = cluster.write(leader, 2).await.unwrap();
        cluster.kill(leader, |disk| disk.power_cut(seed)).await;
        cluster.start(leader).await;
        let end = cluster.write_somewhere(3).await.last_offset + 1;
        assert!(end > acked.last_offset + 1);
        assert_eq!(agree(&cluster, end).await, [1, 2, 3], "seed {seed}");
    }
}

/// 2: a vote is durable only behind all that was appended before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_does_not_overtake_an_entry() {
    for seed in 0..8 {
        let (disk, gate) = (fresh(), Gate::new(Duration::ZERO));
        let storage = open_storage(Arc::new(GatedDisk { disk: disk.clone(), gate: gate.clone() }), 1);
        let replica = make(&storage, ReplicaKind::Learner { node: node(1) });
        storage.sync().unwrap();
        gate.close();
        let order = Arc::new(Mutex::new(Vec::new()));
        for index in 0..20 {
            let order = order.clone();
            let told = Box::new(move |result: std::io::Result<()>| {
                result.unwrap();
                order.lock().unwrap().push(index);
            });
            replica.append_entries([blank(1, index)], told).unwrap();
        }
        let mut store = LogStore(replica.clone());
        let vote = Vote::new(2, node(2));
        let mut saving = Box::pin(async move { store.save_vote(&vote).await });
        let early = tokio::time::timeout(Duration::from_millis(20), &mut saving).await;
        assert!(early.is_err(), "the vote is durable before the entries are");
        assert!(order.lock().unwrap().is_empty());
        // what a power cut leaves: never the vote without the entries before it
        let left = open_storage(Arc::new(disk.power_cut(seed)), 1);
        if let Some((_, replica)) = left.replicas().pop() {
            let voted = replica.read().member.as_ref().and_then(|member| member.vote);
            let entries = replica.look(Log::next_index).unwrap();
            assert!(voted.is_none() || entries == 20, "seed {seed}: {voted:?}, {entries} entries");
        }
        gate.open();
        saving.await.unwrap();
        // completions came in order, and all of them before the vote's
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
        storage.close().unwrap();
    }
}

/// 3: a follower that lost what it had acknowledged is sent it again; and it may come back as another member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_lost_what_it_acknowledged_is_mended() {
    let mut cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    let follower = leader % 3 + 1;
    cluster.write(leader, 0).await.unwrap();
    agree(&cluster, 3).await;
    let older = cluster.disks[&follower].process_killed();
    let mut end = 0;
    for round in 1..30 {
        end = cluster.write(leader, round).await.unwrap().last_offset + 1;
    }
    cluster.committed(follower, end).await;
    cluster.kill(follower, |_| older).await;
    cluster.start(follower).await;
    let end = cluster.write_somewhere(30).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (0..=30).collect::<Vec<_>>());

    // under a new incarnation: a learner first, then a voter in the place of the old one
    cluster.kill(follower, |_| fresh()).await;
    let again = NodeId::new(follower, 2);
    cluster.add(follower, ReplicaKind::Learner { node: again }).await;
    let leader = cluster.leader().await;
    let broker = &cluster.running[&leader];
    let voters: Vec<NodeId> = (1..=3).map(|broker| if broker == follower { again } else { node(broker) }).collect();
    broker.groups.change(&broker.replica, &voters).await.unwrap();
    let end = cluster.write_somewhere(31).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (0..=31).collect::<Vec<_>>());
}

/// 4: a member that hangs without an error does not keep the others from giving up what is old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_hangs_does_not_stop_the_purge() {
    let cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    let hung = leader % 3 + 1;
    cluster.net.hang(hung, leader, true);
    for round in 0..100 {
        cluster.write(leader, round).await.unwrap();
    }
    let (_, durable) = cluster.replica(leader).move_log_start(150).unwrap();
    durable.await.unwrap();
    until("purge while a member hangs", || first_offset(&cluster, leader) > 50).await;
    cluster.net.hang(hung, leader, false);
    let end = cluster.write_somewhere(100).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (50..=100).collect::<Vec<_>>());
    move_start(&cluster, 210).await;
}

/// 5: a leader that may not write yet is asked again inside; its client hears of nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_takes_writes_at_once() {
    let mut cluster = Cluster::of(3).await;
    for round in 0..3 {
        let old = cluster.leader().await;
        cluster.kill(old, SimDisk::process_killed).await;
        let leads = || cluster.running.iter().find(|(_, broker)| broker.replica.role().leads()).map(|(at, _)| *at);
        until("a leader", || leads().is_some()).await;
        let leader = leads().unwrap();
        let written = cluster.write(leader, round).await;
        assert!(written.is_ok(), "round {round}: {written:?}");
        cluster.start(old).await;
    }
    assert_eq!(agree(&cluster, 9).await, [0, 1, 2]);
}
