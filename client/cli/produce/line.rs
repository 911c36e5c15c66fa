//! One line as a record. Not here: where lines come from.

use bytes::Bytes;
use tidemark_client::{Header, ProducerRecord};

use crate::json;

/// How lines are read.
#[derive(Debug, Clone, Default)]
pub(super) struct LineFormat {
    pub topic: String,
    /// Each line is a JSON object.
    pub json: bool,
    /// Cuts the key from the value, at its first place.
    pub key_separator: Option<String>,
    /// A value that is this text is null.
    pub null_value: Option<String>,
    /// Added to every record.
    pub headers: Vec<Header>,
    pub partition: Option<i32>,
    /// For records that bring none of their own.
    pub timestamp_ms: Option<i64>,
}

impl LineFormat {
    /// The record that a line stands for.
    ///
    /// # Errors
    /// What is wrong with the line, in words.
    pub(super) fn record(&self, line: &[u8]) -> Result<ProducerRecord, String> {
        let mut record = if self.json { json::parse(line, &self.topic)? } else { self.text(line)? };
        record.headers.extend(self.headers.iter().cloned());
        record.partition = self.partition;
        record.timestamp_ms = record.timestamp_ms.or(self.timestamp_ms);
        Ok(record)
    }

    fn text(&self, line: &[u8]) -> Result<ProducerRecord, String> {
        let (key, value) = match &self.key_separator {
            None => (None, line),
            Some(separator) => {
                let place = line.windows(separator.len()).position(|window| window == separator.as_bytes());
                let place = place.ok_or_else(|| format!("no `{separator}` between key and value"))?;
                (Some(Bytes::copy_from_slice(&line[..place])), &line[place + separator.len()..])
            }
        };
        let null = self.null_value.as_ref().is_some_and(|null| null.as_bytes() == value);
        Ok(ProducerRecord {
            topic: self.topic.clone(),
            key,
            value: (!null).then(|| Bytes::copy_from_slice(value)),
            ..ProducerRecord::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_is_the_value_as_it_is() {
        let format = LineFormat { topic: "t".into(), partition: Some(2), ..LineFormat::default() };
        let record = format.record(b" a\tb ").unwrap();
        assert_eq!((record.key, record.value.unwrap(), record.partition), (None, Bytes::from(" a\tb "), Some(2)));
        assert_eq!(format.record(b"").unwrap().value, Some(Bytes::new()));
    }

    #[test]
    fn the_first_separator_cuts_and_the_marker_is_null() {
        let format = LineFormat {
            key_separator: Some("::".into()),
            null_value: Some("-".into()),
            headers: vec![Header::new("h", "1")],
            timestamp_ms: Some(5),
            ..LineFormat::default()
        };
        let record = format.record(b"k::v::w").unwrap();
        assert_eq!((record.key.unwrap(), record.value.unwrap()), (Bytes::from("k"), Bytes::from("v::w")));
        assert_eq!((record.headers.len(), record.timestamp_ms), (1, Some(5)));
        assert_eq!(format.record(b"k::-").unwrap().value, None);
        assert!(format.record(b"k:v").unwrap_err().contains("`::`"));
    }

    #[test]
    fn a_json_line_keeps_its_own_time() {
        let format = LineFormat { json: true, timestamp_ms: Some(5), ..LineFormat::default() };
        assert_eq!(format.record(br#"{"value":"v","timestamp":9}"#).unwrap().timestamp_ms, Some(9));
        assert_eq!(format.record(br#"{"value":"v"}"#).unwrap().timestamp_ms, Some(5));
    }
}
