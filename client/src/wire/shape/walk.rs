//! The walk itself: one pass over the bytes, guided by the shape, with a budget of elements. Not here: the shapes.

use super::{Field, Kind, Shape};

/// Array elements and tagged fields that one message may hold. A decoder turns an element of one byte into a struct of a
/// hundred, so a frame of tiny elements would cost many times its size.
pub const ELEMENTS_MAX: usize = 250_000;

/// The longest string (Kafka: a signed 16-bit length, in compact form too).
const STRING_LEN_MAX: usize = i16::MAX as usize;

/// What is wrong with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A fixed field, a length or a count reaches past the end.
    #[error("reaches past the end")]
    PastEnd,
    /// A length or count below -1.
    #[error("has a negative length")]
    Negative,
    /// Null where the version does not allow it.
    #[error("is null")]
    Null,
    /// A string that is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A string above 32,767 bytes.
    #[error("is too long")]
    TooLong,
    /// A variable-length number of more than 5 bytes or 32 bits.
    #[error("is no 32-bit number")]
    Varint,
    /// A marker of a nullable struct that is neither -1 nor 1.
    #[error("has an unknown marker")]
    Marker,
    /// Tags not in rising order, or one twice.
    #[error("has tags out of order")]
    TagOrder,
    /// A tag that this version does not have, though another does.
    #[error("is not in this version")]
    TagVersion,
    /// A tagged field that is shorter than its size says.
    #[error("does not fill its size")]
    TagSize,
    /// More than [`ELEMENTS_MAX`] elements in all.
    #[error("exceeds the elements of one message")]
    TooMany,
    /// Bytes after the message's end.
    #[error("is followed by more bytes")]
    Trailing,
}

/// Why bytes are not a message of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("field {field} {problem} at byte {position}")]
pub struct ShapeError {
    /// What is wrong.
    pub problem: Problem,
    /// In which field.
    pub field: &'static str,
    /// How many bytes of the message lie before the problem.
    pub position: usize,
}

/// Whether `bytes` are exactly one message of this shape.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(shape: &Shape, version: i16, bytes: &[u8]) -> Result<(), ShapeError> {
    let mut walk = Walk::new(bytes, version, version >= shape.flexible_since);
    match walk.fields(shape.fields) {
        Ok(()) if walk.rest.is_empty() => Ok(()),
        Ok(()) => Err(walk.error(Problem::Trailing)),
        Err(problem) => Err(walk.error(problem)),
    }
}

/// How many bytes the tagged section at the front of `bytes` takes, all of its tags being unknown.
///
/// # Errors
/// The first thing that is wrong.
pub fn tagged_section_len(bytes: &[u8]) -> Result<usize, ShapeError> {
    let mut walk = Walk::new(bytes, 0, true);
    match walk.tags(&[]) {
        Ok(()) => Ok(bytes.len() - walk.rest.len()),
        Err(problem) => Err(walk.error(problem)),
    }
}

struct Walk<'a> {
    /// What is not walked yet; its end is that of a tagged field while one is walked.
    rest: &'a [u8],
    message: &'a [u8],
    version: i16,
    flexible: bool,
    /// The one being walked, for the error.
    field: &'static str,
    elements_left: usize,
}

impl<'a> Walk<'a> {
    fn new(message: &'a [u8], version: i16, flexible: bool) -> Self {
        Self { rest: message, message, version, flexible, field: "", elements_left: ELEMENTS_MAX }
    }

    fn error(&self, problem: Problem) -> ShapeError {
        let position = self.rest.as_ptr().addr().saturating_sub(self.message.as_ptr().addr());
        ShapeError { problem, field: self.field, position }
    }

    fn fields(&mut self, fields: &'static [Field]) -> Result<(), Problem> {
        let version = self.version;
        let here = |field: &Field| field.since <= version && version <= field.until;
        for field in fields.iter().filter(|field| field.tag.is_none() && here(field)) {
            self.field = field.name;
            self.value(&field.kind, field.nullable_since <= version)?;
        }
        if self.flexible { self.tags(fields) } else { Ok(()) }
    }

    fn tags(&mut self, fields: &'static [Field]) -> Result<(), Problem> {
        self.field = "tagged fields";
        let count = self.uvarint()?;
        self.elements(count)?;
        let mut lowest = 0;
        for _ in 0..count {
            let tag = self.uvarint()?;
            if tag < lowest {
                return Err(Problem::TagOrder);
            }
            if i32::try_from(tag).is_err() {
                return Err(Problem::Varint);
            }
            lowest = tag + 1;
            let size = self.uvarint()?;
            let value = self.take(size)?;
            if let Some(field) = fields.iter().find(|field| field.tag.is_some_and(|known| known as usize == tag)) {
                self.tagged(field, value)?;
            }
        }
        Ok(())
    }

