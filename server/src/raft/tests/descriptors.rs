//! No more files can be open: what needs one is refused, nothing is lost, and all goes on once there are some again.

use super::*;

const EMFILE: i32 = 24;

fn still_runs(storage: &Storage) {
    assert!(futures_util::FutureExt::now_or_never(storage.failed()).is_none(), "the broker ends");
}

#[test]
fn a_segment_that_cannot_be_opened_refuses_one_request() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    (0..40).for_each(|round| assert!(append(&replica, round).is_ok()));
    // an idle log keeps no file open
    (0..2).for_each(|_| storage.checkpoint().unwrap());
    for end in [".log", ".index", ".snapshot"] {
        disk.fail(Fault::Open(end, EMFILE));
        let (appended, read) = (append(&replica, 99), replica.look(|log| log.read(0, 1, true, 3).map(|_| ())));
        if end == ".log" {
            assert!(appended.unwrap_err().to_string().contains("nothing was written"));
            assert!(matches!(read, Ok(Err(ReadError::Log(_)))), "{read:?}");
        }
        storage.checkpoint().unwrap();
        disk.mend();
        still_runs(&storage);
        (0..2).for_each(|_| storage.checkpoint().unwrap());
    }
    // the two others were appended beside a file that could not be opened; the index is trusted as before
    assert_eq!(rounds(&replica), (0..40).chain([99, 99]).collect::<Vec<_>>());
    let reopened = open(&disk.power_cut(0)).unwrap();
    assert_eq!(rounds(&only_replica(&reopened)).len(), 42);
}

#[test]
fn a_roll_without_descriptors_is_refused_until_there_are_some() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage
        .create_replica(KEY, "t-0", LogConfig { segment_bytes: 700, ..log_config() }, ReplicaKind::Solo)
        .unwrap();
    let mut taken = Vec::new();
    for round in 0..120 {
        let end = [".index", ".snapshot", ".log", "new"][round as usize / 3 % 4];
        if round % 3 == 2 {
            disk.fail(Fault::Open(end, EMFILE));
        }
        if append(&replica, round).is_ok() {
            taken.push(round);
        }
        disk.mend();
        still_runs(&storage);
    }
    assert!(taken.len() > 60 && taken.len() < 110, "{} were taken", taken.len());
    storage.sync().unwrap();
    assert_eq!(rounds(&replica), taken);
    for after in [disk.process_killed(), disk.power_cut(3)] {
        assert_eq!(rounds(&only_replica(&open(&after).unwrap())), taken);
    }
    storage.close().unwrap();
    let dir = Path::new(DIR).join("t-0");
    let bases = crate::log::segments_in(&disk, &dir).unwrap();
    for base in &bases {
        let check = crate::log::check_segment(&disk, &dir, *base, Some(base) == bases.last()).unwrap();
        assert_eq!(check.findings, [], "segment {base}");
    }
}

#[test]
fn a_checkpoint_without_descriptors_takes_nothing_for_synced() {
    for end in ["t-0", "broker", "checkpoint.tmp", "journal"] {
        let disk = fresh();
        let storage = open(&disk).unwrap();
        let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
        // few enough to be synced one by one
        (0..9).for_each(|round| assert!(append(&replica, round).is_ok()));
        disk.fail(Fault::Open(end, EMFILE));
        match storage.checkpoint() {
            // the whole file system is synced instead
            Ok(()) => assert_eq!(end, "t-0"),
            Err(error) => assert!(error.lacks_descriptors() && end != "t-0", "{end}: {error}"),
        }
        disk.mend();
        still_runs(&storage);
        storage.checkpoint().unwrap();
        for seed in 0..20 {
            let reopened = open(&disk.power_cut(seed)).unwrap();
            assert_eq!(rounds(&only_replica(&reopened)), (0..9).collect::<Vec<_>>(), "{end} seed {seed}");
        }
    }
}

#[test]
fn a_flush_without_descriptors_is_refused_and_takes_nothing_for_synced() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    storage.set_write_caching(std::slice::from_ref(&replica), true).unwrap();
    (0..9).for_each(|round| assert!(append(&replica, round).is_ok()));
    disk.fail(Fault::Open("t-0", EMFILE));
    assert!(replica.flush().unwrap_err().to_string().contains("not flushed yet"));
    disk.mend();
    still_runs(&storage);
    replica.flush().unwrap();
    for seed in 0..20 {
        assert_eq!(rounds(&only_replica(&open(&disk.power_cut(seed)).unwrap())), (0..9).collect::<Vec<_>>());
    }
}

#[test]
fn a_member_that_could_not_be_made_leaves_nothing_behind() {
    let node = NodeId::new(1, 3);
    for kind in [ReplicaKind::Voter { node, voters: &[node] }, ReplicaKind::Learner { node }] {
        let disk = fresh();
        let storage = open(&disk).unwrap();
        disk.fail(Fault::Open("t-0/00000000000000000000.log", EMFILE));
        assert!(storage.create_replica(KEY, "t-0", log_config(), kind).unwrap_err().lacks_descriptors());
        disk.mend();
        storage.create_replica(KEY, "t-0", log_config(), kind).unwrap();
        storage.sync().unwrap();
        for after in [disk.process_killed(), disk.power_cut(1)] {
            assert_eq!(only_replica(&open(&after).unwrap()).node(), Some(node));
        }
    }
}
