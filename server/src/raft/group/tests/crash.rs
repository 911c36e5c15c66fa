//! A member whose power goes at any disk call while a snapshot takes the place of its log; damage of the journal; write caching.

use super::{
    super::{
        config::{LogId, Vote},
        entry::Entry,
        snapshot::SnapshotMeta,
    },
    cluster::*,
    members::agree,
    *,
};
use crate::{
    journal::JournalConfig,
    log::{FrameBytes, Log},
    raft::{Durability, ReplicaError, Role, StorageError},
};
use openraft::entry::RaftEntry;

fn open_inline(disk: &SimDisk) -> Result<Arc<Storage>, StorageError> {
    let journal = JournalConfig { initial_file_bytes: 4096, file_bytes_max: 8192, inline_sync: true };
    let config = StorageConfig { journal, reserve_bytes: 0, ..StorageConfig::new("/data/broker".into(), 1) };
    Storage::open(Arc::new(disk.clone()), &config, &Random::os())
}

/// A source of batches 0..60 of three records, with the frames of a leader of term 1.
async fn source() -> Cluster {
    let mut cluster = Cluster::empty();
    cluster.add(9, ReplicaKind::Voter { node: node(9), voters: &[node(9)] }).await;
    for round in 0..60 {
        cluster.write_somewhere(round).await;
    }
    cluster
}

/// A learner that has the first frames of the source, and installs all of it. Whether it came to the end.
fn install(disk: &SimDisk, source: &Replica) -> bool {
    let Ok(storage) = open_inline(disk) else { return false };
    let Ok(replica) = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Learner { node: node(1) }) else {
        return false;
    };
    let first = source.look(|log| log.frames(0, 5, FrameBytes::Whole(1 << 20))).unwrap().unwrap();
    let entries: Vec<Entry> = first.into_iter().map(Entry::stored).collect();
    let applied: Vec<_> = entries.iter().map(|entry| entry.log_id()).collect();
    if replica.append_entries(entries, Box::new(|_| ())).is_err() || storage.sync().is_err() {
        return false;
    }
    assert_eq!(applied.len(), 5);
    let snapshot = source.take_snapshot().unwrap();
    let meta: SnapshotMeta = snapshot.meta.clone();
    replica.install_snapshot(&meta, snapshot.snapshot).is_ok()
}

