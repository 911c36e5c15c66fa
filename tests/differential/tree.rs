//! An answer as a map from path to value, read from its `Debug` text: every field of every message, none named here.
//!
//! Elements of an array are named by what identifies them (`topics[name=a].partitions[partition_index=0]`), so that
//! order does not count. Record batches are taken apart, header field by header field.

use std::collections::BTreeMap;

use tidemark_record::{BatchHeader, HEADER_LEN, batch::LENGTH_PREFIX};

/// Path → value.
pub type Leaves = BTreeMap<String, String>;

/// Fields that identify an element among its neighbours, in order of preference.
const IDENTITIES: &[&str] = &[
    "api_key",
    "name",
    "topic",
    "topic_id",
    "resource_name",
    "partition_index",
    "partition",
    "index",
    "node_id",
    "broker_id",
    "producer_id",
];

#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Atom(String),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Struct(Vec<(String, Tree)>),
}

/// Reads `{:?}` of a decoded message.
pub fn parse(debug: &str) -> Tree {
    let mut reader = Reader { rest: debug };
    let tree = reader.value();
    assert!(reader.rest.is_empty(), "not read: {:?}", reader.rest);
    tree
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self, text: &str) -> bool {
        let found = self.rest.strip_prefix(text);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn value(&mut self) -> Tree {
        if self.rest.starts_with('"') {
            return Tree::Text(String::from_utf8_lossy(&self.quoted()).into_owned());
        }
        if self.skip("b\"") {
            return Tree::Bytes(self.quoted_body());
        }
        if self.skip("[") {
            return Tree::List(self.list("]"));
        }
        if self.skip("{") {
            return Tree::Struct(self.fields("}"));
        }
        let end = self.rest.find([',', ')', ']', '}', '(', '{']).unwrap_or(self.rest.len());
        let word = self.rest[..end].trim_end();
        self.rest = &self.rest[word.len()..];
        let word = word.to_owned();
        if self.skip("(") {
            let inner = self.list(")");
            return inner.into_iter().next().unwrap_or(Tree::Atom(word));
        }
        if self.skip(" { ") {
            return Tree::Struct(self.fields(" }"));
        }
        Tree::Atom(word)
    }

    fn list(&mut self, close: &str) -> Vec<Tree> {
        let mut out = Vec::new();
        while !self.skip(close) {
            out.push(self.value());
            self.skip(", ");
        }
        out
    }

    fn fields(&mut self, close: &str) -> Vec<(String, Tree)> {
        let mut out = Vec::new();
        while !self.skip(close) {
            let (name, rest) = self.rest.split_once(": ").expect("a field's name");
            let name = name.to_owned();
            self.rest = rest;
            out.push((name, self.value()));
            self.skip(", ");
        }
        out
    }

    fn quoted(&mut self) -> Vec<u8> {
        self.skip("\"");
        self.quoted_body()
    }

    /// Up to the closing quote, escapes undone.
    fn quoted_body(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return out;
                }
                '\\' => match chars.next().map(|(_, char)| char) {
                    Some('n') => out.push(b'\n'),
                    Some('r') => out.push(b'\r'),
                    Some('t') => out.push(b'\t'),
                    Some('0') => out.push(0),
                    Some('x') => {
                        let digits: String = chars.by_ref().take(2).map(|(_, char)| char).collect();
                        out.push(u8::from_str_radix(&digits, 16).expect("two hex digits"));
                    }
                    Some('u') => {
                        let digits: String =
                            chars.by_ref().map(|(_, char)| char).skip(1).take_while(|char| *char != '}').collect();
                        let char = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).expect("a character");
                        out.extend_from_slice(char.to_string().as_bytes());
                    }
                    Some(other) => out.extend_from_slice(other.to_string().as_bytes()),
                    None => break,
                },
                other => out.extend_from_slice(other.to_string().as_bytes()),
            }
        }
        panic!("a quote is not closed");
    }
}

impl Tree {
    /// Every leaf under its path; `name_value` turns (field, value) into what is compared.
    pub fn leaves(&self, mut name_value: impl FnMut(&str, &str) -> String) -> Leaves {
        let mut out = Leaves::new();
        walk(self, "", "", &mut name_value, &mut out);
        out
    }

