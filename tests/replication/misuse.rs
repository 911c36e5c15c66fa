//! What cannot work is refused: by Kafka's error, or by a message that names the way out and an exit code that is not 0.

use std::{process::Child, time::Duration};

use harness::{eventually, wait::PATIENCE};

use crate::brokers::{Said, Three, command, ended, free_ports, voters};

/// A broker of its own, in front of whoever waits for its end.
fn server(id: &str, data: &std::path::Path, raft: &str, voters: &str) -> Child {
    let mut command = command(&["server", "--node-id", id, "--listen", "127.0.0.1:0", "--no-http", "--data"]);
    command.arg(data).args(["--raft", raft, "--voters", voters]).spawn().expect("the binary")
}

const ANY_PORT: &str = "127.0.0.1:0";

#[test]
fn what_does_not_fit_a_cluster_is_turned_away() {
    let three = Three::start();
    let refused = |id: &str, data: &std::path::Path, voters: &str| ended(server(id, data, ANY_PORT, voters)).failed();
    let twice = refused("2", &three.data(2), &three.voters);
    assert!(twice.contains("is in use by another process"), "{twice}");
    let taken = refused("2", &three.home.path().join("fresh"), &three.voters);
    assert!(taken.contains("another process runs as broker 2") && taken.contains("--node-id"), "{taken}");
    let other_list = voters(&free_ports(3));
    let list = format!("{},{}", three.voters.rsplit_once(',').unwrap().0, other_list.rsplit_once(',').unwrap().1);
    let differs = refused("9", &three.home.path().join("nine"), &list);
    assert!(differs.contains("give all of them the same list"), "{differs}");

    let too_many = three.run(&["topic", "create", "t", "--replication-factor", "4"]).failed();
    assert!(too_many.contains("INVALID_REPLICATION_FACTOR"), "{too_many}");
    assert!(three.run(&["cluster", "status"]).fine().contains("0 not well"), "nothing was lost by it");
}

#[test]
fn without_enough_replicas_nothing_is_acknowledged_and_the_cluster_says_why() {
    let mut three = Three::start();
    let strict = ["topic", "create", "strict", "--replication-factor", "3", "--config", "min.insync.replicas=4"];
    three.run(&strict).fine();
    let few = refused_with(&three, "strict");
    assert!(few.contains("NOT_ENOUGH_REPLICAS (19)"), "{few}");
    three.run(&["topic", "create", "t", "--replication-factor", "3"]).fine();
    three.write(1, "t", 0..10);
    three.kill(2);
    three.kill(3);
    let lost = refused_with(&three, "t");
    assert!(lost != "acknowledged", "nothing is acknowledged by a minority: {lost}");
    let status = three.run(&["cluster", "status"]).fine();
    assert!(status.contains("no controller") || status.contains("does not answer"), "{status}");
    three.start_again(&[2, 3]);
    three.write(2, "t", 10..20);
    let kept = three.read(3, "t");
    assert!((0..20).all(|line| kept.contains(&line)), "{kept:?}");
}

/// What a write says that nobody acknowledges. It may be found later all the same: whoever took it may win the next election.
const UNACKNOWLEDGED: &str = "4711";

/// The error that a write meets within some time.
fn refused_with(three: &Three, topic: &str) -> String {
    use tidemark_client::{Client, ClientConfig, Producer, ProducerConfig, ProducerRecord};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = ClientConfig::new([three.broker(1).kafka().to_string()]);
        config.request_timeout = Duration::from_secs(3);
        let client = Client::connect(config).await.unwrap();
        let config =
            ProducerConfig { delivery_timeout: Duration::from_secs(2), idempotent: false, ..Default::default() };
        let sent = Producer::new(client, config).send(ProducerRecord::new(topic).value(UNACKNOWLEDGED)).await;
        match sent {
            Ok(_) => "acknowledged".to_owned(),
            Err(error) => error.to_string(),
        }
    })
}

#[test]
fn voters_that_were_given_other_lists_do_not_form_a_cluster() {
    let (home, ports) = (tempfile::tempdir().unwrap(), free_ports(4));
    let address = |place: usize| format!("127.0.0.1:{}", ports[place]);
    let right = voters(&ports[..3]);
    let wrong = voters(&[ports[0], ports[1], ports[3]]);
    let mut first = server("1", &home.path().join("1"), &address(0), &right);
    let mut second = server("2", &home.path().join("2"), &address(1), &wrong);
    // whoever hears of the other list first ends, and then the other hears nobody
    let first_ended = eventually("one of them ends", PATIENCE, || {
        let ended = [&mut first, &mut second].map(|child| child.try_wait().expect("a child of ours").is_some());
        ended.contains(&true).then_some(ended[0])
    });
    let (ended_itself, other) = if first_ended { (first, second) } else { (second, first) };
    stopped(other);
    let said = ended(ended_itself).failed();
    assert!(said.contains("give all of them the same list"), "{said}");
}

/// One that may wait for others without end, and ends at SIGTERM.
fn stopped(child: Child) -> Said {
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    ended(child)
}
