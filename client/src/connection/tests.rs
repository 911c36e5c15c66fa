//! A connection against a peer that is scripted byte by byte.

use bytes::BufMut;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use kafka_protocol::{messages::api_versions_response::ApiVersion, protocol::Encodable};
use tokio::io::{AsyncReadExt, DuplexStream};

use super::*;

/// An open connection, and the peer's end of its stream.
async fn opened() -> (Connection, DuplexStream) {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let config = ClientConfig {
        request_timeout: Duration::from_secs(5),
        response_bytes_max: 1000,
        in_flight_max: 3,
        ..ClientConfig::new(["peer:1"])
    };
    let greeting = async {
        let correlation_id = request(&mut theirs).await;
        let known = ApiVersion::default().with_api_key(22).with_max_version(1);
        let answer = ApiVersionsResponse::default().with_api_keys(vec![known]);
        let mut body = BytesMut::new();
        answer.encode(&mut body, 4).unwrap();
        reply(&mut theirs, correlation_id, &body).await;
    };
    let (connection, ()) = tokio::join!(Connection::open("peer:1", Box::new(ours), &config), greeting);
    (connection.unwrap(), theirs)
}

/// Reads a request and answers its correlation id.
async fn request(peer: &mut DuplexStream) -> i32 {
    let len = peer.read_u32().await.unwrap();
    let mut frame = vec![0; len as usize];
    peer.read_exact(&mut frame).await.unwrap();
    i32::from_be_bytes(*frame[4..].first_chunk().unwrap())
}

async fn reply(peer: &mut DuplexStream, correlation_id: i32, body: &[u8]) {
    let mut frame = BytesMut::new();
    frame.put_u32(4 + body.len() as u32);
    frame.put_i32(correlation_id);
    frame.put_slice(body);
    peer.write_all(&frame).await.unwrap();
}

fn numbered(id: i64) -> BytesMut {
    let mut body = BytesMut::new();
    InitProducerIdResponse::default().with_producer_id(ProducerId(id)).encode(&mut body, 1).unwrap();
    body
}

async fn ask(connection: &Connection) -> Result<i64, ClientError> {
    connection.call(|_| InitProducerIdRequest::default()).await.map(|answer| answer.producer_id.0)
}

#[tokio::test]
async fn calls_are_pipelined_up_to_the_bound_and_answered_in_order() {
    let (connection, mut peer) = opened().await;
    let script = async {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(request(&mut peer).await);
        }
        // a fourth may not be written before one of the three is answered
        assert!(timeout(Duration::from_millis(20), peer.read_u8()).await.is_err());
        for (answer, id) in ids.into_iter().enumerate() {
            reply(&mut peer, id, &numbered(answer as i64)).await;
        }
        let id = request(&mut peer).await;
        reply(&mut peer, id, &numbered(3)).await;
    };
    let calls = async { tokio::join!(ask(&connection), ask(&connection), ask(&connection), ask(&connection)) };
    let ((one, two, three, four), ()) = tokio::join!(calls, script);
    assert_eq!([one, two, three, four], [Ok(0), Ok(1), Ok(2), Ok(3)]);
}

#[tokio::test]
async fn an_answer_out_of_order_ends_the_connection_and_no_caller_gets_it() {
    let (connection, mut peer) = opened().await;
    let script = async {
        let first = request(&mut peer).await;
        let second = request(&mut peer).await;
        assert_ne!(first, second);
        reply(&mut peer, second, &numbered(2)).await;
    };
    let ((one, two), ()) = tokio::join!(async { tokio::join!(ask(&connection), ask(&connection)) }, script);
    for result in [one, two] {
        let error = result.unwrap_err();
        assert!(matches!(&error, ClientError::Disconnected { cause, .. } if cause.contains("correlation")), "{error}");
    }
    assert!(connection.is_closed());
}

#[tokio::test]
async fn a_frame_above_the_cap_ends_the_connection() {
    let (connection, mut peer) = opened().await;
    let script = async {
        request(&mut peer).await;
        peer.write_u32(1001).await.unwrap();
    };
    let (result, ()) = tokio::join!(ask(&connection), script);
    assert!(result.unwrap_err().to_string().contains("1001 bytes"));
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_ends_the_connection_for_all_behind_it() {
    let (connection, mut peer) = opened().await;
    let script = async {
        request(&mut peer).await;
        request(&mut peer).await;
    };
    let slow = connection.call_within(Duration::from_secs(60), |_| InitProducerIdRequest::default());
    let ((late, behind), ()) = tokio::join!(async { tokio::join!(ask(&connection), slow) }, script);
    assert!(matches!(late, Err(ClientError::Timeout { api: "InitProducerId", .. })));
    assert!(matches!(behind, Err(ClientError::Disconnected { .. })));
}

#[tokio::test]
async fn a_request_that_the_broker_does_not_know_is_not_sent() {
    let (connection, _peer) = opened().await;
    let result = connection.call(|_| kafka_protocol::messages::MetadataRequest::default()).await;
    assert!(matches!(result, Err(ClientError::UnsupportedVersion { api: "Metadata", .. })));
}

#[tokio::test]
async fn the_task_ends_with_the_last_handle() {
    let (connection, mut peer) = opened().await;
    drop(connection);
    assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
}
