//! Three members in one process: elections, commits, restarts.

use super::{cluster::*, *};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_elect_a_leader_and_commit_what_it_is_given() {
    let cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    for round in 0..20 {
        let done = cluster.write(leader, round).await.unwrap();
        assert_eq!((done.base_offset, done.last_offset), (round * 3, round * 3 + 2));
    }
    for broker in 1..=3 {
        cluster.committed(broker, 60).await;
        assert_eq!(rounds(cluster.replica(broker)), (0..20).collect::<Vec<_>>());
    }
}
