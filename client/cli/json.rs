//! Records as JSON lines: what `consume --json` writes and `produce --json` reads, without losing a byte.
//!
//! Bytes that are UTF-8 are strings; others are `{"base64": "…"}`; Kafka's null is `null`.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tidemark_client::{Header, ProducerRecord, Record};

use crate::time;

const BASE64: &str = "base64";

/// Bytes, or null, as JSON.
pub(crate) fn bytes(bytes: Option<&[u8]>) -> Value {
    match bytes.map(std::str::from_utf8) {
        None => Value::Null,
        Some(Ok(text)) => Value::from(text),
        Some(Err(_)) => json!({ BASE64: STANDARD.encode(bytes.unwrap_or_default()) }),
    }
}

/// One record with its place.
pub(crate) fn record(topic: &str, partition: i32, record: &Record) -> Value {
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|header| json!({ "name": bytes(Some(&header.name)), "value": bytes(header.value.as_deref()) }))
        .collect();
    json!({
        "topic": topic,
        "partition": partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "time": time::shown(record.timestamp_ms),
        "key": bytes(record.key.as_deref()),
        "value": bytes(record.value.as_deref()),
        "headers": headers,
    })
}

/// A record to write: `value` must be there, `key`, `headers`, `timestamp` and `partition` may. Other fields are passed
/// over, so that what `consume --json` wrote can be written again.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn parse(line: &[u8], topic: &str) -> Result<ProducerRecord, String> {
    let value: Value = serde_json::from_slice(line).map_err(|cause| format!("no JSON: {cause}"))?;
    let Value::Object(mut fields) = value else { return Err("no JSON object".into()) };
    let mut record = ProducerRecord::new(topic);
    record.value = match fields.remove("value") {
        Some(value) => content(value)?,
        None => return Err("no `value` (null writes a tombstone)".into()),
    };
    record.key = content(fields.remove("key").unwrap_or_default())?;
    record.headers = headers(fields.remove("headers").unwrap_or_default())?;
    record.timestamp_ms = match fields.remove("timestamp") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(time::instant(&text)?),
        Some(number) => match number.as_i64() {
            Some(ms) if ms >= 0 => Some(ms),
            _ => return Err(format!("`timestamp` {number} is no time in milliseconds since 1970")),
        },
    };
    Ok(record)
}

/// Strings are their bytes, null is null, `{"base64": …}` is bytes; any other JSON is its own text.
fn content(value: Value) -> Result<Option<Bytes>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into())),
        Value::Object(fields) if is_base64(&fields) => {
            let text = fields[BASE64].as_str().unwrap_or_default();
            let bytes = STANDARD.decode(text).map_err(|cause| format!("bad base64 `{text}`: {cause}"))?;
            Ok(Some(bytes.into()))
        }
        other => Ok(Some(other.to_string().into())),
    }
}

fn is_base64(fields: &Map<String, Value>) -> bool {
    fields.len() == 1 && fields.get(BASE64).is_some_and(Value::is_string)
}

/// A list of `{"name": …, "value": …}`, or an object where names do not repeat.
fn headers(value: Value) -> Result<Vec<Header>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| Ok(Header { name: name.into(), value: content(value)? })).collect()
        }
        Value::Array(list) => list.into_iter().map(header).collect(),
        other => Err(format!("`headers` {other} is neither a list nor an object")),
    }
}

fn header(value: Value) -> Result<Header, String> {
    let Value::Object(mut fields) = value else { return Err(format!("header {value} is no object")) };
    let Some(name) = content(fields.remove("name").unwrap_or_default())? else {
        return Err("a header has no `name`".into());
    };
    Ok(Header { name, value: content(fields.remove("value").unwrap_or_default())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<ProducerRecord, String> {
        parse(line.as_bytes(), "t")
    }

    #[test]
    fn what_was_written_reads_back_to_the_last_byte() {
        let header = |name: &[u8], value: Option<&[u8]>| Header {
            name: Bytes::copy_from_slice(name),
            value: value.map(Bytes::copy_from_slice),
        };
        let headers = vec![header(b"a", Some(b"1")), header(b"a", None), header(&[0xff], Some(&[0, 159]))];
        for (key, value) in
            [(None, None), (Some(&b"k"[..]), Some(&b""[..])), (Some(&[0xfe][..]), Some("größe\n".as_bytes()))]
        {
            let stored = Record {
                offset: 7,
                timestamp_ms: 1_795_428_000_000,
                key: key.map(Bytes::copy_from_slice),
                value: value.map(Bytes::copy_from_slice),
                headers: headers.clone(),
            };
            let again = read(&record("other", 3, &stored).to_string()).unwrap();
            assert_eq!((&again.key, &again.value, &again.headers), (&stored.key, &stored.value, &stored.headers));
            assert_eq!(
                (again.timestamp_ms, again.topic.as_str(), again.partition),
                (Some(stored.timestamp_ms), "t", None)
            );
        }
    }

    #[test]
    fn other_json_is_its_own_text_and_times_may_be_text() {
        let record =
            read(r#"{"value":{"t":21.5,"ok":true},"key":5,"headers":{"h":"x"},"timestamp":"2026-11-23T10:00:00Z"}"#);
        let record = record.unwrap();
        assert_eq!(record.value.unwrap(), r#"{"t":21.5,"ok":true}"#);
        assert_eq!((record.key.unwrap(), record.headers), (Bytes::from("5"), vec![Header::new("h", "x")]));
        assert_eq!(record.timestamp_ms, Some(1_795_428_000_000));
    }

    #[test]
    fn what_is_no_record_is_refused_with_the_reason() {
        let cases = [
            ("", "no JSON"),
            ("5", "no JSON object"),
            (r#"{"key":"a"}"#, "no `value`"),
            (r#"{"value":{"base64":"*"}}"#, "bad base64"),
            (r#"{"value":"","headers":5}"#, "`headers`"),
            (r#"{"value":"","headers":[5]}"#, "header 5"),
            (r#"{"value":"","headers":[{"value":"x"}]}"#, "no `name`"),
            (r#"{"value":"","timestamp":-5}"#, "`timestamp`"),
            (r#"{"value":"","timestamp":"noon"}"#, "no time"),
        ];
        for (line, reason) in cases {
            let said = read(line).expect_err(line);
            assert!(said.contains(reason), "{line}: {said}");
        }
    }
}
