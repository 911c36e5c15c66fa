//! The broker's side against answers as they may come.

use super::*;
use crate::metadata::{Endpoint, MetadataRecord, first_replicas};

const ME: i32 = 2;
const TOPIC: Uuid = Uuid::from_u128(1);

fn agent() -> Agent {
    let endpoint = |port| Endpoint { host: "h".into(), port };
    Agent::new(Registration {
        broker_id: ME,
        incarnation: Uuid::from_u128(9),
        directory_id: Uuid::from_u128(8),
        cluster_id: "c".into(),
        client: endpoint(1),
        raft: endpoint(2),
        rack: None,
    })
}

fn sent(agent: &mut Agent, image: &Image, led: &[Leadership], now_ms: i64) -> Request {
    match agent.next(&View { now_ms, image, metadata_offset: 7, led }) {
        Step::Send(request) => request,
        Step::WaitUntil(at) => panic!("nothing to send before {at}"),
    }
}

fn waits(agent: &mut Agent, image: &Image, led: &[Leadership], now_ms: i64) -> i64 {
    match agent.next(&View { now_ms, image, metadata_offset: 7, led }) {
        Step::Send(request) => panic!("{request:?}"),
        Step::WaitUntil(at) => at,
    }
}

fn registered() -> Agent {
    let (mut agent, image) = (agent(), Image::default());
    let request = sent(&mut agent, &image, &[], 0);
    assert!(matches!(request, Request::Register(_)));
    assert_eq!(waits(&mut agent, &image, &[], 1), i64::MAX, "one at a time");
    agent.answered(&request, Some(Answer::Done), 10);
    agent
}

fn heard(agent: &mut Agent, fenced: bool, may_stop: bool, now_ms: i64) {
    let request = sent(agent, &Image::default(), &[], now_ms);
    assert!(matches!(request, Request::Heartbeat(Heartbeat { metadata_offset: 7, .. })), "{request:?}");
    agent.answered(&request, Some(Answer::Heard { fenced, may_stop }), now_ms);
}

#[test]
fn it_registers_catches_up_and_beats() {
    let (mut agent, image) = (registered(), Image::default());
    heard(&mut agent, true, false, 10);
    assert!(agent.is_fenced());
    heard(&mut agent, false, false, 10 + RETRY_MS);
    assert!(!agent.is_fenced());
    assert_eq!(waits(&mut agent, &image, &[], 300), 10 + RETRY_MS + HEARTBEAT_MS);
}

#[test]
fn no_answer_and_another_controller_are_tried_again_and_a_lost_registration_is_made_anew() {
    let (mut agent, image) = (registered(), Image::default());
    for answer in [None, Some(Answer::Refused(Refused::NotController { leader: Some(3) }))] {
        let at = agent.pause_until_ms.max(10);
        let request = sent(&mut agent, &image, &[], at);
        agent.answered(&request, answer, at);
        assert_eq!(waits(&mut agent, &image, &[], at + 1), at + RETRY_MS);
    }
    assert_eq!(agent.controller_hint(), Some(3));
    let request = sent(&mut agent, &image, &[], 1000);
    agent.answered(&request, Some(Answer::Refused(Refused::NotRegistered)), 1000);
    assert!(matches!(sent(&mut agent, &image, &[], 1000), Request::Register(_)));
}

#[test]
fn a_second_broker_with_its_id_is_told_until_it_is_gone() {
    let (mut agent, image) = (agent(), Image::default());
    let request = sent(&mut agent, &image, &[], 0);
    agent.answered(&request, Some(Answer::Refused(Refused::DuplicateBroker)), 0);
    assert_eq!(waits(&mut agent, &image, &[], 1), HEARTBEAT_MS);
    let request = sent(&mut agent, &image, &[], HEARTBEAT_MS);
    agent.answered(&request, Some(Answer::Refused(Refused::DuplicateBroker)), HEARTBEAT_MS);
    assert_eq!(agent.refused(), Some((&Refused::DuplicateBroker, 0)), "since the first time");
    let request = sent(&mut agent, &image, &[], 2 * HEARTBEAT_MS);
    agent.answered(&request, Some(Answer::Done), 2 * HEARTBEAT_MS);
    assert_eq!(agent.refused(), None);
}

