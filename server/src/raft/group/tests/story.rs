//! Random stories: writers that never stop while brokers are killed, lose power alone or all at once, are cut off, hang, hand over
//! the leadership, write checkpoints and give up old records. In the end every member has the same, each acknowledged batch where
//! it was said to be, and those of idempotent producers once and in order.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use tidemark_record::BatchBuilder;
use tokio::time::{Instant, sleep};

use super::{super::super::ReplicaError, cluster::*, *};
use crate::os::random::Random;

const WRITERS: i64 = 4;
const STEPS: u64 = 12;

/// What a writer was told: base offset of each of its batches, by number.
type Acked = BTreeMap<i64, i64>;

fn batch_of(writer: i64, number: i64) -> Bytes {
    let mut builder = BatchBuilder::new();
    // every other writer is idempotent
    if writer % 2 == 0 {
        builder = builder.producer(100 + writer, 0, i32::try_from(number).unwrap());
    }
    builder.append_plain(writer * 1_000_000 + number, None, Some(&[number as u8; 60]));
    builder.build().unwrap()
}

/// Writes one batch after the other. An idempotent writer sends each until it is acknowledged; the other sends each once.
async fn write(net: Arc<Net>, writer: i64, over: Arc<AtomicBool>) -> (Acked, i64) {
    let (mut acked, mut number) = (Acked::new(), 0);
    while !over.load(Ordering::SeqCst) {
        let bytes = batch_of(writer, number);
        loop {
            let answer = net.propose(&bytes).await;
            match &answer {
                Some(Ok(done)) => {
                    acked.insert(number, done.base_offset);
                }
                Some(Err(ReplicaError::Sequence(error))) => panic!("writer {writer} batch {number}: {error}"),
                _ => sleep(Duration::from_millis(3)).await,
            }
            if writer % 2 == 1 || acked.contains_key(&number) {
                break;
            }
        }
        number += 1;
    }
    (acked, number)
}

/// Everything below the high watermark, as (base offset, writer, number).
fn contents(replica: &Replica) -> Vec<(i64, i64, i64)> {
    let headers = headers(replica);
    headers
        .iter()
        .map(|header| (header.base_offset, header.base_timestamp / 1_000_000, header.base_timestamp % 1_000_000))
        .collect()
}

async fn disturb(cluster: &mut Cluster, random: &Random) {
    let one = random.below(3) as i32 + 1;
    let pause = Duration::from_millis(random.below(400));
    match random.below(10) {
        0 | 1 => {
            let seed = random.u64();
            let killed = random.below(2) == 0;
            cluster.kill(one, |disk| if killed { disk.process_killed() } else { disk.power_cut(seed) }).await;
            sleep(pause).await;
            cluster.start(one).await;
        }
        2 => {
            // one after the other, so that the last ones to go may still have acknowledged something
            for broker in 1..=3 {
                let seed = random.u64();
                cluster.kill(broker, |disk| disk.power_cut(seed)).await;
            }
            for broker in 1..=3 {
                cluster.start(broker).await;
            }
        }
        3 => {
            cluster.net.isolate(one, &[1, 2, 3], true);
            sleep(pause * 2).await;
            cluster.net.isolate(one, &[1, 2, 3], false);
        }
        4 => {
            let other = one % 3 + 1;
            cluster.net.cut(one, other, true);
            sleep(pause * 2).await;
            cluster.net.cut(one, other, false);
        }
        5 => {
            let other = one % 3 + 1;
            cluster.net.hang(one, other, true);
            sleep(pause * 2).await;
            cluster.net.hang(one, other, false);
        }
        6 => {
            let broker = &cluster.running[&one];
            if broker.replica.role().leads() {
                let to = node(one % 3 + 1);
                let _ = tokio::time::timeout(Duration::from_secs(2), broker.groups.transfer(&broker.replica, to)).await;
            }
        }
        7 => cluster.running[&one].storage.checkpoint().unwrap(),
        _ => {
            let replica = cluster.replica(one);
            if let Ok((_, durable)) = replica.move_log_start(replica.high_watermark() * 2 / 3) {
                // it may lose the leadership meanwhile
                let _ = tokio::time::timeout(Duration::from_secs(2), durable).await;
            }
        }
    }
    sleep(pause).await;
}

async fn story(seed: u64) {
    let random = Random::seeded(seed);
    let mut cluster = Cluster::of(3).await;
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            #[allow(clippy::disallowed_methods, reason = "a test's own task")]
            tokio::spawn(write(cluster.net.clone(), writer, over.clone()))
        })
        .collect();
    for _ in 0..STEPS {
        disturb(&mut cluster, &random).await;
    }
    let healed = Instant::now();
    over.store(true, Ordering::SeqCst);
    let mut told = BTreeMap::new();
    for (writer, task) in (0..).zip(writers) {
        told.insert(writer, tokio::time::timeout(SOON, task).await.expect("a writer came to no end").unwrap());
    }
    let last = cluster.write_somewhere(7).await;
    for broker in 1..=3 {
        cluster.committed(broker, last.last_offset + 1).await;
    }
    let start = cluster.running.values().map(|broker| broker.replica.look(|log| log.log_start_offset()).unwrap());
    let start = start.max().unwrap();
    let kept = |broker: i32| {
        let all = contents(cluster.replica(broker)).into_iter();
        all.filter(|(base, ..)| (start..last.base_offset).contains(base)).collect::<Vec<_>>()
    };
    let found = kept(1);
    for broker in 2..=3 {
        assert_eq!(found, kept(broker), "seed {seed}: brokers 1 and {broker} differ");
    }
    let mut total = 0;
    for (writer, (acked, sent)) in told {
        let own: Vec<(i64, i64)> =
            found.iter().filter(|(_, of, _)| *of == writer).map(|(base, _, number)| (*number, *base)).collect();
        let numbers: Vec<i64> = own.iter().map(|(number, _)| *number).collect();
        if writer % 2 == 0 {
            let first = numbers.first().copied().unwrap_or(sent);
            assert_eq!(numbers, (first..sent).collect::<Vec<_>>(), "seed {seed}: writer {writer} once and in order");
        }
        let own: BTreeMap<i64, i64> = own.into_iter().collect();
        assert_eq!(own.len(), numbers.len(), "seed {seed}: writer {writer} has a batch twice");
        for (number, base) in acked.iter().filter(|(_, base)| **base >= start) {
            assert_eq!(own.get(number), Some(base), "seed {seed}: writer {writer} batch {number} was acknowledged");
        }
        total += acked.len();
    }
    assert!(total > 20, "seed {seed}: too little was written to prove anything: {total}");
    eprintln!("seed {seed}: {total} acknowledged, {} found, healed {:?}", found.len(), healed.elapsed());
    for broker in 1..=3 {
        cluster.kill(broker, SimDisk::process_killed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_whatever_happens() {
    let stories = std::env::var("GROUP_STORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(2_u64);
    let first = std::env::var("GROUP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    for seed in first..first + stories {
        story(seed).await;
    }
}
