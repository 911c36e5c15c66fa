//! Messages as bytes.

use proptest::prelude::*;

use super::*;

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    ("[a-z.]{0,9}", any::<u16>()).prop_map(|(host, port)| Endpoint { host, port })
}

fn replica() -> impl Strategy<Value = Replica> {
    (any::<i32>(), any::<u32>()).prop_map(|(id, incarnation)| Replica::new(id, incarnation))
}

fn leadership() -> impl Strategy<Value = Leadership> {
    let isr = proptest::collection::vec(any::<i32>(), 0..4);
    let voters = proptest::collection::vec(replica(), 0..4);
    (uuid(), any::<i32>(), any::<i32>(), isr, voters).prop_map(|(topic_id, partition, leader_epoch, isr, voters)| {
        Leadership { topic_id, partition, leader_epoch, isr, voters }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let registration =
        (any::<i32>(), (uuid(), uuid()), "[a-z]{0,9}", endpoint(), endpoint(), proptest::option::of("[a-z]{0,5}"));
    prop_oneof![
        registration.prop_map(|(broker_id, (incarnation, directory_id), cluster_id, client, raft, rack)| {
            Request::Register(Registration { broker_id, incarnation, directory_id, cluster_id, client, raft, rack })
        }),
        (any::<i32>(), uuid(), any::<i64>(), any::<bool>(), any::<bool>()).prop_map(
            |(broker_id, incarnation, metadata_offset, wants_fence, wants_shutdown)| {
                Request::Heartbeat(Heartbeat { broker_id, incarnation, metadata_offset, wants_fence, wants_shutdown })
            }
        ),
        (any::<i32>(), uuid(), proptest::collection::vec(leadership(), 0..4))
            .prop_map(|(broker_id, incarnation, leaderships)| Request::Report { broker_id, incarnation, leaderships }),
        (any::<i32>(), uuid()).prop_map(|(broker_id, incarnation)| Request::TakeProducerIds { broker_id, incarnation }),
        (uuid(), any::<i32>(), replica()).prop_map(|(topic_id, partition, replica)| Request::ReplaceReplica {
            topic_id,
            partition,
            replica
        }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let text = "[a-z]{0,9}";
    prop_oneof![
        Just(Answer::Done),
        (any::<bool>(), any::<bool>()).prop_map(|(fenced, may_stop)| Answer::Heard { fenced, may_stop }),
        (any::<i64>(), any::<i32>()).prop_map(|(first, count)| Answer::ProducerIds { first, count }),
        proptest::option::of(0..9).prop_map(|leader| Answer::Refused(Refused::NotController { leader })),
        Just(Answer::Refused(Refused::DuplicateBroker)),
        Just(Answer::Refused(Refused::NotRegistered)),
        (text, text).prop_map(|(expected, found)| Answer::Refused(Refused::OtherCluster { expected, found })),
        text.prop_map(|why| Answer::Refused(Refused::Failed(why))),
    ]
}

fn order_answer() -> impl Strategy<Value = OrderAnswer> {
    prop_oneof![Just(OrderAnswer::Done), Just(OrderAnswer::NotLeader), "[a-z]{0,9}".prop_map(OrderAnswer::Failed),]
}

/// What was written is read; what is cut, longer or of another version is not.
fn holds<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    message: T,
    decode: fn(&[u8]) -> Result<T, MessageError>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(decode(bytes), Ok(message));
    for cut in 0..bytes.len() {
        prop_assert!(decode(&bytes[..cut]).is_err(), "cut at {}", cut);
    }
    prop_assert!(decode(&[bytes, &[0]].concat()).is_err());
    prop_assert!(decode(&[&[VERSION + 1], &bytes[1..]].concat()).is_err());
    Ok(())
}

proptest! {
    #[test]
    fn messages_round_trip(request in request(), answer in answer(), order_answer in order_answer(), to in replica()) {
        holds(&request.encode(), request, Request::decode)?;
        holds(&answer.encode(), answer, Answer::decode)?;
        holds(&order_answer.encode(), order_answer, OrderAnswer::decode)?;
        let order = Order::Transfer { topic_id: Uuid::from_u128(1), partition: 7, to };
        holds(&order.encode(), order, Order::decode)?;
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(kind in 0..10_u8, body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let bytes = [&[VERSION, kind], &body[..]].concat();
        let _ = (Request::decode(&bytes), Answer::decode(&bytes), Order::decode(&bytes), OrderAnswer::decode(&bytes));
    }
}

#[test]
fn a_count_beyond_the_bytes_is_refused_before_it_is_believed() {
    let mut bytes = vec![VERSION, 3, 0, 0, 0, 1];
    bytes.extend_from_slice(Uuid::nil().as_bytes());
    bytes.extend_from_slice(&[0xff, 0xff]);
    bytes.extend_from_slice(&[0; 64]);
    assert_eq!(Request::decode(&bytes), Err(MessageError));
}
