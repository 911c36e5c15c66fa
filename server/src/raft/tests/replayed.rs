//! What replay writes again is what was there: the same segments with the same bytes, whatever the topic's settings were.

use super::*;

/// Every segment of the only replica with its bytes.
fn segments(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(DIR).join("t-0");
    let mut found = Vec::new();
    for entry in disk.read_dir(&dir).unwrap() {
        if entry.name.ends_with(".log") {
            let file = disk.open(&dir.join(&entry.name), OpenMode::Read).unwrap();
            let mut bytes = vec![0; entry.len as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            found.push((entry.name, bytes));
        }
    }
    found
}

#[test]
fn a_topic_with_small_segments_has_the_same_ones_after_a_crash() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    for round in 0..100 {
        append(&replica, round).unwrap();
        match round {
            15 => storage.checkpoint().unwrap(),
            // settings may change between two starts, and back
            20 => replica.configure(LogConfig { segment_bytes: 400, ..log_config() }, i64::MAX, i64::MAX),
            35 => replica.configure(log_config(), i64::MAX, i64::MAX),
            // all of it goes: the next record opens a segment that was not full
            45 => {
                replica.move_log_start(i64::MAX).unwrap();
                storage.sync().unwrap();
                replica.delete_old_segments().unwrap();
            }
            _ => {}
        }
    }
    storage.sync().unwrap();
    let before = segments(&disk);
    assert!(before.len() > 2);
    for after in [disk.process_killed(), disk.power_cut(0), disk.power_cut(7)] {
        let storage = open(&after).unwrap();
        assert_eq!(rounds(&only_replica(&storage)), (46..100).collect::<Vec<i64>>());
        let mut found = segments(&after);
        only_replica(&storage).delete_old_segments().unwrap();
        found.retain(|(name, _)| *name >= before[0].0);
        let names = |segments: &[(String, Vec<u8>)]| segments.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found), names(&before));
        assert!(found == before, "the same names with other bytes");
    }
}

#[test]
fn bytes_that_the_power_brought_back_behind_a_sealed_segment_are_cut_off() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    (0..30).for_each(|round| assert!(append(&replica, round).is_ok()));
    storage.close().unwrap();
    let before = segments(&disk);
    let path = |place: usize, suffix: &str| {
        let name: &str = &before[place].0;
        Path::new(DIR).join("t-0").join(name.replace("log", suffix))
    };
    for index_too in [true, false] {
        let rotten = disk.process_killed();
        // the batch that a lost history had where the next segment begins: a whole one, whose epoch and offset fit
        let (header, batch) = before[2].1.split_at(104);
        assert_eq!(batch::verify(header).unwrap().size_in_bytes(), 104);
        let len = tidemark_record::BatchHeader::parse(batch).unwrap().size_in_bytes();
        let file = rotten.open(&path(1, "log"), OpenMode::ReadWrite).unwrap();
        file.write_all_at(&[std::io::IoSlice::new(&batch[..len])], before[1].1.len() as u64).unwrap();
        if !index_too {
            rotten.remove_file(&path(1, "index")).unwrap();
        }
        for _ in 0..2 {
            let storage = open(&rotten).unwrap();
            let replica = only_replica(&storage);
            assert_eq!(scrub::served(&replica, usize::MAX, 90), (0..90).collect::<Vec<_>>());
            assert_eq!(replica.look(|log| log.quarantined().to_vec()).unwrap(), []);
            assert!(segments(&rotten) == before, "index {index_too}");
        }
    }
}

#[test]
fn what_a_start_cut_off_does_not_come_back_once_entries_bypass_the_journal() {
    let mut came_near = 0;
    for seed in 0..64 {
        let disk = fresh();
        let storage = open(&disk).unwrap();
        let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
        append(&replica, 0).unwrap();
        storage.checkpoint().unwrap();
        append(&replica, 1).unwrap();
        drop((replica, storage));
        let disk = disk.power_cut(seed);
        let len = |disk: &SimDisk| segments(disk)[0].1.len();
        let found = len(&disk);
        let kept = rounds(&only_replica(&open(&disk).unwrap()));
        came_near += usize::from(len(&disk) < found);
        // killed before it synced that: the next one sees nothing to cut
        let disk = disk.process_killed();
        let storage = open(&disk).unwrap();
        storage.set_write_caching(&[only_replica(&storage)], true).unwrap();
        let disk = disk.power_cut(seed);
        assert_eq!(rounds(&only_replica(&open(&disk).unwrap())), kept, "seed {seed}");
    }
    assert!(came_near > 0, "the power never kept what the journal lost");
}

#[test]
fn what_a_start_cut_off_does_not_come_back_while_entries_bypass_the_journal() {
    let files = |disk: &SimDisk| segments(disk).iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    let mut came_near = 0;
    for seed in 0..300 {
        let disk = fresh();
        let storage = open(&disk).unwrap();
        let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
        replica.configure(log_config(), i64::MAX, i64::MAX);
        append(&replica, 0).unwrap();
        let replicas = [replica];
        // the checkpoint says that entries bypass the journal, and the journal has some all the same
        storage.set_write_caching(&replicas, true).unwrap();
        storage.set_write_caching(&replicas, false).unwrap();
        for round in 1..11 {
            append(&replicas[0], round).unwrap();
        }
        storage.sync().unwrap();
        for round in 11..14 {
            append(&replicas[0], round).unwrap();
        }
        drop((replicas, storage));
        // torn somewhere, and whole behind that
        let disk = disk.power_cut(seed);
        let found = files(&disk);
        let kept = rounds(&only_replica(&open(&disk).unwrap()));
        came_near += usize::from(files(&disk) < found);
        let disk = disk.process_killed();
        let storage = open(&disk).unwrap();
        append(&only_replica(&storage), 70).unwrap();
        let left = rounds(&only_replica(&open(&disk.power_cut(seed * 31)).unwrap()));
        assert!(left == kept || left == [&kept[..], &[70]].concat(), "seed {seed}: {left:?}, {kept:?} were found");
    }
    assert!(came_near > 0, "the power never kept what the journal lost");
}
