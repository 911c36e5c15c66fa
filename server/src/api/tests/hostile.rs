//! Frames that must not be handled: each gets its own reason, and none a panic.

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
