//! How fast three members in one process are over real files: not a test of anything, run by hand with `--ignored`.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tidemark_record::{BatchBuilder, batch};
use tokio::time::Instant;

use super::{super::super::Proposed, cluster::*};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn proposals_a_second() {
    for (bytes, at_once) in [(100, 1), (100, 64), (100, 512), (16_000, 64), (1_000_000, 8)] {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::on_real_disks(dir.path(), 3).await;
        let leader = cluster.leader().await;
        let replica = cluster.replica(leader);
        let mut builder = BatchBuilder::new();
        builder.append_plain(0, None, Some(&vec![7; bytes]));
        let one = builder.build().unwrap();
        let header = batch::verify(&one).unwrap();
        let (start, within) = (Instant::now(), Duration::from_secs(4));
        let mut waits: Vec<Duration> = Vec::new();
        let mut done = stream::iter(0..)
            .take_while(|_| std::future::ready(start.elapsed() < within))
            .map(|_: u64| {
                let (one, began) = (one.clone(), Instant::now());
                async move {
                    match replica.propose(one, &header, None, 0).unwrap() {
                        Proposed::Pending(proposal) => drop(proposal.committed().await.unwrap()),
                        Proposed::Appended(_) => {}
                    }
                    began.elapsed()
                }
            })
            .buffer_unordered(at_once);
        while let Some(wait) = done.next().await {
            waits.push(wait);
        }
        let took = start.elapsed().as_secs_f64();
        waits.sort();
        println!(
            "{bytes} bytes, {at_once} at once: {:.0}/s, {:.1} MB/s, p50 {:?}, p99 {:?}, {} syncs at the leader",
            waits.len() as f64 / took,
            waits.len() as f64 * bytes as f64 / took / 1e6,
            waits[waits.len() / 2],
            waits[waits.len() * 99 / 100],
            cluster.running[&leader].storage.journal_syncs()
        );
    }
}
