//! A lazy walk over the uncompressed records of a batch. Nothing is allocated; every length is held against the bytes
//! that remain before it is used.

use crate::varint;

/// Why bytes are not records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A length, a count or an integer runs past the bytes there are.
    #[error("record {index} is malformed")]
    Malformed {
        /// Which record, from 0.
        index: i32,
    },
    /// Bytes remain behind the last record that the header counts.
    #[error("{bytes} bytes follow the last record")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// Offset deltas are not 0, 1, 2, …
    #[error("record {index} has offset delta {offset_delta}")]
    OffsetDelta {
        /// Which record, from 0.
        index: i32,
        /// What it says.
        offset_delta: i32,
    },
}

/// One record, borrowed from the batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp minus the batch's base timestamp, in milliseconds.
    pub timestamp_delta: i64,
    /// None is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// None is Kafka's null: a tombstone.
    pub value: Option<&'a [u8]>,
    headers_count: i32,
    headers: &'a [u8],
}

/// One record header; names may repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// UTF-8 by the protocol, not checked here.
    pub name: &'a [u8],
    /// None is Kafka's null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// The headers in stored order. The walk that yielded this record has checked them.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut rest = self.headers;
        (0..self.headers_count).map_while(move |_| read_header(&mut rest))
    }

    fn read(body: &'a [u8]) -> Option<Self> {
        let (_attributes, mut rest) = body.split_first()?;
        let timestamp_delta = varint::read_i64(&mut rest)?;
        let offset_delta = varint::read_i32(&mut rest)?;
        let key = read_bytes(&mut rest)?;
        let value = read_bytes(&mut rest)?;
        let headers_count = varint::read_i32(&mut rest)?;
        let headers = rest;
        if headers_count < 0 {
            return None;
        }
        for _ in 0..headers_count {
            read_header(&mut rest)?;
        }
        let whole = rest.is_empty();
        whole.then_some(Self { offset_delta, timestamp_delta, key, value, headers_count, headers })
    }
}

fn read_header<'a>(rest: &mut &'a [u8]) -> Option<Header<'a>> {
    let name = read_bytes(rest)??;
    let value = read_bytes(rest)?;
    Some(Header { name, value })
}

/// Outer `None`: malformed. Inner `None`: null.
fn read_bytes<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint::read_i32(rest)?;
    if length < 0 {
        return (length == -1).then_some(None);
    }
    let (bytes, after) = rest.split_at_checked(length as usize)?;
    *rest = after;
    Some(Some(bytes))
}

/// Walks `count` records. After the first error the walk ends.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    index: i32,
    count: i32,
}

impl<'a> Records<'a> {
    /// `payload` is what follows the batch header, after decompression; `count` is the header's.
    pub fn new(payload: &'a [u8], count: i32) -> Self {
        Self { rest: payload, index: 0, count }
    }

    /// Walks to the end and checks that exactly `count` records fill the payload, with offset deltas 0..n-1.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_dense(mut self) -> Result<(), RecordError> {
        for index in 0..self.count.max(0) {
            match self.next() {
                Some(Ok(record)) if record.offset_delta == index => {}
                Some(Ok(record)) => return Err(RecordError::OffsetDelta { index, offset_delta: record.offset_delta }),
                Some(Err(error)) => return Err(error),
                None => return Err(RecordError::Malformed { index }),
            }
        }
        self.finish()
    }

    /// Nothing may follow the last record.
    ///
    /// # Errors
    /// [`RecordError::Trailing`].
    pub fn finish(self) -> Result<(), RecordError> {
        if self.rest.is_empty() { Ok(()) } else { Err(RecordError::Trailing { bytes: self.rest.len() }) }
    }

    fn read(&mut self) -> Option<Record<'a>> {
        let length = usize::try_from(varint::read_i32(&mut self.rest)?).ok()?;
        let (body, after) = self.rest.split_at_checked(length)?;
        self.rest = after;
        Record::read(body)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        let index = self.index;
        let record = self.read();
        self.index = if record.is_some() { index + 1 } else { self.count };
        Some(record.ok_or(RecordError::Malformed { index }))
    }
}

/// Appends one record in the stored form.
pub fn write_record<'h>(
    out: &mut Vec<u8>,
    offset_delta: i32,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item = (&'h [u8], Option<&'h [u8]>)>,
) {
    let headers_count = headers.len() as i32;
    let mut written = Vec::new();
    for (name, value) in headers {
        write_bytes(&mut written, Some(name));
        write_bytes(&mut written, value);
    }
    let length = 1
        + varint::len_i64(timestamp_delta)
        + varint::len_i32(offset_delta)
        + len_bytes(key)
        + len_bytes(value)
        + varint::len_i32(headers_count)
        + written.len();
    out.reserve(length + 5);
    varint::write_i32(out, length as i32);
    out.push(0);
    varint::write_i64(out, timestamp_delta);
    varint::write_i32(out, offset_delta);
    write_bytes(out, key);
    write_bytes(out, value);
    varint::write_i32(out, headers_count);
    out.extend_from_slice(&written);
}

fn len_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint::len_i32(bytes.len() as i32) + bytes.len())
}

fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varint::write_i32(out, bytes.map_or(-1, |bytes| bytes.len() as i32));
    out.extend_from_slice(bytes.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn two_records() -> Vec<u8> {
        let mut out = Vec::new();
        let headers = [(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"b", Some(b""))];
        write_record(&mut out, 0, -5, Some(b"key"), None, headers.into_iter());
        write_record(&mut out, 1, 7, None, Some(b"value"), std::iter::empty::<(&[u8], Option<&[u8]>)>());
        out
    }

    #[test]
    fn walks_what_was_written_with_equal_header_names() {
        let bytes = two_records();
        let records: Vec<_> = Records::new(&bytes, 2).map(Result::unwrap).collect();
        assert_eq!((records[0].key, records[0].value, records[0].timestamp_delta), (Some(&b"key"[..]), None, -5));
        let names: Vec<_> = records[0].headers().map(|header| (header.name, header.value)).collect();
        assert_eq!(names, [(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"b", Some(b""))]);
        assert_eq!((records[1].offset_delta, records[1].value), (1, Some(&b"value"[..])));
        assert_eq!(Records::new(&bytes, 2).check_dense(), Ok(()));
    }

    #[test]
    fn counts_that_are_not_the_records_are_found() {
        let bytes = two_records();
        assert_eq!(Records::new(&bytes, 3).check_dense(), Err(RecordError::Malformed { index: 2 }));
        assert!(matches!(Records::new(&bytes, 1).check_dense(), Err(RecordError::Trailing { .. })));
        assert_eq!(Records::new(&[], i32::MAX).check_dense(), Err(RecordError::Malformed { index: 0 }));
        let hostile_header_count = [20, 0, 0, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(Records::new(&hostile_header_count, 1).next().unwrap().is_err());
    }

    proptest! {
        #[test]
        fn mutated_records_never_panic(place in 0_usize..40, byte: u8, count: i32) {
            let mut bytes = two_records();
            let place = place % bytes.len();
            bytes[place] = byte;
            for record in Records::new(&bytes, count).flatten() {
                prop_assert!(record.headers().count() <= bytes.len());
            }
            let _ = Records::new(&bytes, count).check_dense();
        }
    }
}
