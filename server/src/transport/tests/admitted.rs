//! Who may call: two processes with one id, restarts, directories that were replaced.

use super::*;

/// Another process that says it is broker 1, over links of its own to broker 2 at the same port.
fn second(config: &TransportConfig, callee: &mut Node) -> (Node, Arc<Links>) {
    let links = Arc::new(Links::default());
    let second = Node::new(1, config.clone(), links.clone());
    callee.serve(links.listen(2));
    second.transport.set_peer(2, "two", 2);
    (second, links)
}

const DUPLICATE: Result<Bytes, CallError> = Err(CallError::NotAdmitted { broker_id: 2, why: NotAdmitted::DuplicateId });

#[tokio::test(start_paused = true)]
async fn of_two_processes_with_one_id_the_one_that_is_connected_stays() {
    let (first, mut callee, links) = linked(&config());
    first.call(2, ECHO, b"").await.unwrap();
    // idle for long: that is no reason to think that it is dead
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let (second, _) = second(&config(), &mut callee);
    let mut taken = second.transport.id_taken();
    assert_eq!(second.call(2, ECHO, b"").await, DUPLICATE);
    assert_eq!(*taken.borrow_and_update(), Some(IdTaken { said_by: 2 }));
    // on the other lane just the same
    let bulk = second.transport.call(2, Lane::Bulk, ECHO, vec![], PATIENCE);
    assert_eq!(bulk.await, DUPLICATE);
    first.call(2, ECHO, b"").await.unwrap();
    assert_eq!((links.dialled(), *first.transport.id_taken().borrow()), (1, None));
    assert_eq!(callee.closed("duplicate_id"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_processs_connection_makes_room_for_the_next() {
    let (first, mut callee, links) = linked(&config());
    first.call(2, ECHO, b"").await.unwrap();
    first.transport.call(2, Lane::Bulk, ECHO, vec![], PATIENCE).await.unwrap();
    // its machine lost power: nothing says that the connection is dead
    links.hold(true);
    let (second, _) = second(&config(), &mut callee);
    let since = tokio::time::Instant::now();
    second.call(2, ECHO, b"").await.unwrap();
    assert_eq!(since.elapsed().as_secs(), 2);
    assert_eq!(callee.closed("replaced"), 2);
    // it was only asleep: now it hears that its id is taken
    links.hold(false);
    let heard = async {
        loop {
            match first.call(2, ECHO, b"").await {
                DUPLICATE => break,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    heard.await;
    assert!(first.transport.id_taken().borrow().is_some());
    second.call(2, ECHO, b"").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restarted_broker_is_admitted_at_once() {
    let (first, mut callee, _links) = linked(&config());
    first.call(2, ECHO, b"").await.unwrap();
    drop(first);
    let (second, _) = second(&config(), &mut callee);
    let since = tokio::time::Instant::now();
    second.call(2, ECHO, b"").await.unwrap();
    assert!(since.elapsed() < Duration::from_millis(500), "{:?}", since.elapsed());
    assert_eq!(callee.metric("tidemark_peer_connections{made_by=\"peer\"}"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_of_the_same_process_takes_the_place_of_the_old() {
    let (first, callee, links) = linked(&config());
    first.call(2, ECHO, b"").await.unwrap();
    let silent = first.transport.call(2, Lane::Append, SILENCE, vec![], PATIENCE);
    until(|| callee.script.held.load(Ordering::SeqCst) == 1).await;
    // the callee does not hear of the cut before the new connection comes
    links.cut();
    assert!(silent.await.is_err());
    while first.call(2, ECHO, b"").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(callee.metric("tidemark_peer_connections{made_by=\"peer\"}"), 1);
    assert_eq!(callee.script.held.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_process_that_finds_the_first_itself_is_refused() {
    let links = Arc::new(Links::default());
    let mut first = Node::new(1, config(), Arc::new(TcpDialer));
    first.serve(links.listen(2));
    // it was told that broker 2 is there
    let second = Node::new(1, config(), links);
    second.transport.set_peer(2, "one", 2);
    assert_eq!(second.call(2, ECHO, b"").await, DUPLICATE);
    assert!(second.transport.id_taken().borrow().is_some());
    assert!(first.transport.id_taken().borrow().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_replaced_directory_is_neither_heard_nor_called() {
    let (first, callee, links) = linked(&config());
    first.call(2, ECHO, b"").await.unwrap();
    callee.transport.retire(1, identity(1).incarnation);
    until(|| callee.closed("replaced") == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(first.call(2, ECHO, b"").await, Err(CallError::NotAdmitted { broker_id: 2, why: NotAdmitted::Retired }));
    assert!(first.transport.id_taken().borrow().is_none());
    // the same broker with a new directory
    let renewed = Identity { incarnation: Uuid::from_u128(77), ..identity(1) };
    let renewed = Node::with(renewed, config(), links);
    renewed.transport.set_peer(2, "two", 2);
    renewed.call(2, ECHO, b"").await.unwrap();
    renewed.transport.forget_peer(2);
    renewed.transport.retire(2, identity(2).incarnation);
    renewed.transport.set_peer(2, "two", 2);
    let result = renewed.call(2, ECHO, b"").await;
    assert!(matches!(result, Err(CallError::Unreachable { .. })), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn the_number_of_connections_is_bounded() {
    let config = TransportConfig { connections_max: 3, ..config() };
    let links = Arc::new(Links::default());
    let mut callee = Node::new(2, config.clone(), Arc::new(TcpDialer));
    callee.serve(links.listen(2));
    let callers: Vec<_> = (10..14).map(|id| Node::new(id, config.clone(), links.clone())).collect();
    for (place, caller) in callers.iter().enumerate() {
        caller.transport.set_peer(2, "two", 2);
        let result = caller.call(2, ECHO, b"").await;
        if place < 3 {
            result.unwrap();
        } else {
            assert_eq!(result, Err(CallError::NotAdmitted { broker_id: 2, why: NotAdmitted::Full }));
        }
    }
    assert_eq!(callee.closed("full"), 1);
}
