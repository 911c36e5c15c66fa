//! A member whose group ends while its broker goes on: it comes back by itself where that helps, and is given up where not.

use std::time::Duration;

use openraft::{
    entry::RaftEntry,
    storage::{IOFlushed, RaftLogStorage},
};

use super::{
    super::{config::LogId, entry::Entry, store::LogStore},
    cluster::*,
    members::agree,
    *,
};
use crate::os::disk::sim::Fault;

const EMFILE: i32 = 24;

fn still_runs(storage: &Storage) {
    assert!(futures_util::FutureExt::now_or_never(storage.failed()).is_none(), "the broker ends");
}

/// That every member has the first so many rounds, perhaps one twice whose answer was lost.
async fn all_have(cluster: &Cluster, rounds: i64, end: i64) {
    let mut found = agree(cluster, end).await;
    found.dedup();
    assert_eq!(found, (0..rounds).collect::<Vec<_>>());
}

/// Writes until the member on that broker has ended; how many rounds are committed then.
async fn write_until_down(cluster: &Cluster, broker: i32, mut rounds: i64) -> i64 {
    // a member whose syncs wait takes little at a time
    let deadline = tokio::time::Instant::now() + SOON;
    while !cluster.replica(broker).is_down() {
        cluster.write_somewhere(rounds).await;
        rounds += 1;
        assert!(tokio::time::Instant::now() < deadline, "the disk takes everything");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    rounds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_disk_was_full_goes_on_once_there_is_room() {
    let cluster = Cluster::of(3).await;
    let mut rounds = 0;
    // a follower, and then whoever leads
    for of_leader in [false, true] {
        let leader = cluster.leader().await;
        let full = if of_leader { leader } else { leader % 3 + 1 };
        cluster.disks[&full].limit_free_space(Some(1000));
        rounds = write_until_down(&cluster, full, rounds).await;
        still_runs(&cluster.running[&full].storage);
        for _ in 0..5 {
            cluster.write_somewhere(rounds).await;
            rounds += 1;
        }
        assert!(cluster.replica(full).is_down() && !cluster.replica(full).has_failed());
        cluster.disks[&full].limit_free_space(None);
        until("the member goes on", || !cluster.replica(full).is_down()).await;
        let end = cluster.write_somewhere(rounds).await.last_offset + 1;
        rounds += 1;
        all_have(&cluster, rounds, end).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_member_took_before_it_ended_is_durable_when_it_is_counted() {
    let cluster = Cluster::of(3).await;
    let follower = cluster.leader().await % 3 + 1;
    // its vote must not be what waits
    let end = cluster.write_somewhere(0).await.last_offset + 1;
    cluster.committed(follower, end).await;
    // room for one frame or two
    cluster.disks[&follower].limit_free_space(Some(600));
    // what it takes from here on is in the page cache only
    cluster.gates[&follower].close();
    let rounds = write_until_down(&cluster, follower, 1).await;
    cluster.disks[&follower].limit_free_space(None);
    // longer than it waits before it tries
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(cluster.replica(follower).is_down(), "openraft would count its end as durable");
    cluster.gates[&follower].open();
    until("the member goes on", || !cluster.replica(follower).is_down()).await;
    let end = cluster.write_somewhere(rounds).await.last_offset + 1;
    all_have(&cluster, rounds + 1, end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_descriptors_goes_on_once_there_are_some() {
    let cluster = Cluster::of(3).await;
    let follower = cluster.leader().await % 3 + 1;
    cluster.disks[&follower].fail(Fault::Open(".log", EMFILE));
    let rounds = write_until_down(&cluster, follower, 0).await;
    still_runs(&cluster.running[&follower].storage);
    cluster.disks[&follower].mend();
    until("the member goes on", || !cluster.replica(follower).is_down()).await;
    let end = cluster.write_somewhere(rounds).await.last_offset + 1;
    all_have(&cluster, rounds + 1, end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_log_is_another_one_is_given_up_for_good() {
    let mut cluster = Cluster::of(3).await;
    let end = cluster.write_somewhere(1).await.last_offset + 1;
    let follower = cluster.leader().await % 3 + 1;
    cluster.committed(follower, end).await;
    let replica = cluster.replica(follower).clone();
    let stray = Entry::new(LogId::new_term_index(1, 1), openraft::entry::RaftPayload::blank());
    LogStore(replica.clone()).append([stray], IOFlushed::noop()).await.unwrap_err();
    assert!(replica.is_down() && replica.has_failed());
    assert_eq!(replica.node(), Some(node(follower)), "so that another can be asked for in its place");
    still_runs(&cluster.running[&follower].storage);
    cluster.write_somewhere(2).await;
    // a start does not bring it back, once a checkpoint has freed what the journal had of it
    cluster.running[&follower].storage.checkpoint().unwrap();
    cluster.kill(follower, SimDisk::process_killed).await;
    let storage = open_storage(Arc::new(cluster.disks[&follower].clone()), follower);
    let (_, replica) = storage.replicas().pop().unwrap();
    assert!(replica.has_failed() && replica.node() == Some(node(follower)));
    storage.close().unwrap();
}
