//! A line's text; the inverse of `read`.

use std::fmt::{self, Display, Formatter, Write};

use super::line::{Event, Function, Kind, Line, MicroOp, Operation, Polled, State};

impl Kind {
    /// As a line says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }
}

impl Function {
    /// All of them.
    pub(super) const ALL: [Self; 9] = [
        Self::Send,
        Self::Poll,
        Self::Txn,
        Self::Assign,
        Self::Subscribe,
        Self::Commit,
        Self::Offsets,
        Self::Delete,
        Self::Crash,
    ];

    /// As a line says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Poll => "poll",
            Self::Txn => "txn",
            Self::Assign => "assign",
            Self::Subscribe => "subscribe",
            Self::Commit => "commit",
            Self::Offsets => "offsets",
            Self::Delete => "delete",
            Self::Crash => "crash",
        }
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::End => "end",
        }
    }
}

/// One JSON object, without the line's end.
impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"index":{},"time_ns":{}"#, self.index, self.time_ns)?;
        match &self.event {
            Event::Run(run) => write!(
                f,
                r#","type":"run","acks":{},"idempotent":{},"read_committed":{}"#,
                run.acks, run.idempotent, run.read_committed
            )?,
            Event::Fault { kind, state, detail } => write!(
                f,
                r#","type":"fault","fault":{},"state":"{}","detail":{}"#,
                Text(kind),
                state.name(),
                Text(detail)
            )?,
            Event::Final(state) => write!(f, r#","type":"final","state":"{}""#, state.name())?,
            Event::Divergence { key, detail } => {
                write!(f, r#","type":"divergence","key":{},"detail":{}"#, Text(key), Text(detail))?;
            }
            Event::Operation(operation) => write_operation(f, operation)?,
        }
        f.write_char('}')
    }
}

fn write_operation(f: &mut Formatter<'_>, operation: &Operation) -> fmt::Result {
    write!(f, r#","process":{}"#, operation.process)?;
    if !operation.client.is_empty() {
        write!(f, r#","client":{}"#, Text(&operation.client))?;
    }
    write!(f, r#","type":"{}","f":"{}""#, operation.kind.name(), operation.function.name())?;
    if let Some(invoke) = operation.invoke {
        write!(f, r#","invoke":{invoke}"#)?;
    }
    f.write_str(r#","ops":"#)?;
    listed(f, ['[', ']'], operation.ops.iter(), micro_op)?;
    if let Some(error) = &operation.error {
        write!(f, r#","error":{}"#, Text(error))?;
    }
    if !operation.rebalances.is_empty() {
        f.write_str(r#","rebalance":"#)?;
        listed(f, ['[', ']'], operation.rebalances.iter(), |f, event| write!(f, "{}", Text(event)))?;
    }
    Ok(())
}

fn micro_op(f: &mut Formatter<'_>, op: &MicroOp) -> fmt::Result {
    match op {
        MicroOp::Send { key, value, offset: None } => write!(f, r#"["s",{},{value}]"#, Text(key)),
        MicroOp::Send { key, value, offset: Some(offset) } => write!(f, r#"["s",{},{value},{offset}]"#, Text(key)),
        MicroOp::Poll(polled) => {
            f.write_str(r#"["p","#)?;
            by_key(f, polled, |f, records| listed(f, ['[', ']'], records.iter(), record))?;
            f.write_char(']')
        }
        MicroOp::HighWatermark(offsets) => lettered(f, "h", None, offsets, number),
        MicroOp::Latest(offsets) => lettered(f, "l", None, offsets, optional),
        MicroOp::LastStable(offsets) => lettered(f, "t", None, offsets, optional),
        MicroOp::LogStart(offsets) => lettered(f, "d", None, offsets, number),
        MicroOp::Commit(group, offsets) => lettered(f, "c", Some(group), offsets, number),
        MicroOp::Committed(group, offsets) => lettered(f, "g", Some(group), offsets, optional),
    }
}

fn lettered<T>(
    f: &mut Formatter<'_>,
    letter: &str,
    group: Option<&str>,
    offsets: &[(String, T)],
    of: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(f, r#"["{letter}","#)?;
    if let Some(group) = group {
        write!(f, "{},", Text(group))?;
    }
    by_key(f, offsets, of)?;
    f.write_char(']')
}

fn by_key<T>(
    f: &mut Formatter<'_>,
    entries: &[(String, T)],
    of: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    listed(f, ['{', '}'], entries.iter(), |f, (key, value)| {
        write!(f, "{}:", Text(key))?;
        of(f, value)
    })
}

fn record(f: &mut Formatter<'_>, record: &Polled) -> fmt::Result {
    write!(f, "[{},{}", record.offset, record.value)?;
    if let Some(flaw) = &record.flaw {
        write!(f, ",{}", Text(flaw))?;
    }
    f.write_char(']')
}

fn number(f: &mut Formatter<'_>, offset: &i64) -> fmt::Result {
    write!(f, "{offset}")
}

fn optional(f: &mut Formatter<'_>, offset: &Option<i64>) -> fmt::Result {
    match offset {
        Some(offset) => write!(f, "{offset}"),
        None => f.write_str("null"),
    }
}

fn listed<T>(
    f: &mut Formatter<'_>,
    [open, close]: [char; 2],
    items: impl Iterator<Item = T>,
    of: impl Fn(&mut Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (place, item) in items.enumerate() {
        if place > 0 {
            f.write_char(',')?;
        }
        of(f, item)?;
    }
    f.write_char(close)
}

/// A text in quotes, with JSON's escapes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                control if control < ' ' => write!(f, "\\u{:04x}", control as u32)?,
                plain => f.write_char(plain)?,
            }
        }
        f.write_char('"')
    }
}