/// A topic of two partitions, each on broker 1 and here.
fn image_of_two(replicas: &[crate::metadata::Replica]) -> Image {
    let mut image = Image::default();
    image.apply(&MetadataRecord::CreateTopic { topic_id: TOPIC, name: "t".into() });
    for partition in 0..2 {
        let replicas = replicas.to_vec();
        image.apply(&MetadataRecord::CreatePartition { topic_id: TOPIC, partition, replicas });
    }
    image
}

#[test]
fn only_what_the_metadata_does_not_know_is_reported() {
    let (mut agent, replicas) = (registered(), first_replicas(&[1, ME]));
    let mut image = image_of_two(&replicas);
    heard(&mut agent, false, false, 10);
    let state = |partition, leader_epoch| MetadataRecord::PartitionState {
        topic_id: TOPIC,
        partition,
        leader: ME,
        leader_epoch,
        isr: vec![1, ME],
    };
    image.apply(&state(0, 4));
    let led = [0, 1].map(|partition| Leadership {
        topic_id: TOPIC,
        partition,
        leader_epoch: 4,
        isr: vec![1, ME],
        voters: replicas.clone(),
    });
    let request = sent(&mut agent, &image, &led, 20);
    let Request::Report { leaderships, .. } = &request else { panic!("{request:?}") };
    assert_eq!(leaderships, &led[1..]);
    agent.answered(&request, Some(Answer::Done), 20);
    assert_eq!(waits(&mut agent, &image, &led, 21), 20 + TOLD_MS, "the image will bring it");
    image.apply(&state(1, 4));
    assert_eq!(waits(&mut agent, &image, &led, 20 + TOLD_MS), 10 + HEARTBEAT_MS);
}

#[test]
fn what_is_new_does_not_wait_for_the_image_to_bring_what_was_reported_before() {
    let (mut agent, voters) = (registered(), first_replicas(&[1, ME]));
    let image = image_of_two(&voters);
    heard(&mut agent, false, false, 10);
    let led = [0, 1].map(|partition| Leadership {
        topic_id: TOPIC,
        partition,
        leader_epoch: 1,
        isr: vec![ME],
        voters: voters.clone(),
    });
    let reported = |request: &Request| match request {
        Request::Report { leaderships, .. } => leaderships.clone(),
        other => panic!("{other:?}"),
    };
    let request = sent(&mut agent, &image, &led[..1], 20);
    agent.answered(&request, Some(Answer::Done), 20);
    let request = sent(&mut agent, &image, &led, 21);
    assert_eq!(reported(&request), led[1..]);
    agent.answered(&request, Some(Answer::Done), 22);
    assert_eq!(waits(&mut agent, &image, &led, 23), 20 + TOLD_MS);
    assert_eq!(reported(&sent(&mut agent, &image, &led, 20 + TOLD_MS)), led[..1], "the image does not bring it");
}

#[test]
fn a_heartbeat_goes_before_any_number_of_reports() {
    let (mut agent, mut image) = (registered(), Image::default());
    image.apply(&MetadataRecord::CreateTopic { topic_id: TOPIC, name: "t".into() });
    let replicas = first_replicas(&[ME]);
    let mut led = Vec::new();
    for partition in 0..REPORTED_MAX as i32 + 3 {
        image.apply(&MetadataRecord::CreatePartition { topic_id: TOPIC, partition, replicas: replicas.clone() });
        let voters = replicas.clone();
        led.push(Leadership { topic_id: TOPIC, partition, leader_epoch: 0, isr: vec![ME], voters });
    }
    let request = sent(&mut agent, &image, &led, 10);
    assert!(matches!(request, Request::Heartbeat(_)));
    agent.answered(&request, Some(Answer::Heard { fenced: false, may_stop: false }), 10);
    let Request::Report { leaderships, .. } = sent(&mut agent, &image, &led, 10) else { panic!() };
    assert_eq!(leaderships.len(), REPORTED_MAX);
}

#[test]
fn it_says_that_it_wants_to_stop_until_it_may() {
    let mut agent = registered();
    heard(&mut agent, false, false, 10);
    agent.stop();
    let request = sent(&mut agent, &Image::default(), &[], 20);
    assert!(matches!(request, Request::Heartbeat(Heartbeat { wants_shutdown: true, .. })));
    agent.answered(&request, Some(Answer::Heard { fenced: false, may_stop: false }), 20);
    assert!(!agent.may_stop());
    heard(&mut agent, true, true, 20 + RETRY_MS);
    assert!(agent.may_stop());
}
