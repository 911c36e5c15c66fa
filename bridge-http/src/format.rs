//! Writes records as JSON or as one raw body, so that every byte can be had back. Not here: which records.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use tidemark_client::{Header, Record};

use crate::{
    error::{Kind, Problem},
    headers::{RECORD_HEADER, RECORD_KEY, RECORD_POSITION, RECORD_TIMESTAMP, RECORD_TOMBSTONE},
    media_type::MediaType,
    percent, strict_json,
};

/// What a raw record's headers may have together; most clients take no more.
const RAW_HEADERS_BYTES_MAX: usize = 16 * 1024;

/// How values stand in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// JSON as JSON where the record's content type says so, other UTF-8 as text, the rest as Base64.
    Json,
    /// UTF-8 as text, the rest as Base64.
    Text,
    /// All as Base64.
    Base64,
}

impl Encoding {
    /// By its name in a query.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "text" => Some(Self::Text),
            "base64" => Some(Self::Base64),
            _ => None,
        }
    }
}

/// Writes one record as a JSON object. On one line if `line`.
pub(crate) fn write_record(out: &mut Vec<u8>, record: &Record, encoding: Encoding, line: bool) {
    out.extend_from_slice(b"{\"offset\":");
    write_number(out, record.offset);
    out.extend_from_slice(b",\"timestamp\":");
    write_number(out, record.timestamp_ms);
    out.push(b',');
    write_bytes(out, "key", record.key.as_ref(), encoding);
    out.push(b',');
    match record.value.as_ref().filter(|value| encoding == Encoding::Json && embeds(record, value, line)) {
        Some(value) => {
            out.extend_from_slice(b"\"value\":");
            out.extend_from_slice(value);
            out.extend_from_slice(b",\"value_encoding\":\"json\"");
        }
        None => write_bytes(out, "value", record.value.as_ref(), encoding),
    }
    out.extend_from_slice(b",\"headers\":[");
    for (at, header) in record.headers.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{" } else { b",{" });
        write_header(out, header, encoding);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// Whether a value may stand in JSON as it is.
fn embeds(record: &Record, value: &Bytes, line: bool) -> bool {
    let content_type = record.headers.iter().find(|header| header.name.eq_ignore_ascii_case(b"content-type"));
    let content_type = content_type.and_then(|header| header.value.as_ref());
    content_type.is_some_and(|content_type| MediaType::stored(content_type) == MediaType::Json)
        && !(line && value.iter().any(|byte| matches!(byte, b'\n' | b'\r')))
        && strict_json::check(value).is_ok()
}

fn write_header(out: &mut Vec<u8>, header: &Header, encoding: Encoding) {
    match str::from_utf8(&header.name) {
        Ok(name) => {
            out.extend_from_slice(b"\"name\":");
            write_text(out, name);
        }
        Err(_) => write_bytes(out, "name", Some(&header.name), Encoding::Base64),
    }
    out.push(b',');
    write_bytes(out, "value", header.value.as_ref(), encoding);
}

/// Writes `"name":…,"name_encoding":…`.
fn write_bytes(out: &mut Vec<u8>, name: &str, bytes: Option<&Bytes>, encoding: Encoding) {
    let text = bytes.filter(|_| encoding != Encoding::Base64).and_then(|bytes| str::from_utf8(bytes).ok());
    write_text(out, name);
    out.push(b':');
    let encoding: &[u8] = match (bytes, text) {
        (None, _) => {
            out.extend_from_slice(b"null");
            b"null"
        }
        (_, Some(text)) => {
            write_text(out, text);
            b"\"text\""
        }
        (Some(bytes), None) => {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
            b"\"base64\""
        }
    };
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"_encoding\":");
    out.extend_from_slice(encoding);
}

/// Writes a JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    // writing to a Vec cannot fail, and a str is always a JSON string
    let _ = serde_json::to_writer(out, text);
}

/// Writes a number.
pub(crate) fn write_number(out: &mut Vec<u8>, number: i64) {
    let _ = serde_json::to_writer(out, &number);
}

/// The headers that go with one raw value. Sent back with the value, they make the same record again. The content type
/// is always that of plain bytes, so that no stored page is ever shown as one of ours.
///
/// # Errors
/// Key and headers are too large for a head.
pub(crate) fn raw_headers(partition: i32, record: &Record) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    let mut left = RAW_HEADERS_BYTES_MAX;
    let mut add = |name: HeaderName, value: String| {
        let too_large = || Problem::new(Kind::NotAcceptable, "key and headers are too large for HTTP; ask for JSON");
        left = left.checked_sub(name.as_str().len() + value.len()).ok_or_else(too_large)?;
        headers.append(name, HeaderValue::try_from(value).map_err(|_| too_large())?);
        Ok::<_, Problem>(())
    };
    add(RECORD_POSITION, format!("{partition}:{}", record.offset))?;
    if record.timestamp_ms >= 0 {
        add(RECORD_TIMESTAMP, record.timestamp_ms.to_string())?;
    }
    if let Some(key) = &record.key {
        add(RECORD_KEY, percent::encode_value(key))?;
    }
    if record.value.is_none() {
        add(RECORD_TOMBSTONE, "true".to_owned())?;
    }
    for header in &record.headers {
        let name = format!("{RECORD_HEADER}{}", percent::encode_name(&header.name)).to_ascii_lowercase();
        let too_long = |_| Problem::new(Kind::NotAcceptable, "a header's name is too long for HTTP; ask for JSON");
        let name = HeaderName::try_from(name).map_err(too_long)?;
        add(name, percent::encode_value(header.value.as_deref().unwrap_or_default()))?;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn record(value: Option<&[u8]>, content_type: Option<&str>) -> Record {
        let headers = content_type.map(|text| Header::new("content-type", text.to_owned()));
        Record {
            offset: 7,
            timestamp_ms: 9,
            key: Some(Bytes::from_static(b"roof")),
            value: value.map(Bytes::copy_from_slice),
            headers: headers.into_iter().collect(),
        }
    }

    fn written(record: &Record, encoding: Encoding, line: bool) -> String {
        let mut out = Vec::new();
        write_record(&mut out, record, encoding, line);
        String::from_utf8(out).unwrap()
    }

    fn bytes_of(object: &Value, name: &str) -> Option<Vec<u8>> {
        match object[format!("{name}_encoding")].as_str() {
            None => None,
            Some("text") => Some(object[name].as_str().unwrap().as_bytes().to_vec()),
            Some("base64") => Some(STANDARD.decode(object[name].as_str().unwrap()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_stands_as_it_was_sent() {
        let value = br#"{ "t":21.50,"u":1e2 }"#;
        let text = written(&record(Some(value), Some("application/json; charset=utf-8")), Encoding::Json, true);
        assert_eq!(
            text,
            concat!(
                r#"{"offset":7,"timestamp":9,"key":"roof","key_encoding":"text","value":{ "t":21.50,"u":1e2 },"#,
                r#""value_encoding":"json","headers":[{"name":"content-type","#,
                r#""value":"application/json; charset=utf-8","value_encoding":"text"}]}"#
            )
        );
    }

    #[test]
    fn what_is_no_json_or_not_called_so_stands_as_text() {
        let cases: [(&[u8], Option<&str>, bool, &str); 6] = [
            (b"{}", None, false, r#""value":"{}","value_encoding":"text""#),
            (b"{}", Some("text/plain"), false, r#""value":"{}","value_encoding":"text""#),
            (b"{]", Some("application/json"), false, r#""value":"{]","value_encoding":"text""#),
            (b"{\n}", Some("application/json"), true, r#""value":"{\n}","value_encoding":"text""#),
            (b"\xff", Some("application/json"), false, r#""value":"/w==","value_encoding":"base64""#),
            (b"null", Some("application/json"), false, r#""value":null,"value_encoding":"json""#),
        ];
        for (value, content_type, line, expected) in cases {
            let text = written(&record(Some(value), content_type), Encoding::Json, line);
            assert!(text.contains(expected), "{text}");
        }
        let tombstone = written(&record(None, Some("application/json")), Encoding::Json, false);
        assert!(tombstone.contains(r#""value":null,"value_encoding":null"#), "{tombstone}");
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(
            key: Option<Vec<u8>>,
            value in prop_oneof![any::<Option<Vec<u8>>>(), ".*".prop_map(|text| Some(text.into_bytes()))],
            header: (String, Option<Vec<u8>>),
            base64: bool,
        ) {
            let record = Record {
                offset: 1,
                timestamp_ms: 2,
                key: key.clone().map(Bytes::from),
                value: value.clone().map(Bytes::from),
                headers: vec![Header { name: header.0.clone().into(), value: header.1.clone().map(Bytes::from) }],
            };
            let encoding = if base64 { Encoding::Base64 } else { Encoding::Text };
            let text = written(&record, encoding, true);
            prop_assert!(!text.contains(['\n', '\r']));
            let object: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(bytes_of(&object, "key"), key);
            prop_assert_eq!(bytes_of(&object, "value"), value);
            prop_assert_eq!(object["headers"][0]["name"].as_str(), Some(header.0.as_str()));
            prop_assert_eq!(bytes_of(&object["headers"][0], "value"), header.1);
        }
    }

    #[test]
    fn raw_headers_are_safe_and_bounded() {
        let mut raw = record(None, Some("text/html"));
        raw.key = Some(Bytes::from_static(b"a\r\nb%"));
        raw.headers.push(Header { name: Bytes::from_static(b"X Y"), value: None });
        let headers = raw_headers(3, &raw).ok().unwrap();
        assert_eq!(headers["content-type"], "application/octet-stream");
        assert_eq!(headers["record-position"], "3:7");
        assert_eq!(headers["record-key"], "a%0D%0Ab%25");
        assert_eq!(headers["record-tombstone"], "true");
        assert_eq!(headers["record-header-content-type"], "text/html");
        assert_eq!(headers["record-header-%58%20%59"], "");
        raw.key = Some(Bytes::from(vec![b'x'; 20_000]));
        assert!(raw_headers(3, &raw).is_err());
    }
}
