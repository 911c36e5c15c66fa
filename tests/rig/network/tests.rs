//! Real sockets of this process, which is broker 1, behind a front of broker 2.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use super::{Condition, Network, OUTSIDE};
use crate::wait::PATIENCE;

/// Long enough for bytes that could pass to have passed.
const QUIET: Duration = Duration::from_millis(150);

struct Pair {
    network: Network,
    caller: TcpStream,
    callee: TcpStream,
    accepted: Receiver<TcpStream>,
    front: super::Front,
}

fn pair() -> Pair {
    let network = Network::start();
    network.set_process(1, std::process::id());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = network.front(2);
    front.set_target(listener.local_addr().unwrap());
    let (sender, accepted) = channel();
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).try_for_each(|stream| sender.send(stream)));
    let caller = TcpStream::connect(front.address()).unwrap();
    let callee = accepted.recv_timeout(PATIENCE).unwrap();
    Pair { network, caller, callee, accepted, front }
}

/// Whether these bytes come before long.
fn arrives(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut found = vec![0; bytes.len()];
    stream.read_exact(&mut found).unwrap();
    found == bytes
}

fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let error = stream.read(&mut [0; 16]).expect_err("silence, not bytes nor an end");
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn ends(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn bytes_pass_both_ways_and_so_does_an_end() {
    let Pair { network, mut caller, mut callee, .. } = pair();
    caller.write_all(b"to").unwrap();
    assert!(arrives(&mut callee, b"to"));
    callee.write_all(b"fro").unwrap();
    assert!(arrives(&mut caller, b"fro"));
    crate::eventually("all is counted", PATIENCE, || (network.carried_bytes() == 5).then_some(()));
    drop(caller);
    assert!(ends(&mut callee));
}

#[test]
fn a_cut_is_silent_and_connections_end_when_it_heals() {
    let Pair { network, mut caller, mut callee, accepted, front } = pair();
    network.cut(1, 2);
    caller.write_all(b"lost").unwrap();
    callee.write_all(b"lost").unwrap();
    assert!(is_silent(&mut callee) && is_silent(&mut caller));
    let mut late = TcpStream::connect(front.address()).unwrap();
    // taken only after the heal, it would be a call like any other
    crate::eventually("the late call is taken", PATIENCE, || (network.calls() == 2).then_some(()));
    assert!(accepted.recv_timeout(QUIET).is_err(), "a call went through the cut");
    network.heal();
    assert!(ends(&mut caller) && ends(&mut callee) && ends(&mut late));
    let mut again = TcpStream::connect(front.address()).unwrap();
    again.write_all(b"back").unwrap();
    assert!(arrives(&mut accepted.recv_timeout(PATIENCE).unwrap(), b"back"));
}

#[test]
fn a_one_way_cut_lets_the_other_way_pass() {
    let Pair { network, mut caller, mut callee, .. } = pair();
    network.set(1, 2, Condition::Cut);
    caller.write_all(b"lost").unwrap();
    callee.write_all(b"passes").unwrap();
    assert!(arrives(&mut caller, b"passes") && is_silent(&mut callee));
    network.heal();
    assert!(ends(&mut caller));
}

#[test]
fn what_a_stall_held_arrives_when_it_heals() {
    let Pair { network, mut caller, mut callee, .. } = pair();
    network.set(1, 2, Condition::Stalled);
    caller.write_all(b"late").unwrap();
    assert!(is_silent(&mut callee));
    network.heal();
    assert!(arrives(&mut callee, b"late"));
    caller.write_all(b"goes on").unwrap();
    assert!(arrives(&mut callee, b"goes on"));
}

#[test]
fn a_delay_moves_bytes_and_does_not_thin_them_out() {
    let Pair { network, mut caller, mut callee, .. } = pair();
    let delay = Duration::from_millis(200);
    network.set(1, 2, Condition::Delayed(delay));
    let bytes = vec![7; 4 << 20];
    let began = Instant::now();
    let sent = bytes.clone();
    let sender = std::thread::spawn(move || caller.write_all(&sent).map(|()| caller));
    assert!(arrives(&mut callee, &bytes));
    let took = began.elapsed();
    assert!(took >= delay, "{took:?}");
    sender.join().unwrap().unwrap();
}

#[test]
fn a_cut_between_brokers_does_not_touch_who_is_none() {
    let network = Network::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = network.front(2);
    front.set_target(listener.local_addr().unwrap());
    network.isolate(2, [0, 1, 2]);
    let mut caller = TcpStream::connect(front.address()).unwrap();
    caller.write_all(b"client").unwrap();
    let mut callee = listener.accept().unwrap().0;
    assert!(arrives(&mut callee, b"client"));
    network.cut(OUTSIDE, 2);
    caller.write_all(b"cut too").unwrap();
    assert!(is_silent(&mut callee));
}

/// A broker calls others before its starter knows its process.
#[test]
fn a_caller_may_become_known_late() {
    let network = Network::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = network.front(2);
    front.set_target(listener.local_addr().unwrap());
    let mut caller = TcpStream::connect(front.address()).unwrap();
    let mut callee = listener.accept().unwrap().0;
    caller.write_all(b"early").unwrap();
    assert!(arrives(&mut callee, b"early"));
    network.set_process(1, std::process::id());
    network.cut(1, 2);
    caller.write_all(b"lost").unwrap();
    assert!(is_silent(&mut callee));
}

#[test]
fn a_target_may_move() {
    let Pair { network: _network, mut caller, front, callee, .. } = pair();
    drop(callee);
    assert!(ends(&mut caller));
    let moved = TcpListener::bind("127.0.0.1:0").unwrap();
    front.set_target(moved.local_addr().unwrap());
    let mut caller = TcpStream::connect(front.address()).unwrap();
    caller.write_all(b"found").unwrap();
    assert!(arrives(&mut moved.accept().unwrap().0, b"found"));
}
