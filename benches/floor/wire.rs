//! Requests and answers in the few versions that the floor speaks, by hand. Not here: what they do.

/// (API key, first version, last version).
pub const VERSIONS: [(i16, i16, i16); 7] = [
    (PRODUCE, 3, 7),
    (FETCH, 4, 4),
    (LIST_OFFSETS, 1, 1),
    (METADATA, 0, 1),
    (API_VERSIONS, 0, 3),
    (CREATE_TOPICS, 0, 0),
    (DELETE_TOPICS, 0, 0),
];
pub const PRODUCE: i16 = 0;
pub const FETCH: i16 = 1;
pub const LIST_OFFSETS: i16 = 2;
pub const METADATA: i16 = 3;
pub const API_VERSIONS: i16 = 18;
pub const CREATE_TOPICS: i16 = 19;
pub const DELETE_TOPICS: i16 = 20;

/// Where a request is being read. Every read is `None` past the end.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let part = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(part)
    }

    pub fn i8(&mut self) -> Option<i8> {
        Some(i8::from_be_bytes(self.take(1)?.try_into().ok()?))
    }

    pub fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    /// A string; a null one is empty.
    pub fn string(&mut self) -> Option<&'a str> {
        let len = self.i16()?.max(0) as usize;
        std::str::from_utf8(self.take(len)?).ok()
    }

    /// The place of a byte string in the frame; a null one is empty.
    pub fn bytes_range(&mut self) -> Option<std::ops::Range<usize>> {
        let len = self.i32()?.max(0) as usize;
        let start = self.at;
        self.take(len)?;
        Some(start..start + len)
    }

    /// The items of an array; -1 for a null one.
    pub fn count(&mut self) -> Option<i32> {
        self.i32()
    }
}

/// An answer with its length and correlation id in front.
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn answer(correlation_id: i32) -> Self {
        let mut out = Self(Vec::with_capacity(128));
        out.i32(0);
        out.i32(correlation_id);
        out
    }

    pub fn i8(&mut self, value: i8) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i16(&mut self, value: i16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn string(&mut self, text: &str) {
        self.i16(text.len() as i16);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The frame, which `behind` more bytes follow.
    pub fn finish(mut self, behind: usize) -> Vec<u8> {
        let len = (self.0.len() - 4 + behind) as i32;
        self.0[..4].copy_from_slice(&len.to_be_bytes());
        self.0
    }
}

/// ApiVersions: flexible from version 3 on, and version 0 with an error for what is newer than the floor.
pub fn api_versions(correlation_id: i32, version: i16) -> Vec<u8> {
    const UNSUPPORTED_VERSION: i16 = 35;
    let mut out = Writer::answer(correlation_id);
    let known = version <= 3;
    out.i16(if known { 0 } else { UNSUPPORTED_VERSION });
    let flexible = version == 3;
    if flexible {
        out.i8(VERSIONS.len() as i8 + 1)
    } else {
        out.i32(VERSIONS.len() as i32)
    }
    for (key, first, last) in VERSIONS {
        out.i16(key);
        out.i16(first);
        out.i16(last);
        if flexible {
            out.i8(0);
        }
    }
    if known && version >= 1 {
        out.i32(0);
    }
    if flexible {
        out.i8(0);
    }
    out.finish(0)
}
