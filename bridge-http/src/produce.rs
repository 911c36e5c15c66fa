//! `POST /v1/streams/{topic}/records`: one record, its value the body as it is.

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::json;
use tidemark_client::{ProducerRecord, RecordPosition};
use tokio::time::Instant;

use crate::{
    bridge::Bridge,
    error::{Kind, Problem},
    headers::{
        PREFERENCE_APPLIED, RECORD_HEADER, RECORD_KEY, RECORD_KEY_BASE64, RECORD_POSITION, RECORD_TIMESTAMP,
        RECORD_TOMBSTONE,
    },
    media_type::MediaType,
    path, percent, preferences,
    query::Query,
    strict_json, timestamp,
};

/// The record header that keeps the request's Content-Type.
const CONTENT_TYPE_HEADER: &str = "content-type";

/// Writes one record and answers with its position.
pub(crate) async fn produce(
    State(bridge): State<Bridge>,
    Path(topic): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    path::topic(&topic)?;
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query(), &["partition"])?;
    let minimal = preferences::minimal(&parts.headers);
    let mut record = ProducerRecord::new(topic.clone());
    record.partition = query.text("partition").map(partition).transpose()?;
    describe(&mut record, &parts.headers)?;
    let (value, _room) = take_value(&bridge, &parts.headers, body).await?;
    let bytes = value.as_ref().map_or(0, Bytes::len);
    record.value = value;
    let started = Instant::now();
    let position = bridge.producer.send(record).await?;
    bridge.counters.written(bytes, started.elapsed());
    Ok(written(&topic, &position, minimal))
}

fn partition(text: &str) -> Result<i32, Problem> {
    path::partition(text).map_err(|_| crate::query::invalid("a partition is a number from 0 on".to_owned()))
}

/// The value, None for a tombstone; and the body's share of the common room, to be held until it is sent.
async fn take_value(
    bridge: &Bridge,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Option<Bytes>, crate::body::TakenBody), Problem> {
    let media_type = MediaType::of(headers)?;
    let taken = bridge.bodies.take(headers, body).await?;
    if let Some(value) = one(headers, &RECORD_TOMBSTONE)? {
        if value != "true" || !taken.bytes.is_empty() {
            let detail = "record-tombstone is true or not there, and a tombstone has no body";
            return Err(Problem::new(Kind::InvalidHeader, detail));
        }
        return Ok((None, taken));
    }
    if media_type == MediaType::Json {
        strict_json::check(&taken.bytes).map_err(|cause| Problem::new(Kind::InvalidBody, cause))?;
    }
    Ok((Some(taken.bytes.clone()), taken))
}

/// Key, timestamp and headers of a record.
fn describe(record: &mut ProducerRecord, headers: &HeaderMap) -> Result<(), Problem> {
    record.key = match (one(headers, &RECORD_KEY)?, one(headers, &RECORD_KEY_BASE64)?) {
        (None, None) => None,
        (Some(text), None) => Some(decoded(&RECORD_KEY, text.as_bytes())?),
        (None, Some(text)) => {
            let detail = "record-key-base64 is not Base64 (RFC 4648, section 4, with padding)";
            Some(STANDARD.decode(text).map_err(|_| Problem::new(Kind::Unprocessable, detail))?.into())
        }
        (Some(_), Some(_)) => {
            return Err(Problem::new(Kind::InvalidHeader, "a record has one key: record-key or record-key-base64"));
        }
    };
    if let Some(text) = one(headers, &RECORD_TIMESTAMP)? {
        let detail = "record-timestamp is milliseconds since 1970, or a time such as 2026-11-23T10:00:00Z";
        let parsed = timestamp::parse(text).ok_or_else(|| Problem::new(Kind::InvalidHeader, detail))?;
        record.timestamp_ms = Some(parsed);
    }
    let own = headers.keys().filter_map(|name| Some((name, name.as_str().strip_prefix(RECORD_HEADER)?)));
    for (http_name, name) in own {
        let name = decoded(http_name, name.as_bytes())?;
        let name = String::from_utf8(name.into())
            .map_err(|_| Problem::new(Kind::Unprocessable, "a record header's name is UTF-8"))?;
        for value in headers.get_all(http_name) {
            record.headers.push(tidemark_client::Header::new(name.clone(), decoded(http_name, value.as_bytes())?));
        }
    }
    let named = record.headers.iter().any(|header| *header.name == *CONTENT_TYPE_HEADER.as_bytes());
    if let Some(value) = headers.get(CONTENT_TYPE).filter(|_| !named) {
        let value = Bytes::copy_from_slice(value.as_bytes());
        record.headers.insert(0, tidemark_client::Header::new(CONTENT_TYPE_HEADER, value));
    }
    Ok(())
}

