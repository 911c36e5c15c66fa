//! Links that are cut, brokers that stand still or are not there: which calls fail, how, and that all goes on afterwards.

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;

use super::{
    bounds::{framed, next},
    frame::Form,
    *,
};
use crate::{
    os::network::Stream,
    transport::hello::{Answer, Spoken},
};

fn echo(caller: &Node, lane: Lane) -> impl Future<Output = Result<Bytes, CallError>> + use<> {
    caller.transport.call(2, lane, ECHO, vec![Bytes::from_static(b"x")], PATIENCE)
}

fn silent(caller: &Node, lane: Lane) -> impl Future<Output = Result<Bytes, CallError>> + use<> {
    caller.transport.call(2, lane, SILENCE, vec![Bytes::from_static(b"x")], PATIENCE)
}

/// Calls until one is answered.
async fn reached_again(caller: &Node) {
    while echo(caller, Lane::Append).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_fails_exactly_the_calls_in_flight() {
    let (caller, callee, links) = linked(&config());
    for result in join_all((0..100).map(|_| echo(&caller, Lane::Append))).await {
        result.unwrap();
    }
    let other_lane = silent(&caller, Lane::Bulk);
    let in_flight: Vec<_> = (0..100).map(|_| silent(&caller, Lane::Append)).collect();
    until(|| callee.script.held.load(Ordering::SeqCst) == 101).await;
    links.cut();
    for result in join_all(in_flight).await {
        assert!(matches!(result, Err(ref error @ CallError::Cut { broker_id: 2, .. }) if error.may_have_arrived()));
    }
    assert!(matches!(other_lane.await, Err(CallError::Cut { .. })));
    // what the callee was doing for them is dropped
    until(|| callee.script.held.load(Ordering::SeqCst) == 0).await;
    reached_again(&caller).await;
    for result in join_all((0..100).map(|_| echo(&caller, Lane::Append))).await {
        result.unwrap();
    }
    assert_eq!(caller.failed("cut"), 101);
}

/// Both sides hear that a connection broke, whoever made it; not that one was closed on purpose.
#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_told_to_who_wants_to_know() {
    let (caller, callee, links) = linked(&config());
    let (at_caller, at_callee) = (caller.transport.losses(), callee.transport.losses());
    caller.call(2, ECHO, b"opens it").await.unwrap();
    links.cut();
    let lost = |losses: &watch::Receiver<Losses>, broker| losses.borrow().get(&broker).copied().unwrap_or(0);
    until(|| lost(&at_caller, 2) == 1 && lost(&at_callee, 1) == 1).await;
    reached_again(&caller).await;
    caller.transport.forget_peer(2);
    until(|| caller.closed("forgotten") == 1).await;
    assert_eq!(lost(&at_caller, 2), 1);
}

