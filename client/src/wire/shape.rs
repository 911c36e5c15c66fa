//! The shape of a message: which fields it has in which version. A walk over it judges bytes before anything decodes them.
//!
//! kafka-protocol reserves memory for a count before it looks at what follows, so four hostile bytes could ask for
//! hundreds of gigabytes. The walk holds every count and length against the bytes that remain, allocates nothing, and
//! accepts a message only if it ends with the bytes. Not here: what the fields mean.

mod walk;

#[cfg(test)]
mod tests;

pub use walk::{ELEMENTS_MAX, Problem, ShapeError, check, tagged_section_len};

/// What a field is on the wire.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One byte.
    Bool,
    /// One byte.
    Int8,
    /// Two bytes.
    Int16,
    /// Two bytes.
    Uint16,
    /// Four bytes.
    Int32,
    /// Four bytes.
    Uint32,
    /// Eight bytes.
    Int64,
    /// Eight bytes.
    Float64,
    /// Sixteen bytes.
    Uuid,
    /// UTF-8 behind a length.
    String,
    /// Bytes behind a length.
    Bytes,
    /// Record batches behind a length.
    Records,
    /// Fields one behind the other.
    Struct(&'static [Field]),
    /// A count and structs.
    Array(&'static [Field]),
    /// A count and values of one primitive kind.
    List(&'static Kind),
}

/// One field of a message or of a struct in it, in wire order. Versions are the message's.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Kafka's name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// First version that has it.
    pub since: i16,
    /// Last version that has it.
    pub until: i16,
    /// First version in which it may be null; `i16::MAX`: never.
    pub nullable_since: i16,
    /// Its tag, for fields of the tagged section.
    pub tag: Option<u32>,
}

/// A field that every version has.
pub const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, since: 0, until: i16::MAX, nullable_since: i16::MAX, tag: None }
}

impl Field {
    /// In this version and later ones.
    pub const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    /// Up to and including this version.
    pub const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }

    /// May be null from this version on.
    pub const fn nullable_since(mut self, version: i16) -> Self {
        self.nullable_since = version;
        self
    }

    /// Stands in the tagged section, under this tag.
    pub const fn tagged(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }
}

/// A whole message.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// First version with compact lengths and tagged sections; `i16::MAX`: none.
    pub flexible_since: i16,
    /// Its fields.
    pub fields: &'static [Field],
}