    /// Walks a known tagged field inside its own bytes.
    fn tagged(&mut self, field: &Field, value: &'a [u8]) -> Result<(), Problem> {
        self.field = field.name;
        if self.version < field.since || self.version > field.until {
            return Err(Problem::TagVersion);
        }
        let after = std::mem::replace(&mut self.rest, value);
        self.value(&field.kind, field.nullable_since <= self.version)?;
        if !self.rest.is_empty() {
            return Err(Problem::TagSize);
        }
        self.rest = after;
        self.field = "tagged fields";
        Ok(())
    }

    fn value(&mut self, kind: &Kind, nullable: bool) -> Result<(), Problem> {
        match kind {
            Kind::Bool | Kind::Int8 => self.take(1).map(drop),
            Kind::Int16 | Kind::Uint16 => self.take(2).map(drop),
            Kind::Int32 | Kind::Uint32 => self.take(4).map(drop),
            Kind::Int64 | Kind::Float64 => self.take(8).map(drop),
            Kind::Uuid => self.take(16).map(drop),
            Kind::String => self.string(nullable),
            Kind::Bytes | Kind::Records => {
                let len = if self.flexible { self.compact_len()? } else { self.long_len()? };
                self.present(len, nullable)?.map_or(Ok(()), |len| self.take(len).map(drop))
            }
            Kind::Struct(fields) => {
                if nullable && !self.marker()? {
                    return Ok(());
                }
                self.fields(fields)
            }
            Kind::Array(fields) => self.each(nullable, |walk| walk.fields(fields)),
            Kind::List(kind) => self.each(nullable, |walk| walk.value(kind, false)),
        }
    }

    fn string(&mut self, nullable: bool) -> Result<(), Problem> {
        let len = if self.flexible { self.compact_len()? } else { self.short_len()? };
        let Some(len) = self.present(len, nullable)? else { return Ok(()) };
        if len > STRING_LEN_MAX {
            return Err(Problem::TooLong);
        }
        let text = self.take(len)?;
        std::str::from_utf8(text).map(drop).map_err(|_| Problem::NotUtf8)
    }

    fn each(
        &mut self,
        nullable: bool,
        mut element: impl FnMut(&mut Self) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let len = if self.flexible { self.compact_len()? } else { self.long_len()? };
        let Some(count) = self.present(len, nullable)? else { return Ok(()) };
        self.elements(count)?;
        let field = self.field;
        for _ in 0..count {
            self.field = field;
            element(self)?;
        }
        Ok(())
    }

    /// Takes `count` elements out of the budget; each takes a byte at least, so no more can follow than bytes do.
    fn elements(&mut self, count: usize) -> Result<(), Problem> {
        if count > self.rest.len() {
            return Err(Problem::PastEnd);
        }
        self.elements_left = self.elements_left.checked_sub(count).ok_or(Problem::TooMany)?;
        Ok(())
    }

    fn present(&self, len: Option<usize>, nullable: bool) -> Result<Option<usize>, Problem> {
        if len.is_none() && !nullable { Err(Problem::Null) } else { Ok(len) }
    }

    /// Whether a nullable struct follows.
    fn marker(&mut self) -> Result<bool, Problem> {
        match self.take(1)? {
            [0xff] => Ok(false),
            [1] => Ok(true),
            _ => Err(Problem::Marker),
        }
    }

    fn compact_len(&mut self) -> Result<Option<usize>, Problem> {
        Ok(self.uvarint()?.checked_sub(1))
    }

    fn short_len(&mut self) -> Result<Option<usize>, Problem> {
        length(i16::from_be_bytes(self.array()?).into())
    }

    fn long_len(&mut self) -> Result<Option<usize>, Problem> {
        length(i32::from_be_bytes(self.array()?))
    }

    fn uvarint(&mut self) -> Result<usize, Problem> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map(|value| value as usize).map_err(|_| Problem::Varint);
            }
        }
        Err(Problem::Varint)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Problem::PastEnd)?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Problem> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Problem::PastEnd)?;
        self.rest = rest;
        Ok(head)
    }
}

fn length(len: i32) -> Result<Option<usize>, Problem> {
    match len {
        -1 => Ok(None),
        0.. => Ok(Some(len as usize)),
        _ => Err(Problem::Negative),
    }
}
