//! How a running broker ends when it cannot go on, or may not: exit codes that a supervisor reads, and nothing lost.

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::{
    broker,
    records::{TOPIC, check_whole, read, write, write_once},
};
use tidemark_client::Start;

/// EX_IOERR.
const DISK: i32 = 74;
/// 128 + SIGINT, as shells show it.
const AT_ONCE: i32 = 130;

/// A limit on the size of files makes the next write beyond it fail with EFBIG: no room would be another story, since
/// a broker waits for room.
#[test]
fn a_failed_write_ends_the_broker_and_loses_nothing() {
    let mut first = broker().start();
    write(&first, 0, 20);
    let limit = Rlimit { current: Some(4096), maximum: None };
    prlimit(Pid::from_raw(first.id().cast_signed()), Resource::Fsize, limit).unwrap();
    write_once(&first).expect_err("nothing can be written");
    let status = first.wait();
    let said = first.printed();
    assert_eq!(status.code(), Some(DISK), "{status}: {said}");
    for words in ["journal", "look at the disk", "start again"] {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    let second = broker().data(first.data()).start();
    check_whole(&second, 20);
    write(&second, 20, 25);
    check_whole(&second, 25);
}

/// Both signals wait for the broker while it is stopped, so that the second is there before the clean stop is done.
#[test]
fn a_second_signal_ends_the_broker_at_once_and_loses_nothing() {
    let mut first = broker().start();
    write(&first, 0, 20);
    for signal in [Signal::STOP, Signal::TERM, Signal::INT, Signal::CONT] {
        first.signal(signal);
    }
    let status = first.wait();
    assert_eq!(status.code(), Some(AT_ONCE), "{status}: {}", first.printed());
    assert!(first.printed().contains("ended without a clean stop"), "{}", first.printed());
    let second = broker().data(first.data()).start();
    assert_eq!(read(&second, Start::Earliest).unwrap(), (0..20).collect::<Vec<_>>(), "{TOPIC}");
}
