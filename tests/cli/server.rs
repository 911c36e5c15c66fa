//! Starting and stopping: what is said, and the exit codes.

use crate::{alone, broker};

#[test]
fn the_banner_says_what_to_try_and_a_signal_stops_it_cleanly() {
    let mut broker = broker().http().start();
    harness::eventually("the banner", std::time::Duration::from_secs(10), || {
        broker.printed().contains("curl").then_some(())
    });
    let said = broker.printed();
    for part in [" ready in ", "data in /", "tidemark produce", "--bootstrap 127.0.0.1:"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    assert_eq!(broker.terminate().code(), Some(0));
}

#[test]
fn what_cannot_start_says_why_and_what_next() {
    let running = broker().start();
    let (address, data) = (running.kafka().to_string(), running.data().to_string_lossy().into_owned());
    let other = tempfile::tempdir().unwrap();
    let other = other.path().join("data").to_string_lossy().into_owned();
    let port = alone(&["server", "--no-http", "--data", &other, "--listen", &address]).failed();
    assert!(port.contains(&address) && port.contains("--listen"), "{port}");
    assert!(!std::path::Path::new(&other).exists(), "a port in use must leave the disk alone");
    let dir = alone(&["server", "--no-http", "--data", &data, "--listen", "127.0.0.1:0"]).failed();
    assert!(dir.contains(&data) && dir.contains("in use"), "{dir}");
    let open = alone(&["server", "--no-http", "--data", &other, "--listen", "0.0.0.0:0"]).failed();
    assert!(open.contains("--allow-plaintext"), "{open}");
    let options = ["server", "--no-http", "--data", &other, "--listen", "0.0.0.0:0", "--allow-plaintext"];
    let nowhere = alone(&options).failed();
    assert!(nowhere.contains("--advertise"), "{nowhere}");
    let value = alone(&["server", "--set", "num.partitions=many"]).failed();
    assert!(value.contains("num.partitions"), "{value}");
    let file = alone(&["server", "--config", "/no/such/file"]).failed();
    assert!(file.contains("/no/such/file"), "{file}");
}

#[test]
fn unknown_settings_are_named_once_each_and_known_ones_act() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"# comment\nnum.partitions=3\nmade.up = 1\n").unwrap();
    let path = file.path().to_string_lossy().into_owned();
    let broker = broker().argument("--config").argument(&path).start();
    assert_eq!(broker.printed().matches("made.up").count(), 1, "{}", broker.printed());
    let made = crate::tidemark(&broker, &["topic", "create", "t"]).fine();
    assert!(made.contains("partitions 3"), "{made}");
}

#[test]
fn help_is_no_failure_and_wrong_use_is() {
    assert!(alone(&["--help"]).fine().contains("First steps"));
    assert!(alone(&["consume", "--help"]).fine().contains("--from -1h"));
    assert!(alone(&["server", "--bogus"]).failed().contains("--bogus"));
}
