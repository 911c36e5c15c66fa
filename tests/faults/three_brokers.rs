//! Three brokers, replication factor 3: killed, stopped, cut off from each other and emptied, while two kinds of client write and
//! read. Each fault has a story of its own, to be asked for, and there is a mix of all.

use std::{net::Ipv4Addr, time::Duration};

use harness::{
    BrokerOptions,
    checker::{Kind, Report, Verdict},
    rig::{Fault, Fleet, Network, WHOLE_WITHIN},
};

use crate::run::{PATIENT, Run, alone};

const BROKERS: i32 = 3;

/// A loopback address that nobody else uses: a broker that comes back finds its ports free.
fn own_address(broker: i32) -> Ipv4Addr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high.wrapping_mul(4).wrapping_add(broker as u8), middle, low)
}

/// Brokers that call each other through fronts.
fn prepare(name: &'static str) -> Run {
    let alone = alone();
    let network = Network::start();
    let fronts: Vec<_> = (0..BROKERS).map(|node| network.front(node as usize)).collect();
    let voters: Vec<_> = (1..=BROKERS).zip(&fronts).map(|(id, front)| format!("{id}@{}", front.address())).collect();
    let broker = |(id, front): (i32, &harness::rig::Front)| {
        let own = own_address(id);
        let raft = std::net::TcpListener::bind((own, 0)).and_then(|port| port.local_addr()).unwrap();
        front.set_target(raft);
        BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"))
            .listen((own, 0).into())
            .argument("--node-id")
            .argument(&id.to_string())
            .argument("--raft")
            .argument(&raft.to_string())
            .argument("--voters")
            .argument(&voters.join(","))
    };
    let fleet = Fleet::start((1..=BROKERS).zip(&fronts).map(broker).collect());
    let run = Run::prepare(name, fleet, Some(network), (1..=BROKERS).collect(), PATIENT, alone);
    run.cluster.await_whole(WHOLE_WITHIN);
    run
}

/// Load, faults with about so much calm before each and up to so long, and the verdict.
fn story(name: &'static str, mix: &[(Fault, u64)], seconds: u64, (calm_ms, lasts_ms_max): (u64, u64)) -> Report {
    let mut run = prepare(name);
    let faults = run.long_faults(mix, seconds, calm_ms, lasts_ms_max);
    let report = run.judge(Duration::from_secs(120), Verdict::Valid);
    assert!(faults >= 1 && report.faults.len() == faults, "{report}");
    assert!(report.acked > 1_000 && report.count(Kind::Ok) > report.count(Kind::Fail), "{report}");
    report
}

/// Writers go on while the leader is dead.
#[test]
#[ignore = "each is a minute, and all are in the mix: `just faults 20 1 /tmp three_brokers`"]
fn kills_of_leaders_show_no_anomaly() {
    story("leader-kill", &[(Fault::LeaderKill, 1)], 20, (5_000, 3_000));
}

#[test]
#[ignore = "each is a minute, and all are in the mix: `just faults 20 1 /tmp three_brokers`"]
fn kills_of_followers_show_no_anomaly() {
    story("follower-kill", &[(Fault::FollowerKill, 1)], 15, (4_000, 3_000));
}

#[test]
#[ignore = "each is a minute, and all are in the mix: `just faults 20 1 /tmp three_brokers`"]
fn kills_of_the_controller_show_no_anomaly() {
    story("controller-kill", &[(Fault::ControllerKill, 1)], 20, (5_000, 3_000));
}

#[test]
#[ignore = "each is a minute, and all are in the mix: `just faults 20 1 /tmp three_brokers`"]
fn kills_of_all_show_no_anomaly() {
    story("all-kill", &[(Fault::AllKill, 1)], 20, (5_000, 1_000));
}

#[test]
#[ignore = "each is a minute, and all are in the mix: `just faults 20 1 /tmp three_brokers`"]
fn stops_show_no_anomaly() {
    story("stop", &[(Fault::Stop, 1)], 25, (5_000, 10_000));
}

#[test]
#[ignore = "each is a minute, and all are in the mix: `just faults 20 1 /tmp three_brokers`"]
fn cuts_show_no_anomaly() {
    story("cut", &[(Fault::Cut, 1), (Fault::CutOneWay, 1)], 30, (5_000, 6_000));
}

#[test]
#[ignore = "each is a minute, and all are in the mix: `just faults 20 1 /tmp three_brokers`"]
fn wiped_brokers_are_refilled() {
    story("wipe", &[(Fault::Wipe, 1)], 25, (5_000, 1_000));
}

/// Of everything, for as long as one likes.
#[test]
fn a_mix_shows_no_anomaly() {
    let mix = [
        (Fault::LeaderKill, 4),
        (Fault::FollowerKill, 1),
        (Fault::ControllerKill, 2),
        (Fault::AllKill, 1),
        (Fault::Stop, 2),
        (Fault::Cut, 2),
        (Fault::CutOneWay, 2),
        (Fault::Wipe, 1),
    ];
    story("mix", &mix, 45, (5_000, 6_000));
}
