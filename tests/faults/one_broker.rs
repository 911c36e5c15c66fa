//! One broker: killed, stopped, started again in its place, while two kinds of client write and read.

use std::time::Duration;

use harness::{
    BrokerOptions,
    checker::{Anomaly, Kind, Replica, Verdict, compare_directories},
    copy_dir,
    rig::{Fault, Fleet, Network, Volume},
};

use crate::run::{IMPATIENT, PATIENT, Run, alone};

/// Of a disk that can run full: room for the journal and what a short run writes.
const VOLUME_BYTES: u64 = 320 << 20;

fn prepare(name: &'static str) -> Run {
    let alone = alone();
    let broker = BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"));
    // the id that a broker has if none is set
    Run::prepare(name, Fleet::start(vec![broker]), None, vec![1], PATIENT, alone)
}

/// Nothing acknowledged is lost, nothing is there twice, nothing out of order, nobody reads what is not there.
#[test]
fn kills_and_stops_of_one_broker_show_no_anomaly() {
    let mut run = prepare("one-broker");
    let mix = [(Fault::AllKill, 2), (Fault::LeaderKill, 1), (Fault::ControllerKill, 1), (Fault::Stop, 1)];
    let faults = run.faults(&mix, 8, 1_000);
    let report = run.judge(Duration::from_secs(120), Verdict::Valid);
    assert!(faults >= 2 && report.faults.len() == faults, "{report}");
    assert!(report.acked > 1_000 && report.count(Kind::Ok) > report.count(Kind::Fail), "{report}");
}

/// A disk that is slow or full holds writers up, and they go on by themselves when it is not any more.
#[test]
fn slow_and_full_disks_show_no_anomaly() {
    let alone = alone();
    let Some(volume) = Volume::mount(VOLUME_BYTES) else { return };
    let broker = BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"));
    let fleet = Fleet::start_over(vec![broker], vec![volume.path().join("data")]);
    let mut run = Run::prepare("disks", fleet, None, vec![1], PATIENT, alone);
    run.cluster.volumes = vec![Some(volume)];
    let faults = run.faults(&[(Fault::FullDisk, 2), (Fault::SlowDisk, 1), (Fault::AllKill, 1)], 7, 1_000);
    let report = run.judge(Duration::from_secs(120), Verdict::Valid);
    assert!(faults >= 2 && report.faults.len() == faults, "{report}");
}

/// Clients that are cut off give up, and do not know what became of their records.
#[test]
fn cuts_between_clients_and_the_broker_show_no_anomaly() {
    let alone = alone();
    let network = Network::start();
    let front = network.front(0);
    let advertised = format!("PLAINTEXT://{}", front.address());
    let broker = BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark")).set("advertised.listeners", &advertised);
    let mut fleet = Fleet::start(vec![broker]);
    front.set_target(fleet.address(0));
    fleet.reach_at(0, front.address());
    let mut run = Run::prepare("cut-off", fleet, Some(network), vec![1], IMPATIENT, alone);
    let faults = run.faults(&[(Fault::Cut, 1), (Fault::CutOneWay, 2)], 9, 2_000);
    let report = run.judge(Duration::from_secs(120), Verdict::Valid);
    assert!(faults >= 2 && report.faults.len() == faults, "{report}");
    assert!(report.count(Kind::Info) > 0, "nobody gave up: {report}");
}

/// The rig must be able to fail: a broker that comes back with what it held a while ago has lost what it acknowledged since.
#[test]
fn a_broker_that_goes_back_in_time_is_found() {
    let mut run = prepare("back-in-time");
    let workload = run.load();
    run.cluster.fleet.kill(0);
    let data = run.cluster.fleet.data(0).clone();
    let kept = tempfile::tempdir().unwrap();
    copy_dir(&data, &kept.path().join("data"));
    run.cluster.fleet.start_again(0);
    run.await_acks(500);
    workload.stop();
    run.cluster.fleet.wipe(0);
    copy_dir(&kept.path().join("data"), &data);
    run.cluster.fleet.start_again(0);
    let report = run.judge(Duration::from_secs(3), Verdict::Violated);
    for anomaly in [Anomaly::Unseen, Anomaly::Liveness] {
        assert!(report.found.contains_key(&anomaly), "{report}");
    }
}

/// The comparer reads what a broker really leaves: two copies of its data agree, and one record more or less shows.
#[test]
fn replicas_are_compared_as_they_lie_on_disk() {
    let mut run = prepare("replicas");
    let workload = run.load();
    workload.stop();
    let highest = run.recorder.highest("replicas-0-0").expect("records in the first partition");
    run.cluster.fleet.terminate(0);
    let other = tempfile::tempdir().unwrap();
    copy_dir(run.cluster.fleet.data(0), other.path());
    let replicas = [("1", run.cluster.fleet.data(0).as_path()), ("2", other.path())];
    let replicas = replicas.map(|(name, data)| Replica { name: name.to_owned(), data: data.to_path_buf() });
    let compared = || compare_directories(&replicas, "replicas-0", 0, highest + 1);
    assert_eq!(compared(), Ok(vec![]));
    // the last batch goes
    let log = other.path().join("replicas-0-0").join(format!("{:020}.log", 0));
    let bytes = std::fs::read(&log).unwrap();
    let mut ends = vec![0];
    while let Some(head) = bytes.get(ends[ends.len() - 1]..).filter(|rest| !rest.is_empty()) {
        let size = tidemark_record::BatchHeader::parse(head).unwrap().size_in_bytes();
        ends.push(ends[ends.len() - 1] + size);
    }
    std::fs::write(&log, &bytes[..ends[ends.len() - 2]]).unwrap();
    let found = compared().unwrap();
    assert!(found.len() == 1 && found[0].replica == "2" && found[0].found.is_none(), "{found:?}");
}