/// What a start finds: the log before, or all of the other. A member never claims an index whose bytes it lacks.
fn check(disk: &SimDisk, source: &Replica, about: &str) -> bool {
    let storage = open_inline(disk).unwrap_or_else(|error| panic!("{about}: {error}"));
    let Some((_, replica)) = storage.replicas().pop() else { return false };
    let next = replica.look(Log::next_index).unwrap_or_else(|error| panic!("{about}: {error}"));
    let whole = source.take_snapshot().unwrap().meta.last_log_id.unwrap();
    let held = replica.read();
    let member = held.member.as_ref().unwrap();
    let installed = next > 5;
    if installed {
        assert_eq!((next, member.applied), (whole.index + 1, Some(whole)), "{about}");
    } else {
        assert!(next <= 5 && member.applied.is_none_or(|applied| applied.index < next), "{about}");
    }
    drop(held);
    let bytes = |replica: &Replica| {
        let frames = replica.look(|log| log.frames(0, next, FrameBytes::Whole(1 << 20))).unwrap().unwrap();
        frames.into_iter().map(|frame| (frame.index, frame.bytes)).collect::<Vec<_>>()
    };
    let (found, expected) = (bytes(&replica), bytes(source));
    assert_eq!(found.len() as u64, next, "{about}");
    assert!(found == expected, "{about}: other bytes");
    storage.clear_leftovers().unwrap();
    installed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_installed_whole_or_not_at_all_whatever_call_the_crash_hits() {
    let cluster = source().await;
    let source = cluster.replica(9);
    let whole = fresh();
    assert!(install(&whole, source));
    let (mut before, mut after) = (0, 0);
    for step in fresh().steps() + 1..=whole.steps() {
        let disk = fresh();
        disk.crash_at(step);
        assert!(!install(&disk, source) || step == whole.steps());
        for seed in 0..3 {
            let left = disk.power_cut(seed * 7919 + step);
            let installed = check(&left, source, &format!("step {step} seed {seed}"));
            // what one start found, the next finds too
            assert_eq!(check(&left, source, &format!("step {step} seed {seed} again")), installed);
            if installed { after += 1 } else { before += 1 }
        }
        check(&disk.process_killed(), source, &format!("step {step} killed"));
    }
    assert!(before > 0 && after > 0, "{before} before, {after} after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_votes_may_be_lost_does_not_come_back() {
    let disk = fresh();
    {
        let storage = open_inline(&disk).unwrap();
        let replica = make(&storage, ReplicaKind::Voter { node: node(1), voters: &[node(1), node(2)] });
        for index in 1..40 {
            let entry = Entry::new(LogId::new_term_index(1, index), openraft::entry::RaftPayload::blank());
            replica.append_entries([entry], Box::new(|_| ())).unwrap();
            storage.sync().unwrap();
        }
    }
    let disk = disk.process_killed();
    let files = disk.read_dir(Path::new("/data/broker/journal")).unwrap();
    let name = files.iter().find(|file| file.name.ends_with(".journal")).unwrap().name.clone();
    disk.corrupt(&Path::new("/data/broker/journal").join(name), 64 + 700, 0xff);
    // the start after it does not see the damage any more, and knows all the same
    for _ in 0..3 {
        let storage = open_inline(&disk).unwrap();
        let (_, replica) = storage.replicas().pop().unwrap();
        let error = replica.look(|_| ()).unwrap_err().to_string();
        assert!(error.contains("come back as a new one"), "{error}");
        assert!(!replica.role().leads());
        storage.close().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lacks_a_part_of_its_log_does_not_come_back() {
    let cluster = source().await;
    let disk = fresh();
    let storage = open_inline(&disk).unwrap();
    let replica = make(&storage, ReplicaKind::Learner { node: node(1) });
    let all = cluster.replica(9).look(|log| log.frames(0, u64::MAX, FrameBytes::Whole(1 << 20))).unwrap().unwrap();
    replica.append_entries(all.into_iter().map(Entry::stored), Box::new(|_| ())).unwrap();
    assert!(!replica.is_damaged());
    storage.close().unwrap();
    let (disk, dir) = (disk.process_killed(), Path::new("/data/broker/t-0"));
    let files = disk.read_dir(dir).unwrap().into_iter().map(|file| file.name);
    let segments: Vec<_> = files.filter(|name| name.ends_with(".log")).collect();
    disk.remove_file(&dir.join(&segments[segments.len() / 2])).unwrap();
    for _ in 0..2 {
        let storage = open_inline(&disk).unwrap();
        let (_, replica) = storage.replicas().pop().unwrap();
        assert!(replica.has_failed() && replica.is_damaged() && replica.node() == Some(node(1)));
        storage.close().unwrap();
    }
}

/// The places of a journal file's records: where each begins, whose it is, and its bytes behind the header.
fn records(disk: &SimDisk, path: &Path) -> Vec<(usize, u64, usize)> {
    let file = disk.open(path, crate::os::disk::OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.size().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let (mut at, mut found) = (64, Vec::new());
    while bytes.get(at..at + 2).is_some_and(|magic| *magic == 0x544a_u16.to_le_bytes()) {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        found.push((at, u64::from_le_bytes(bytes[at + 24..at + 32].try_into().unwrap()), len));
        at += (72 + len).next_multiple_of(8);
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_of_the_journal_takes_the_votes_of_those_whom_it_concerns() {
    let disk = fresh();
    let storage = open_inline(&disk).unwrap();
    let (voters, keys) = ([node(1), node(2)], [KEY, (KEY.0, 1), (KEY.0, 2)]);
    let kind = ReplicaKind::Voter { node: node(1), voters: &voters };
    let alone = ReplicaKind::Voter { node: node(1), voters: &voters[..1] };
    let kinds = [kind, kind, alone];
    for index in 0..=6 {
        for (number, (key, kind)) in keys.iter().zip(kinds).enumerate() {
            if index == 0 {
                storage.create_replica(*key, &format!("t-{number}"), log_config(), kind).unwrap();
            } else {
                let of_key = |(found, _): &(ReplicaKey, Arc<Replica>)| found == key;
                let (_, replica) = storage.replicas().into_iter().find(of_key).unwrap();
                let entry = Entry::new(LogId::new_term_index(1, index), openraft::entry::RaftPayload::blank());
                replica.append_entries([entry], Box::new(|_| ())).unwrap();
            }
            storage.sync().unwrap();
        }
    }
    let journal = Path::new("/data/broker/journal/00000000000000000001.journal");
    let records = records(&disk, journal);
    let (mut one, mut all, mut nameless) = (0, 0, 0);
    // the first is this start's, and no later one knows of the last that it was synced
    for (at, replica, len) in &records[1..records.len() - 1] {
        for (place, whole) in [(at + 20, false), (at + 72 + len / 2, true)] {
            let rotten = disk.process_killed();
            rotten.corrupt(journal, place, 0x10);
            for start in 0..2 {
                let about = format!("record at {at} of {replica}, byte {}, start {start}", place - at);
                let storage = open_inline(&rotten).unwrap();
                let mut failed: Vec<i32> = Vec::new();
                for ((_, partition), replica) in storage.replicas() {
                    assert!(matches!(replica.role(), Role::Follower { .. }) || replica.has_failed(), "{about}");
                    nameless += usize::from(replica.is_nameless());
                    assert!(replica.is_nameless() || replica.node() == Some(node(1)), "{about}");
                    failed.extend(replica.has_failed().then_some(partition));
                }
                failed.sort_unstable();
                // whoever has no others lost no promise; where its making is lost nobody knows that
                failed.retain(|partition| *partition < 2);
                match (whole, *replica) {
                    (true, 2) => assert_eq!(failed, [0; 0], "{about}"),
                    (true, replica) => assert_eq!(failed, [replica as i32], "{about}"),
                    // it may be a record of whoever was there
                    (false, _) => {
                        let made = |of: &i32| records.iter().any(|(place, id, _)| *id == *of as u64 && place <= at);
                        assert_eq!(failed, (0..2).filter(made).collect::<Vec<_>>(), "{about}");
                    }
                }
                if whole { one += 1 } else { all += 1 }
            }
        }
    }
    assert!(one > 20 && all > 20 && nameless > 0, "{one} of one, {all} of all, {nameless} without a name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_outlives_the_journal_files_that_held_it() {
    let disk = fresh();
    let storage = open_inline(&disk).unwrap();
    let replica = make(&storage, ReplicaKind::Learner { node: node(1) });
    let vote = Vote::new_committed(5, node(2));
    drop(replica.write_vote(&vote).unwrap());
    for index in 0..400 {
        let entry = Entry::new(LogId::new_term_index(5, index), openraft::entry::RaftPayload::blank());
        replica.append_entries([entry], Box::new(|_| ())).unwrap();
        if index % 50 == 49 {
            storage.checkpoint().unwrap();
        }
    }
    storage.sync().unwrap();
    for seed in 0..4 {
        let left = open_inline(&disk.power_cut(seed)).unwrap();
        let (_, replica) = left.replicas().pop().unwrap();
        assert_eq!(replica.read().member.as_ref().unwrap().vote, Some(vote));
        assert_eq!(replica.look(Log::next_index).unwrap(), 400);
        assert_eq!(replica.role().epoch(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_joins_a_group_whole_or_not_at_all() {
    let join = |disk: &SimDisk| -> Result<(), ReplicaError> {
        let failed = |error: StorageError| ReplicaError::Storage(error.to_string());
        let storage = open_inline(disk).map_err(failed)?;
        let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).map_err(failed)?;
        for round in 0..5 {
            let bytes = bytes_of(round);
            replica.append(&bytes, &tidemark_record::batch::verify(&bytes).unwrap(), 0)?;
        }
        storage.sync().map_err(failed)?;
        drop(replica.join(node(1))?);
        storage.sync().map_err(failed)
    };
    let whole = fresh();
    join(&whole).unwrap();
    let (mut alone, mut joined) = (0, 0);
    for step in fresh().steps() + 1..=whole.steps() {
        let disk = fresh();
        disk.crash_at(step);
        drop(join(&disk));
        for seed in 0..3 {
            let storage = open_inline(&disk.power_cut(seed * 7919 + step)).unwrap();
            let Some((_, replica)) = storage.replicas().pop() else { continue };
            let end = replica.look(Log::log_end_offset).unwrap();
            match replica.role() {
                Role::Solo { .. } => alone += 1,
                role => {
                    joined += 1;
                    assert_eq!((end, replica.high_watermark()), (15, 15), "step {step}");
                    assert!(role.epoch() > 0);
                    assert_eq!(rounds(&replica), [0, 1, 2, 3, 4]);
                }
            }
        }
    }
    assert!(alone > 0 && joined > 0, "{alone} alone, {joined} joined");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_caching_group_survives_kills_and_truncations() {
    let mut cluster = Cluster::of(3).await;
    for broker in cluster.running.values() {
        broker.storage.set_write_caching(std::slice::from_ref(&broker.replica), true).unwrap();
    }
    let mut sent = Vec::new();
    for life in 0..3 {
        for round in 0..10 {
            cluster.write_somewhere(life * 100 + round).await;
            sent.push(life * 100 + round);
        }
        // a leader alone appends what nobody else has, and must take it back
        let old = cluster.leader().await;
        cluster.running[&old].storage.checkpoint().unwrap();
        cluster.net.isolate(old, &[1, 2, 3], true);
        let lost = cluster.replica(old).clone();
        let header = tidemark_record::batch::verify(&bytes_of(7)).unwrap();
        for _ in 0..5 {
            drop(lost.propose(bytes_of(7), &header, None, 0));
        }
        until("appended alone", || lost.look(Log::log_end_offset).unwrap() > lost.high_watermark()).await;
        cluster.running[&old].storage.checkpoint().unwrap();
        until("another leader", || (1..=3).any(|other| other != old && cluster.replica(other).role().leads())).await;
        cluster.net.isolate(old, &[1, 2, 3], false);
        cluster.write_somewhere(life * 100 + 50).await;
        sent.push(life * 100 + 50);
        let end = cluster.write_somewhere(life * 100 + 51).await.last_offset + 1;
        sent.push(life * 100 + 51);
        assert_eq!(agree(&cluster, end).await, sent);
        for broker in 1..=3 {
            cluster.kill(broker, SimDisk::process_killed).await;
        }
        for broker in 1..=3 {
            cluster.start(broker).await;
            assert_eq!(cluster.replica(broker).durability(), Durability::WriteCaching);
        }
        let end = cluster.write_somewhere(life * 100 + 60).await.last_offset + 1;
        sent.push(life * 100 + 60);
        assert_eq!(agree(&cluster, end).await, sent);
    }
}

/// A member that acknowledges from the page cache, with entries that no sync covers.
fn caching(disk: &SimDisk, voters: &[NodeId]) -> Arc<Storage> {
    let storage = open_inline(disk).unwrap();
    let replica = make(&storage, ReplicaKind::Voter { node: node(1), voters });
    storage.set_write_caching(std::slice::from_ref(&replica), true).unwrap();
    for index in 1..20 {
        let entry = Entry::new(LogId::new_term_index(1, index), openraft::entry::RaftPayload::blank());
        replica.append_entries([entry], Box::new(|_| ())).unwrap();
    }
    storage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_end_of_the_machine_takes_the_vote_of_who_acknowledges_from_the_page_cache() {
    let distrusted = |disk: &SimDisk| {
        let storage = open_inline(disk).unwrap();
        let (_, replica) = storage.replicas().pop().unwrap();
        assert_eq!(replica.node(), Some(node(1)));
        replica.has_failed()
    };
    let disk = fresh();
    let storage = caching(&disk, &[node(1), node(2)]);
    assert!(!distrusted(&disk.process_killed()));
    let cut = disk.power_cut(1);
    // what one start knows, the next must know: its page cache is the one that the machine has now
    for _ in 0..3 {
        assert!(distrusted(&cut.process_killed()) && distrusted(&cut));
    }
    storage.close().unwrap();
    assert!(!distrusted(&disk.power_cut(2)), "all was synced when it stopped");

    let disk = fresh();
    let _alone = caching(&disk, &[node(1)]);
    assert!(!distrusted(&disk.power_cut(3)), "nobody else relied on it, and nobody else could fill it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_cached_entries_is_filled_under_another_name_while_most_others_have_them() {
    let mut cluster = Cluster::of(3).await;
    for broker in cluster.running.values() {
        broker.storage.set_write_caching(std::slice::from_ref(&broker.replica), true).unwrap();
    }
    for round in 0..10 {
        cluster.write_somewhere(round).await;
    }
    let lost = cluster.leader().await % 3 + 1;
    cluster.kill(lost, |disk| disk.power_cut(4)).await;
    cluster.start(lost).await;
    let old = cluster.replica(lost).clone();
    assert!(old.has_failed() && old.node() == Some(node(lost)));
    let groups = cluster.running[&lost].groups.clone();
    until("a leader misses it", || groups.is_missed(&KEY, node(lost))).await;
    cluster.write_somewhere(10).await;

    let storage = cluster.running[&lost].storage.clone();
    storage.delete_replica(&old).unwrap();
    assert!(cluster.disks[&lost].read_dir(Path::new("/data/broker")).unwrap().iter().all(|entry| entry.name != "t-0"));
    let renamed = NodeId::new(lost, 1);
    let replica = make(&storage, ReplicaKind::Learner { node: renamed });
    cluster.run(lost, storage, replica).await;
    let leader = &cluster.running[&cluster.leader().await];
    let voters: Vec<NodeId> = (1..=3).map(|broker| if broker == lost { renamed } else { node(broker) }).collect();
    leader.groups.change(&leader.replica, &voters).await.unwrap();
    let end = cluster.write_somewhere(11).await.last_offset + 1;
    assert_eq!(agree(&cluster, end).await, (0..=11).collect::<Vec<_>>());
    assert!(!cluster.running[&lost].groups.is_missed(&KEY, node(lost)));

    for broker in 1..=3 {
        let replica = cluster.replica(broker).clone();
        cluster.running[&broker].storage.set_write_caching(&[replica], true).unwrap();
        cluster.kill(broker, |disk| disk.power_cut(5)).await;
    }
    for broker in 1..=3 {
        cluster.start(broker).await;
        assert!(
            cluster.replica(broker).has_failed(),
            "nobody elects: whatever each of them lost, the others may have lost"
        );
    }
}
