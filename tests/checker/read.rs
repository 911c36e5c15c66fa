//! A history's text as lines. The text is hostile: a bad line is named by its number, and none is kept that is too long.

use std::io::{BufRead, Read};

use serde_json::{Map, Value};

use super::{
    checker::Checker,
    line::{ByKey, Event, Function, Kind, Line, MicroOp, Operation, Polled, State},
    report::Report,
    settings::Settings,
};

/// The most bytes of one line.
pub const LINE_BYTES_MAX: u64 = 16 << 20;

/// A line that is no history, or contradicts the lines before it.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub number: u64,
    /// Why.
    pub cause: String,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.number, self.cause)
    }
}

/// Reads and judges a whole history.
///
/// # Errors
/// The first bad line.
pub fn check(mut history: impl BufRead) -> Result<Report, BadLine> {
    let mut checker = Checker::default();
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let bad = |cause: String| BadLine { number, cause };
        let read = history.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
        if read.map_err(|error| bad(error.to_string()))? == 0 {
            break;
        }
        if text.len() as u64 == LINE_BYTES_MAX && !text.ends_with(b"\n") {
            return Err(bad(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(&text).map_err(|error| bad(error.to_string()))?.trim();
        if !text.is_empty() {
            checker.take(parse(text).map_err(bad)?).map_err(|contradiction| bad(contradiction.0))?;
        }
    }
    Ok(checker.finish())
}

/// One line.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Line, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(fields) = value else { return Err("not an object".to_owned()) };
    let line = Fields(fields);
    let kind = line.text("type")?;
    let event = match kind {
        "run" => Event::Run(Settings {
            acks: line.int("acks")?.try_into().map_err(|_| "acks is out of range".to_owned())?,
            idempotent: line.flag("idempotent")?,
            read_committed: line.flag("read_committed")?,
        }),
        "fault" => Event::Fault {
            kind: line.text("fault")?.to_owned(),
            state: line.state()?,
            detail: line.text_or_empty("detail")?.to_owned(),
        },
        "final" => Event::Final(line.state()?),
        "divergence" => {
            Event::Divergence { key: line.text("key")?.to_owned(), detail: line.text("detail")?.to_owned() }
        }
        "invoke" => Event::Operation(operation(&line, Kind::Invoke)?),
        "ok" => Event::Operation(operation(&line, Kind::Ok)?),
        "fail" => Event::Operation(operation(&line, Kind::Fail)?),
        "info" => Event::Operation(operation(&line, Kind::Info)?),
        other => return Err(format!("unknown type {other:?}")),
    };
    Ok(Line { index: line.number("index")?, time_ns: line.number("time_ns")?, event })
}

fn operation(line: &Fields, kind: Kind) -> Result<Operation, String> {
    let process = u32::try_from(line.number("process")?).map_err(|_| "process is out of range".to_owned())?;
    let ops = line.list("ops")?.iter().map(micro_op).collect::<Result<_, _>>()?;
    let rebalances = line
        .list("rebalance")?
        .iter()
        .map(|event| event.as_str().map(str::to_owned).ok_or_else(|| "rebalance holds what is no text".to_owned()));
    Ok(Operation {
        process,
        client: line.text_or_empty("client")?.to_owned(),
        kind,
        function: function(line.text("f")?)?,
        ops,
        error: line.0.get("error").filter(|error| !error.is_null()).map(shown),
        invoke: if line.0.contains_key("invoke") { Some(line.number("invoke")?) } else { None },
        rebalances: rebalances.collect::<Result<_, _>>()?,
    })
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn function(name: &str) -> Result<Function, String> {
    let all = Function::ALL.iter().find(|function| function.name() == name);
    all.copied().ok_or_else(|| format!("unknown f {name:?}"))
}

fn micro_op(value: &Value) -> Result<MicroOp, String> {
    let parts = value.as_array().map(Vec::as_slice);
    match parts {
        Some([Value::String(letter), parts @ ..]) => match (letter.as_str(), parts) {
            ("s", [key, value]) => Ok(MicroOp::Send { key: key_of(key)?, value: value_of(value)?, offset: None }),
            ("s", [key, value, offset]) => {
                Ok(MicroOp::Send { key: key_of(key)?, value: value_of(value)?, offset: optional(offset)? })
            }
            ("p", [polled]) => by_key(polled, records).map(MicroOp::Poll),
            ("h", [offsets]) => by_key(offsets, offset_of).map(MicroOp::HighWatermark),
            ("l", [offsets]) => by_key(offsets, optional).map(MicroOp::Latest),
            ("t", [offsets]) => by_key(offsets, optional).map(MicroOp::LastStable),
            ("d", [offsets]) => by_key(offsets, offset_of).map(MicroOp::LogStart),
            ("c", [group, offsets]) => Ok(MicroOp::Commit(key_of(group)?, by_key(offsets, offset_of)?)),
            ("g", [group, offsets]) => Ok(MicroOp::Committed(key_of(group)?, by_key(offsets, optional)?)),
            _ => Err(format!("unknown micro-op {letter:?} of {} parts", parts.len())),
        },
        _ => Err("a micro-op is no list that begins with a letter".to_owned()),
    }
}

fn key_of(value: &Value) -> Result<String, String> {
    value.as_str().filter(|key| !key.is_empty()).map(str::to_owned).ok_or_else(|| format!("{value} is no key"))
}

fn value_of(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("{value} is no value"))
}

fn offset_of(value: &Value) -> Result<i64, String> {
    value.as_i64().filter(|offset| *offset >= 0).ok_or_else(|| format!("{value} is no offset"))
}

fn optional(value: &Value) -> Result<Option<i64>, String> {
    if value.is_null() { Ok(None) } else { offset_of(value).map(Some) }
}

fn by_key<T>(value: &Value, of: impl Fn(&Value) -> Result<T, String>) -> Result<ByKey<T>, String> {
    let keys = value.as_object().ok_or_else(|| "a micro-op names no keys".to_owned())?;
    keys.iter().map(|(key, value)| Ok((key.clone(), of(value)?))).collect()
}

fn records(value: &Value) -> Result<Vec<Polled>, String> {
    let records = value.as_array().ok_or_else(|| "polled records are no list".to_owned())?;
    let record = |record: &Value| match record.as_array().map(Vec::as_slice) {
        Some([offset, value]) => Ok(Polled { offset: offset_of(offset)?, value: value_of(value)?, flaw: None }),
        Some([offset, value, flaw]) => {
            Ok(Polled { offset: offset_of(offset)?, value: value_of(value)?, flaw: Some(shown(flaw)) })
        }
        _ => Err("a polled record is not [offset, value]".to_owned()),
    };
    records.iter().map(record).collect()
}

/// The fields of a line.
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&self, name: &str) -> Result<&str, String> {
        self.0.get(name).and_then(Value::as_str).ok_or_else(|| format!("{name} is missing or no text"))
    }

    fn text_or_empty(&self, name: &str) -> Result<&str, String> {
        if self.0.contains_key(name) { self.text(name) } else { Ok("") }
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        self.0.get(name).and_then(Value::as_u64).ok_or_else(|| format!("{name} is missing or no whole number"))
    }

    fn int(&self, name: &str) -> Result<i64, String> {
        self.0.get(name).and_then(Value::as_i64).ok_or_else(|| format!("{name} is missing or no whole number"))
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        self.0.get(name).and_then(Value::as_bool).ok_or_else(|| format!("{name} is missing or neither true nor false"))
    }

    fn list(&self, name: &str) -> Result<&[Value], String> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(list) => list.as_array().map(Vec::as_slice).ok_or_else(|| format!("{name} is no list")),
        }
    }

    fn state(&self) -> Result<State, String> {
        match self.text("state")? {
            "begin" => Ok(State::Begin),
            "end" => Ok(State::End),
            other => Err(format!("unknown state {other:?}")),
        }
    }
}