    fn field(&self, name: &str) -> Option<&Self> {
        let Self::Struct(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    fn plain(&self) -> Option<&str> {
        match self {
            Self::Atom(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Each struct that has both fields, as texts.
    pub fn pairs(&self, first: &str, second: &str, found: &mut impl FnMut(&str, &str)) {
        if let (Some(a), Some(b)) = (self.field(first).and_then(Self::plain), self.field(second).and_then(Self::plain))
        {
            found(a, b);
        }
        match self {
            Self::Struct(fields) => fields.iter().for_each(|(_, value)| value.pairs(first, second, found)),
            Self::List(elements) => elements.iter().for_each(|value| value.pairs(first, second, found)),
            _ => {}
        }
    }
}

type NameValue<'a> = &'a mut dyn FnMut(&str, &str) -> String;

fn walk(tree: &Tree, path: &str, field: &str, name_value: NameValue, out: &mut Leaves) {
    match tree {
        Tree::Atom(text) | Tree::Text(text) => {
            let value = name_value(field, text);
            out.insert(path.to_owned(), value);
        }
        Tree::Bytes(bytes) if field == "records" => batches(bytes, path, name_value, out),
        Tree::Bytes(bytes) => {
            out.insert(path.to_owned(), format!("{bytes:02x?}"));
        }
        Tree::Struct(fields) => {
            for (name, value) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(value, &below, name, name_value, out);
            }
        }
        Tree::List(elements) => {
            out.insert(format!("{path}.len"), elements.len().to_string());
            for (at, element) in elements.iter().enumerate() {
                let mut label = identity(element, name_value).unwrap_or_else(|| at.to_string());
                while out.contains_key(&format!("{path}[{label}]")) {
                    label.push('\'');
                }
                // holds the label's place, so that a second element of the same identity gets another
                out.insert(format!("{path}[{label}]"), "present".to_owned());
                walk(element, &format!("{path}[{label}]"), field, name_value, out);
            }
        }
    }
}

fn identity(element: &Tree, name_value: NameValue) -> Option<String> {
    let named = IDENTITIES.iter().filter_map(|name| Some((*name, element.field(name)?.plain()?)));
    named
        .filter(|(_, value)| !value.is_empty() && !value.starts_with("00000000-"))
        .map(|(name, value)| format!("{name}={}", name_value(name, value)))
        .next()
}

/// Batches header by header, and what is behind the headers as bytes.
fn batches(mut bytes: &[u8], path: &str, name_value: NameValue, out: &mut Leaves) {
    let mut count = 0;
    while bytes.len() > LENGTH_PREFIX {
        let at = format!("{path}[{count}]");
        let Ok(header) = BatchHeader::parse(bytes) else { break };
        let whole = header.size_in_bytes().min(bytes.len());
        if whole < header.size_in_bytes() {
            out.insert(format!("{at}.cut_short"), format!("{whole} of {}", header.size_in_bytes()));
        }
        let numbers: [(&str, i64); 11] = [
            ("base_offset", header.base_offset),
            ("batch_length", i64::from(header.batch_length)),
            ("partition_leader_epoch", i64::from(header.partition_leader_epoch)),
            ("attributes", i64::from(header.attributes.0)),
            ("last_offset_delta", i64::from(header.last_offset_delta)),
            ("base_timestamp", header.base_timestamp),
            ("max_timestamp", header.max_timestamp),
            ("producer_id", header.producer_id),
            ("producer_epoch", i64::from(header.producer_epoch)),
            ("base_sequence", i64::from(header.base_sequence)),
            ("records_count", i64::from(header.records_count)),
        ];
        for (name, number) in numbers {
            out.insert(format!("{at}.{name}"), name_value(name, &number.to_string()));
        }
        let payload = &bytes[HEADER_LEN.min(whole)..whole];
        let records = match header.compression() {
            // recompressed by the broker: two libraries may pack the same records differently
            Some(codec) if whole == header.size_in_bytes() => codec.decompress(payload, 1 << 24).unwrap_or_default(),
            _ => payload.to_vec(),
        };
        out.insert(format!("{at}.payload"), format!("{} bytes, crc {:08x}", records.len(), crc(&records)));
        bytes = &bytes[whole..];
        count += 1;
    }
    out.insert(format!("{path}.batches"), count.to_string());
    out.insert(format!("{path}.bytes_behind"), bytes.len().to_string());
}

/// The checksum of a batch is taken from byte 21 on; the payload is put behind so many.
fn crc(payload: &[u8]) -> u32 {
    tidemark_record::batch::checksum(&[&[0; 21], payload].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_text_becomes_paths() {
        #[derive(Debug)]
        #[allow(dead_code, reason = "read through Debug")]
        struct Topic {
            name: &'static str,
            partitions: Vec<i32>,
            note: Option<&'static str>,
        }
        let topics = vec![
            Topic { name: "a, \"b\"", partitions: vec![1, -2], note: None },
            Topic { name: "c", partitions: vec![], note: Some("x: y") },
        ];
        let leaves = parse(&format!("{topics:?}")).leaves(|_, value| value.to_owned());
        assert_eq!(leaves["[name=a, \"b\"].partitions[1]"], "-2");
        assert_eq!(leaves["[name=a, \"b\"].note"], "None");
        assert_eq!(leaves["[name=c].note"], "x: y");
        assert_eq!(leaves["[name=c].partitions.len"], "0");
    }

    #[test]
    fn bytes_come_through() {
        let bytes = bytes::Bytes::from((0..=255).collect::<Vec<u8>>());
        assert_eq!(parse(&format!("{bytes:?}")), Tree::Bytes((0..=255).collect()));
    }
}
