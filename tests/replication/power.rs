//! A machine that goes down takes what `write.caching=true` had not synced. Here a broker is killed, and what it wrote down of its
//! machine's boot is made another one: that is all a broker can tell a lost page cache by.

use harness::{eventually, wait::PATIENCE};

use crate::brokers::{Place, Three};

/// Ends a broker as the end of its machine would.
pub fn cut_power(three: &mut Three, id: usize) {
    three.kill(id);
    let path = three.data(id).join("boot.properties");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("clean=false"), "{text}");
    let other = |line: &str| if line.starts_with("boot.id=") { "boot.id=another".to_owned() } else { line.to_owned() };
    std::fs::write(path, text.lines().map(other).collect::<Vec<_>>().join("\n") + "\n").unwrap();
}

pub fn damaged(three: &Three, topic: &str) -> usize {
    three.partitions(topic)[0]["damaged"].as_array().unwrap().len()
}

#[test]
fn who_may_have_lost_acknowledged_records_is_filled_anew_and_never_elects() {
    let mut three = Three::start();
    three.run(&["topic", "create", "cached", "--replication-factor", "3", "--config", "write.caching=true"]).fine();
    three.run(&["topic", "create", "synced", "--replication-factor", "3"]).fine();
    for topic in ["cached", "synced"] {
        three.write(1, topic, 0..100);
    }
    let leader = three.partitions("cached")[0]["leader"].as_u64().unwrap() as usize;
    let (lost, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let cached = Place::of(three.data(lost).join("cached-0"));

    three.kill(lost);
    three.start_again(&[lost]);
    assert!(damaged(&three, "cached") == 0 && cached.is_as_it_was(), "kill -9 loses nothing");
    cut_power(&mut three, lost);
    three.write(other, "cached", 100..200);
    three.start_again(&[lost]);
    cached.await_refilled(&three, "cached");
    assert_eq!(three.read(lost, "cached"), (0..200).collect::<Vec<_>>());

    (1..=3).for_each(|id| cut_power(&mut three, id));
    three.start_again(&[1, 2, 3]);
    eventually("all say so", PATIENCE, || (damaged(&three, "cached") == 3).then_some(()));
    let status = three.run(&["cluster", "status"]).fine();
    assert!(status.contains("cached-0: 3 of 3 replicas are down") && status.contains("cluster recover"), "{status}");
    three.write(lost, "synced", 100..200);
    assert_eq!(three.read(lost, "synced"), (0..200).collect::<Vec<_>>(), "what is synced first is all there");
    for id in 1..=3 {
        assert!(three.data(id).join("cached-0").exists(), "broker {id} keeps what it has");
    }
}
