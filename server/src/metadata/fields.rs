//! Fields one behind the other, as metadata records and messages between brokers write them: big-endian numbers, texts behind a
//! u16 length, lists behind a count. Not here: which fields a record or message has.

use uuid::Uuid;

/// "No text" in place of a length.
const NO_TEXT: u16 = u16::MAX;

/// Fields being written.
#[derive(Debug, Default)]
pub struct FieldWriter(Vec<u8>);

impl FieldWriter {
    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// One byte.
    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// 0 or 1.
    pub fn flag(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    /// Two bytes.
    pub fn short(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn int(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Four bytes, without a sign.
    pub fn uint(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn long(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: &Uuid) {
        self.0.extend_from_slice(value.as_bytes());
    }

    /// A text of at most 65,534 bytes; what is longer is cut, which no name or setting that passed its check is.
    pub fn text(&mut self, value: &str) {
        let len = value.floor_char_boundary(usize::from(NO_TEXT) - 1);
        self.short(len as u16);
        self.0.extend_from_slice(&value.as_bytes()[..len]);
    }

    /// A text or none.
    pub fn optional_text(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.short(NO_TEXT),
        }
    }

    /// A list of at most 65,535; what is more is left out, which no list that passed its check has.
    pub fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        let values = &values[..values.len().min(usize::from(u16::MAX))];
        self.short(values.len() as u16);
        values.iter().for_each(|value| write(self, value));
    }
}

/// Fields being read. `None`: the bytes end too early or say nothing allowed.
#[derive(Debug, Clone, Copy)]
pub struct FieldReader<'a>(&'a [u8]);

impl<'a> FieldReader<'a> {
    /// Over these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }

    /// 0 or 1, nothing else.
    pub fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Two bytes.
    pub fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn int(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    /// Four bytes, without a sign.
    pub fn uint(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn long(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Option<Uuid> {
        self.take().map(Uuid::from_bytes)
    }

    /// A text that is there.
    pub fn text(&mut self) -> Option<String> {
        self.optional_text()?
    }

    /// A text or none. Outer `None`: malformed.
    pub fn optional_text(&mut self) -> Option<Option<String>> {
        let len = self.short()?;
        if len == NO_TEXT {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(Some(std::str::from_utf8(text).ok()?.to_owned()))
    }

    /// A list whose elements take at least `element_len_min` bytes each: a count that the bytes cannot hold is refused before
    /// anything is allocated.
    pub fn list<T>(&mut self, element_len_min: usize, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::from(self.short()?);
        if count.checked_mul(element_len_min)? > self.0.len() {
            return None;
        }
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(read(self)?);
        }
        Some(values)
    }
}