/// A header that may stand once, as text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::to_str).transpose();
    match (first, values.next()) {
        (Ok(value), None) => Ok(value),
        (Err(_), _) => Err(Problem::new(Kind::InvalidHeader, format!("{name} is ASCII; percent-encode the rest"))),
        (_, Some(_)) => Err(Problem::new(Kind::InvalidHeader, format!("{name} stands there twice"))),
    }
}

fn decoded(name: &HeaderName, text: &[u8]) -> Result<Bytes, Problem> {
    let detail = || format!("{name} is percent-encoded: a percent sign is followed by two hex digits (%25 is one)");
    let decoded = percent::decode(text).ok_or_else(|| Problem::new(Kind::Unprocessable, detail()))?;
    Ok(Bytes::from(decoded.into_owned()))
}

/// The answer for a record that is stored.
fn written(topic: &str, position: &RecordPosition, minimal: bool) -> Response {
    let mut headers = HeaderMap::new();
    let &RecordPosition { partition, offset, timestamp_ms } = position;
    if let Some(offset) = offset {
        let location = format!("/v1/streams/{topic}/partitions/{partition}/records?offset={offset}&limit=1");
        insert(&mut headers, RECORD_POSITION, format!("{partition}:{offset}"));
        insert(&mut headers, LOCATION, location);
    }
    if minimal {
        headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("return=minimal"));
        return (StatusCode::NO_CONTENT, headers).into_response();
    }
    let body = json!({"topic": topic, "partition": partition, "offset": offset, "timestamp": timestamp_ms});
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (StatusCode::CREATED, headers, body.to_string()).into_response()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(pairs: &[(&str, &str)]) -> Result<ProducerRecord, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let mut record = ProducerRecord::new("t");
        match describe(&mut record, &headers) {
            Ok(()) => Ok(record),
            Err(problem) => Err(problem.into_response().status().as_u16()),
        }
    }

    #[test]
    fn headers_describe_the_record() {
        let record = described(&[
            ("content-type", "text/plain"),
            ("record-key", "roof%00 50%25"),
            ("record-timestamp", "2026-11-28T10:00:00Z"),
            ("Record-Header-Trace", "a"),
            ("record-header-%54race", "%ff"),
            ("record-header-trace", "b"),
            ("x-other", "not kept"),
        ])
        .unwrap();
        assert_eq!(record.key.as_deref(), Some(b"roof\0 50%".as_slice()));
        assert_eq!(record.timestamp_ms, Some(1_795_860_000_000));
        let names: Vec<_> = record.headers.iter().map(|header| (&header.name[..], header.value.as_deref())).collect();
        let expected: [(&[u8], Option<&[u8]>); 4] = [
            (b"content-type", Some(b"text/plain")),
            (b"trace", Some(b"a")),
            (b"trace", Some(b"b")),
            (b"Trace", Some(b"\xff")),
        ];
        assert_eq!(names, expected);
        assert_eq!(described(&[("record-key-base64", "AP8=")]).unwrap().key.as_deref(), Some(b"\0\xff".as_slice()));
        assert_eq!(described(&[("record-key", "")]).unwrap().key.as_deref(), Some(b"".as_slice()));
        assert_eq!(described(&[]).unwrap(), ProducerRecord::new("t"));
    }

    #[test]
    fn a_content_type_among_the_records_headers_wins() {
        let record = described(&[("content-type", "a/b"), ("record-header-content-type", "c/d")]).unwrap();
        assert_eq!(record.headers, [tidemark_client::Header::new("content-type", "c/d")]);
    }

    #[test]
    fn headers_that_cannot_be_understood_are_refused() {
        let cases: [(&[(&str, &str)], u16); 8] = [
            (&[("record-key", "a"), ("record-key-base64", "YQ==")], 400),
            (&[("record-key", "a"), ("record-key", "b")], 400),
            (&[("record-key", "50%")], 422),
            (&[("record-key-base64", "YQ")], 422),
            (&[("record-timestamp", "yesterday")], 400),
            (&[("record-timestamp", "-1")], 400),
            (&[("record-header-a", "%zz")], 422),
            (&[("record-header-%ff", "x")], 422),
        ];
        for (pairs, status) in cases {
            assert_eq!(described(pairs).unwrap_err(), status, "{pairs:?}");
        }
    }

    #[test]
    fn the_answer_says_where_the_record_is() {
        let position = RecordPosition { partition: 2, offset: Some(7), timestamp_ms: 9 };
        let full = written("t", &position, false);
        assert_eq!(full.status(), 201);
        assert_eq!(full.headers()["record-position"], "2:7");
        assert_eq!(full.headers()["location"], "/v1/streams/t/partitions/2/records?offset=7&limit=1");
        let minimal = written("t", &position, true);
        assert_eq!((minimal.status().as_u16(), &minimal.headers()["record-position"]), (204, &"2:7".parse().unwrap()));
        assert_eq!(minimal.headers()["preference-applied"], "return=minimal");
    }
}
