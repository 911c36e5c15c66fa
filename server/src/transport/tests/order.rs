//! Calls arrive in the order in which they were made, answers find their call, and frames that wait leave together.

use super::*;

/// A body that says which call it is, of a length that depends on it.
fn numbered(n: u32) -> Vec<Bytes> {
    let len = match n % 50 {
        0 => 100_000,
        1 => 40_000,
        _ => 10,
    };
    let mut head = vec![(n % 7) as u8];
    head.extend(n.to_be_bytes());
    vec![head.into(), vec![n as u8; len].into()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_calls_arrive_in_order_and_answers_find_theirs() {
    let (caller, callee) = over_tcp(&config());
    let caller = Arc::new(caller);
    let makers = (0..4_u32).map(|maker| {
        let caller = caller.clone();
        tasks::spawn(TaskKind::Connection, async move {
            let calls: Vec<_> = (0..2_500)
                .map(|n| {
                    let body = numbered(maker * 10_000 + n);
                    // the order is that of the calls: nothing is polled yet
                    (body.concat(), caller.transport.call(2, Lane::Append, LATE, body, PATIENCE))
                })
                .collect();
            for (body, call) in calls.into_iter().rev() {
                assert_eq!(call.await.unwrap(), body);
            }
        })
    });
    for maker in makers.collect::<Vec<_>>() {
        maker.await.unwrap();
    }
    let seen: Vec<u32> =
        callee.script.seen().iter().map(|body| u32::from_be_bytes(body[1..5].try_into().unwrap())).collect();
    assert_eq!(seen.len(), 10_000);
    for maker in 0..4 {
        let of_maker: Vec<_> = seen.iter().copied().filter(|n| n / 10_000 == maker).collect();
        assert!(of_maker.is_sorted(), "calls of maker {maker} changed places");
    }
    assert_eq!(callee.metric("tidemark_peer_calls_served_total"), 10_000);
    assert_eq!(callee.metric("tidemark_peer_connections{made_by=\"peer\"}"), 1);
    let bytes: u64 = callee.script.seen().iter().map(|body| 24 + body.len() as u64).sum();
    assert_eq!(callee.metric("tidemark_peer_bytes_total{direction=\"in\"}") as u64, bytes);
    assert_eq!(caller.metric("tidemark_peer_bytes_total{direction=\"in\"}") as u64, bytes);
    callee.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_those_before_it() {
    let (caller, callee, _links) = linked(&config());
    let silent = caller.transport.call(2, Lane::Append, SILENCE, vec![], PATIENCE);
    for n in 0..3_u8 {
        let echoed = caller.transport.call(2, Lane::Append, ECHO, vec![vec![n].into()], PATIENCE);
        assert_eq!(echoed.await.unwrap(), vec![n]);
    }
    // and lanes do not wait for each other
    let bulk = caller.transport.call(2, Lane::Bulk, ECHO, vec![], PATIENCE);
    assert_eq!(bulk.await.unwrap(), "");
    assert_eq!(callee.metric("tidemark_peer_connections{made_by=\"peer\"}"), 2);
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_leave_in_one_write() {
    let (caller, callee, links) = linked(&config());
    caller.call(2, ECHO, b"opens it").await.unwrap();
    let before = links.control.writes.load(Ordering::SeqCst);
    let calls: Vec<_> = (0..1000)
        .map(|_| caller.transport.call(2, Lane::Append, ECHO, vec![Bytes::from_static(b"beat")], PATIENCE))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "beat");
    }
    // 2,000 parts, and the kernel takes 1,024 at once
    let writes = links.control.writes.load(Ordering::SeqCst) - before;
    assert!(writes <= 3, "{writes} writes for 1,000 calls");
    drop(callee);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_is_not_sent() {
    let (caller, callee, links) = linked(&config());
    links.hold(true);
    let mut calls: Vec<_> = (0..10_u8)
        .map(|n| Box::pin(caller.transport.call(2, Lane::Append, ECHO, vec![vec![n].into()], PATIENCE)))
        .collect();
    calls.retain_mut(|call| futures_util::FutureExt::now_or_never(call).is_none());
    for place in [8, 5, 0] {
        drop(calls.remove(place));
    }
    links.hold(false);
    for call in calls {
        call.await.unwrap();
    }
    let seen: Vec<u8> = callee.script.seen().iter().map(|body| body[0]).collect();
    assert_eq!(seen, [1, 2, 3, 4, 6, 7, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_heard_and_calls_go_on() {
    let (caller, callee, links) = linked(&config());
    let Err(CallError::Refused(text)) = caller.call(2, REFUSED, b"").await else { panic!("not refused") };
    assert_eq!(text, "é".repeat(512), "cut to 1 KiB");
    let Err(CallError::Refused(text)) = caller.call(2, LONG, b"").await else { panic!("not refused") };
    assert!(text.contains("3145728 bytes is above the limit of 2097152"), "{text}");
    caller.call(2, ECHO, b"").await.unwrap();
    assert_eq!(links.dialled(), 1);
    // bytes that are no call: heard as well, then it closes
    let Err(CallError::Refused(text)) = caller.call(2, HOSTILE, b"").await else { panic!("not refused") };
    assert_eq!(text, "no kind 3");
    until(|| callee.closed("hostile") == 1 && caller.closed("peer") == 1).await;
}
