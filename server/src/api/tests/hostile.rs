//! Frames that must not be handled: each gets its own reason, and none a panic. And frames that are sound, and made to
//! cost as much as they can.

use std::time::Duration;

use kafka_protocol::{
    error::ResponseError::*,
    messages::{describe_configs_request::DescribeConfigsResource, *},
};
use tokio::time::Instant;

use super::*;

fn header(key: i16, version: i16) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&key.to_be_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 7]);
    out
}

#[tokio::test]
async fn frames_that_get_no_answer_say_why() {
    let client = Client::new(ApiConfig::default()).await;
    let with = |key, version, rest: &[u8]| [&header(key, version), rest].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "header is too short"),
        (vec![0; 7], "header is too short"),
        (with(3, 1, &[]), "has no client id"),
        (with(3, 1, &[0x7f, 0xff]), "client id that reaches past the end"),
        (with(3, 12, &[0xff, 0xff]), "tagged fields"),
        (with(999, 0, &[0xff, 0xff]), "api key 999 is not served"),
        (with(-1, 0, &[0xff, 0xff]), "api key -1 is not served"),
        (with(4, 0, &[0xff, 0xff]), "api key 4 is not served"),
        (with(3, 14, &[0xff, 0xff]), "version 14 of Metadata is not served"),
        (with(3, -1, &[0xff, 0xff]), "version -1 of Metadata is not served"),
        (with(3, 1, &[0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]), "field topics reaches past the end"),
        (with(3, 12, &[0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]), "field topics reaches past the end"),
        (with(3, 0, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "field topics is null"),
        (with(3, 1, &[0xff, 0xff, 0, 0, 0, 0, 9]), "followed by more bytes"),
    ];
    for (frame, reason) in cases {
        let refused = client.answer(frame.clone().into()).await.unwrap_err();
        assert!(refused.contains(reason), "{frame:02x?}: {refused}");
    }
}

#[tokio::test]
async fn api_versions_beyond_ours_is_answered_in_version_0_without_reading_the_body() {
    let client = Client::new(ApiConfig::default()).await;
    for version in [5, 99, i16::MAX, -1] {
        let frame = [header(18, version), vec![0xff; 50]].concat();
        let answer = client.answer(frame.into()).await.unwrap();
        let expected: &[u8] = &[0, 0, 0, 16, 0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
        assert_eq!(answer, expected, "version {version}");
    }
}

/// Far more than each takes where its work grows with its size, and far less than where it grows with the square.
const NOT_LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_hundred_thousand_names_that_stand_twice_take_no_minutes() {
    let client = Client::new(ApiConfig::default()).await;
    let begin = Instant::now();
    let names: Vec<_> = (0..100_000).map(|place| TopicName(format!("{place}").into())).collect();
    let request = DeleteTopicsRequest::default().with_topic_names([names.clone(), names].concat());
    let answer = client.ask(5, request).await;
    assert_eq!(answer.responses.len(), 100_000);
    assert!(answer.responses.iter().all(|topic| topic.error_code == InvalidRequest.code()));
    assert!(begin.elapsed() < NOT_LONG, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn settings_are_not_told_over_and_over() {
    let client = Client::new(ApiConfig::default()).await;
    let broker = DescribeConfigsResource::default().with_resource_type(4).with_resource_name("1".into());
    let one = client.ask(4, DescribeConfigsRequest::default().with_resources(vec![broker.clone()])).await;
    let entries = one.results[0].configs.len();
    let request = DescribeConfigsRequest::default().with_include_synonyms(true).with_resources(vec![broker; 200_000]);
    let begin = Instant::now();
    let answer = client.ask(4, request).await;
    let told = answer.results.iter().filter(|result| result.error_code == 0);
    assert!(told.clone().all(|result| result.configs.len() == entries));
    assert_eq!((answer.results.len(), told.count()), (200_000, 101));
    assert!(begin.elapsed() < NOT_LONG, "{:?}", begin.elapsed());
}