/// A broker that comes back makes itself known by its first call: it is called from then on, however long it was away.
#[tokio::test(start_paused = true)]
async fn a_broker_that_calls_is_called_again_at_once() {
    let day = Duration::from_secs(86_400);
    let config = TransportConfig { back_off_min: day, back_off_max: day, ..config() };
    let links = Arc::new(Links::default());
    let mut one = Node::new(1, config.clone(), links.clone());
    let mut two = Node::new(2, config, links.clone());
    one.transport.set_peer(2, "two", 2);
    two.transport.set_peer(1, "one", 1);
    one.serve(links.listen(1));
    assert!(matches!(one.call(2, ECHO, b"x").await, Err(CallError::Unreachable { .. })), "it is not there yet");
    two.serve(links.listen(2));
    assert!(matches!(one.call(2, ECHO, b"x").await, Err(CallError::Unreachable { .. })), "it is left alone");
    tokio::time::sleep(Duration::from_secs(1)).await;
    two.call(1, ECHO, b"here").await.unwrap();
    one.call(2, ECHO, b"x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_a_stall_however_alive_the_rest_is() {
    let (caller, callee, _links) = linked(&config());
    for (lane, stall_max) in [(Lane::Append, 3), (Lane::Bulk, 30)] {
        let since = tokio::time::Instant::now();
        let stuck = silent(&caller, lane);
        tokio::pin!(stuck);
        let beats = async {
            loop {
                // a later one is in flight when it ends
                echo(&caller, lane).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let beats: Result<(), CallError> = tokio::select! {
            beats = beats => beats,
            result = &mut stuck => result.map(drop),
        };
        assert_eq!(beats, Err(CallError::Stalled(2)));
        let took = since.elapsed().as_secs_f64();
        assert!((took - f64::from(stall_max)).abs() < 0.2, "{lane:?} stalled after {took} s");
    }
    assert_eq!((caller.closed("no_answer"), callee.script.held.load(Ordering::SeqCst)), (2, 0));
    reached_again(&caller).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_takes_no_bytes_is_a_stall_and_its_queue_is_bounded() {
    let config = TransportConfig { queue_bytes_max: 10 << 20, ..config() };
    let (caller, _callee, links) = linked(&config);
    caller.call(2, ECHO, b"opens it").await.unwrap();
    links.hold(true);
    let big = || caller.transport.call(2, Lane::Append, ECHO, vec![vec![0; 1 << 20].into()], PATIENCE);
    let waiting: Vec<_> = (0..9).map(|_| big()).collect();
    tokio::task::yield_now().await;
    assert_eq!(big().await, Err(CallError::QueueFull(2)), "at once, without waiting");
    let since = tokio::time::Instant::now();
    for result in join_all(waiting).await {
        assert_eq!(result, Err(CallError::Stalled(2)));
    }
    assert!((2.9..3.2).contains(&since.elapsed().as_secs_f64()), "{:?}", since.elapsed());
    assert_eq!((caller.closed("slow_reader"), caller.failed("queue_full"), caller.failed("stalled")), (1, 1, 9));
    links.hold(false);
    reached_again(&caller).await;
    // many calls of nothing are bounded as well
    links.hold(true);
    let none = || caller.transport.call(2, Lane::Bulk, ECHO, vec![], PATIENCE);
    let tiny: Vec<_> = (0..config.calls_max).map(|_| none()).collect();
    assert_eq!(none().await, Err(CallError::QueueFull(2)));
    drop(tiny);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_and_answered_makes_room_exactly() {
    let config = TransportConfig { calls_max: 8, queue_bytes_max: 4096, ..config() };
    let (caller, _callee, links) = linked(&config);
    let call = |lane| caller.transport.call(2, lane, ECHO, vec![vec![0; 1000].into()], PATIENCE);
    for _ in 0..50 {
        call(Lane::Append).await.unwrap();
    }
    // sent and not answered: they take a place each, and no bytes
    let silent: Vec<_> = (0..8).map(|_| silent(&caller, Lane::Append)).collect();
    assert_eq!(call(Lane::Append).await, Err(CallError::QueueFull(2)));
    drop(silent);
    call(Lane::Bulk).await.unwrap();
    links.hold(true);
    let queued: Vec<_> = (0..3).map(|_| call(Lane::Bulk)).collect();
    assert_eq!(call(Lane::Bulk).await, Err(CallError::QueueFull(2)), "three of 1,128 bytes, and no fourth");
    drop(queued);
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_on_a_slow_line_is_no_stall() {
    let config = TransportConfig { append_stall_max: Duration::from_millis(500), ..config() };
    let links = Arc::new(Links::default());
    let mut listener = links.listen(2);
    let caller = Node::new(1, config, links);
    caller.transport.set_peer(2, "slow", 2);
    let body = vec![7; 2 << 20];
    let slow = async {
        let mut stream = accepted(&mut listener).await;
        for piece in framed(Form::Answer, ECHO, 0, &body).chunks(128 << 10) {
            stream.write_all(piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        stream
    };
    let since = tokio::time::Instant::now();
    let (result, _stream) = tokio::join!(caller.call(2, ECHO, b""), slow);
    assert_eq!(result.unwrap(), body);
    assert!(since.elapsed() > Duration::from_secs(3));
}

/// A broker of the test's own has been called.
async fn accepted(listener: &mut Listener) -> Stream {
    let (mut stream, _) = listener.accept().await.unwrap();
    Spoken::read(&mut stream).await.unwrap();
    stream.write_all(&Answer::new(&identity(2), None).encode()).await.unwrap();
    next(&mut stream).await.unwrap();
    stream
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_patience_fails_one_call_only() {
    let config = TransportConfig { append_stall_max: Duration::from_secs(50), ..config() };
    let (caller, _callee, links) = linked(&config);
    let short = caller.transport.call(2, Lane::Append, SILENCE, vec![], Duration::from_millis(250));
    let since = tokio::time::Instant::now();
    assert_eq!(short.await, Err(CallError::Timeout));
    assert_eq!(since.elapsed().as_millis() / 10, 25);
    echo(&caller, Lane::Append).await.unwrap();
    assert_eq!((links.dialled(), caller.failed("timeout")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_not_there_is_left_alone_for_longer_and_longer() {
    let links = Arc::new(Links::default());
    let caller = Node::new(1, config(), links.clone());
    assert_eq!(caller.call(2, ECHO, b"").await, Err(CallError::NoAddress(2)));
    caller.transport.set_peer(2, "nowhere", 2);
    let since = tokio::time::Instant::now();
    while since.elapsed() < Duration::from_secs(10) {
        let result = echo(&caller, Lane::Append).await;
        assert!(matches!(&result, Err(CallError::Unreachable { broker_id: 2, .. })), "{result:?}");
        assert!(!result.unwrap_err().may_have_arrived());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // 50 ms to 1 s, each between its half and its whole
    let dialled = links.dialled();
    assert!((12..=26).contains(&dialled), "{dialled} attempts in 10 s");
    let mut callee = Node::new(2, config(), Arc::new(TcpDialer));
    callee.serve(links.listen(2));
    let since = tokio::time::Instant::now();
    reached_again(&caller).await;
    assert!(since.elapsed() <= Duration::from_millis(1100));
    // over TCP, nobody listens
    let caller = Node::new(1, config(), Arc::new(TcpDialer));
    let free = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap().port();
    caller.transport.set_peer(2, "127.0.0.1", free);
    assert!(matches!(caller.call(2, ECHO, b"").await, Err(CallError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_accepts_and_says_nothing_is_not_reached() {
    let links = Arc::new(Links::default());
    let caller = Node::new(1, config(), links.clone());
    let mut mute = links.listen(2);
    caller.transport.set_peer(2, "mute", 2);
    let since = tokio::time::Instant::now();
    let (result, accepted) = tokio::join!(echo(&caller, Lane::Append), mute.accept());
    assert!(matches!(result, Err(CallError::Unreachable { .. })), "{result:?}");
    assert_eq!(since.elapsed().as_secs(), 5);
    drop(accepted);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_moves_or_goes_fails_what_is_under_way() {
    let (caller, _callee, links) = linked(&config());
    let under_way = silent(&caller, Lane::Append);
    echo(&caller, Lane::Append).await.unwrap();
    let mut elsewhere = Node::new(2, config(), Arc::new(TcpDialer));
    elsewhere.serve(links.listen(22));
    caller.transport.set_peer(2, "two", 2);
    assert_eq!(links.dialled(), 1, "the same address changes nothing");
    caller.transport.set_peer(2, "two", 22);
    assert!(matches!(under_way.await, Err(CallError::Cut { .. })));
    echo(&caller, Lane::Append).await.unwrap();
    assert_eq!(elsewhere.script.seen().len(), 1);
    let under_way = silent(&caller, Lane::Append);
    caller.transport.forget_peer(2);
    assert!(under_way.await.is_err());
    assert_eq!(echo(&caller, Lane::Append).await, Err(CallError::NoAddress(2)));
    caller.transport.set_peer(2, "two", 22);
    echo(&caller, Lane::Append).await.unwrap();
    let under_way = silent(&caller, Lane::Append);
    caller.transport.close();
    assert!(under_way.await.is_err());
    assert_eq!(echo(&caller, Lane::Append).await, Err(CallError::Stopped));
    caller.transport.set_peer(2, "two", 22);
    assert_eq!(echo(&caller, Lane::Append).await, Err(CallError::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_bug_in_the_service_ends_one_connection() {
    let (caller, callee, links) = linked(&config());
    let bystander = Node::new(3, config(), links.clone());
    bystander.transport.set_peer(2, "two", 2);
    bystander.call(2, ECHO, b"").await.unwrap();
    let held = silent(&caller, Lane::Append);
    assert!(matches!(caller.call(2, PANIC, b"").await, Err(CallError::Cut { .. })));
    assert!(held.await.is_err());
    reached_again(&caller).await;
    bystander.call(2, ECHO, b"").await.unwrap();
    assert_eq!((links.dialled(), callee.script.held.load(Ordering::SeqCst)), (3, 0));
    assert_eq!(callee.metric("tidemark_peer_connections{made_by=\"peer\"}"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_connections_and_leaves_nothing_open() {
    let (caller, mut callee, _links) = linked(&config());
    let under_way = silent(&caller, Lane::Append);
    until(|| callee.script.held.load(Ordering::SeqCst) == 1).await;
    callee.shutdown.send_replace(true);
    for serving in callee.serving.drain(..) {
        serving.await.unwrap();
    }
    assert!(matches!(under_way.await, Err(CallError::Cut { .. })));
    assert_eq!(callee.metric("tidemark_peer_connections{made_by=\"peer\"}"), 0);
    assert_eq!(caller.metric("tidemark_peer_connections{made_by=\"self\"}"), 0);
    let result = echo(&caller, Lane::Append).await;
    assert!(matches!(result, Err(CallError::Unreachable { .. })), "{result:?}");
}
