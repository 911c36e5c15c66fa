//! `--format`: text with places for the parts of a record.

use std::{io, io::Write, str::FromStr};

use tidemark_client::Record;

use crate::time;

/// Text and places, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Time,
    Key,
    Value,
    Headers,
    Header(String),
}

impl FromStr for Template {
    type Err = String;

    /// `{key}` and the like are places; `{{` and `}}` are braces; `\t`, `\n`, `\0` and `\\` are what they are in C.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '\\' => literal.push(escape(rest.next())?),
                '{' if rest.as_str().starts_with('{') => {
                    rest.next();
                    literal.push('{');
                }
                '}' if rest.as_str().starts_with('}') => {
                    rest.next();
                    literal.push('}');
                }
                '}' => return Err("a `}` without its `{`; write `}}` for a brace".into()),
                '{' => {
                    let (name, after) = rest.as_str().split_once('}').ok_or("a `{` without its `}`")?;
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    pieces.push(place(name)?);
                    rest = after.chars();
                }
                other => literal.push(other),
            }
        }
        pieces.push(Piece::Text(literal));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self(pieces))
    }
}

fn escape(next: Option<char>) -> Result<char, String> {
    match next {
        Some('t') => Ok('\t'),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('0') => Ok('\0'),
        Some('\\') => Ok('\\'),
        other => Err(format!("`\\{}` is none of \\t \\n \\r \\0 \\\\", other.map(String::from).unwrap_or_default())),
    }
}

fn place(name: &str) -> Result<Piece, String> {
    Ok(match name {
        "topic" => Piece::Topic,
        "partition" => Piece::Partition,
        "offset" => Piece::Offset,
        "timestamp" => Piece::Timestamp,
        "time" => Piece::Time,
        "key" => Piece::Key,
        "value" => Piece::Value,
        "headers" => Piece::Headers,
        _ => match name.strip_prefix("header:") {
            Some(header) if !header.is_empty() => Piece::Header(header.to_owned()),
            _ => {
                return Err(format!(
                    "`{{{name}}}` is none of {{topic}} {{partition}} {{offset}} {{timestamp}} {{time}} {{key}} {{value}} {{headers}} {{header:NAME}}"
                ));
            }
        },
    })
}

impl Template {
    /// Writes a record, without an end of line. `null` stands for Kafka's null.
    pub(super) fn write(
        &self,
        out: &mut impl Write,
        topic: &str,
        partition: i32,
        record: &Record,
        null: &str,
    ) -> io::Result<()> {
        let bytes = |bytes: &Option<bytes::Bytes>| bytes.clone().unwrap_or_else(|| null.to_owned().into());
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.write_all(text.as_bytes())?,
                Piece::Topic => out.write_all(topic.as_bytes())?,
                Piece::Partition => write!(out, "{partition}")?,
                Piece::Offset => write!(out, "{}", record.offset)?,
                Piece::Timestamp => write!(out, "{}", record.timestamp_ms)?,
                Piece::Time => out.write_all(time::shown(record.timestamp_ms).as_bytes())?,
                Piece::Key => out.write_all(&bytes(&record.key))?,
                Piece::Value => out.write_all(&bytes(&record.value))?,
                Piece::Headers => {
                    for (place, header) in record.headers.iter().enumerate() {
                        out.write_all(if place > 0 { b"," } else { b"" })?;
                        out.write_all(&header.name)?;
                        out.write_all(b"=")?;
                        out.write_all(&bytes(&header.value))?;
                    }
                }
                Piece::Header(name) => {
                    if let Some(header) = record.headers.iter().find(|header| header.name == name.as_bytes()) {
                        out.write_all(&bytes(&header.value))?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidemark_client::Header;

    use super::*;

    fn written(template: &str) -> String {
        let record = Record {
            offset: 7,
            timestamp_ms: 1_795_428_000_000,
            key: None,
            value: Some("v".into()),
            headers: vec![Header::new("a", "1"), Header { name: "b".into(), value: None }],
        };
        let mut out = Vec::new();
        template.parse::<Template>().unwrap().write(&mut out, "t", 3, &record, "-").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn places_are_filled() {
        assert_eq!(written(r"{topic}/{partition}@{offset}\t{key}={value}"), "t/3@7\t-=v");
        assert_eq!(written("{timestamp} {time}"), "1795428000000 2026-11-23T10:00:00.000Z");
        assert_eq!(written("{headers} {header:a}{header:b}{header:c}"), "a=1,b=- 1-");
        assert_eq!(written(r"{{{value}}}\\"), r"{v}\");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["{", "}", "{key", "{keys}", "{header:}", r"\x", "\\"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }
}
