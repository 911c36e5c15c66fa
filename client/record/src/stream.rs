//! A walk over compressed records that keeps none of them: what a rule asks of each (its deltas, whether it has a key)
//! comes out of a fixed buffer, so that a bomb costs time up to the cap and no memory. Not here: records as values
//! (`record`), which need them in one piece.

use crate::{
    compression::{Compression, CompressionError},
    inflate::Inflater,
    record::{Record, RecordError},
};

/// Bytes inflated at once.
const BUFFER_BYTES: usize = 16 * 1024;
/// Bytes of a 32-bit integer, at most.
const VARINT_BYTES_MAX: usize = 5;
/// Bytes of a 64-bit integer, at most.
const VARLONG_BYTES_MAX: u32 = 10;

/// What is left of a record that was walked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordOutline {
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Timestamp minus the batch's base timestamp, in milliseconds.
    pub timestamp_delta: i64,
    /// Whether its key is not null.
    pub has_key: bool,
}

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// What came out is not records.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The codec's data.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// Walks `count` records. After an error, what comes next is not told.
#[derive(Debug)]
pub struct RecordStream<'a> {
    input: Inflater<'a>,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// Bytes of the current record that are not read yet.
    left: usize,
    index: i32,
    count: i32,
}

impl From<&Record<'_>> for RecordOutline {
    fn from(record: &Record<'_>) -> Self {
        let Record { offset_delta, timestamp_delta, key, .. } = *record;
        Self { offset_delta, timestamp_delta, has_key: key.is_some() }
    }
}

impl<'a> RecordStream<'a> {
    /// `payload` is what follows the batch header; `count` is the header's. At most `cap` bytes may come out of it.
    ///
    /// # Errors
    /// Bytes that do not begin as the codec's do.
    pub fn new(codec: Compression, payload: &'a [u8], count: i32, cap: usize) -> Result<Self, CompressionError> {
        let input = Inflater::new(codec, payload, cap)?;
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Ok(Self { input, buffer, at: 0, end: 0, left: 0, index: 0, count })
    }

    /// The next record; `None` behind the last.
    ///
    /// # Errors
    /// See [`StreamError`].
    pub fn next_outline(&mut self) -> Result<Option<RecordOutline>, StreamError> {
        if self.index >= self.count {
            return Ok(None);
        }
        // the length itself lies outside the record
        self.left = VARINT_BYTES_MAX;
        let length = self.signed_32()?;
        self.left = self.length(length)?;
        self.skip(1)?;
        let timestamp_delta = self.signed(VARLONG_BYTES_MAX)?;
        let offset_delta = self.signed_32()?;
        let key = self.skip_bytes()?;
        self.skip_bytes()?;
        let headers = self.signed_32()?;
        if headers < 0 {
            return Err(self.malformed());
        }
        for _ in 0..headers {
            if !self.skip_bytes()? {
                return Err(self.malformed());
            }
            self.skip_bytes()?;
        }
        if self.left != 0 {
            return Err(self.malformed());
        }
        self.index += 1;
        Ok(Some(RecordOutline { offset_delta, timestamp_delta, has_key: key }))
    }

    /// Nothing may follow the last record.
    ///
    /// # Errors
    /// [`RecordError::Trailing`] with the bytes that are seen already, or the codec's.
    pub fn finish(mut self) -> Result<(), StreamError> {
        if self.at == self.end {
            self.fill()?;
        }
        if self.at == self.end { Ok(()) } else { Err(RecordError::Trailing { bytes: self.end - self.at }.into()) }
    }

    fn malformed(&self) -> StreamError {
        RecordError::Malformed { index: self.index }.into()
    }

    fn length(&self, length: i32) -> Result<usize, StreamError> {
        usize::try_from(length).map_err(|_| self.malformed())
    }

    fn fill(&mut self) -> Result<(), StreamError> {
        self.at = 0;
        self.end = self.input.read(&mut self.buffer)?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, StreamError> {
        if self.at == self.end {
            self.fill()?;
        }
        if self.left == 0 || self.at == self.end {
            return Err(self.malformed());
        }
        let byte = self.buffer[self.at];
        self.at += 1;
        self.left -= 1;
        Ok(byte)
    }

    /// A zigzag integer.
    fn signed(&mut self, bytes_max: u32) -> Result<i64, StreamError> {
        let mut raw = 0_u64;
        for place in 0..bytes_max {
            let byte = self.byte()?;
            if place == VARLONG_BYTES_MAX - 1 && byte > 1 {
                return Err(self.malformed());
            }
            raw |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
        }
        Err(self.malformed())
    }

    fn signed_32(&mut self) -> Result<i32, StreamError> {
        i32::try_from(self.signed(VARINT_BYTES_MAX as u32)?).map_err(|_| self.malformed())
    }

    /// A length and as many bytes; whether they are not null.
    fn skip_bytes(&mut self) -> Result<bool, StreamError> {
        match self.signed_32()? {
            -1 => Ok(false),
            length => {
                let length = self.length(length)?;
                self.skip(length)?;
                Ok(true)
            }
        }
    }

    fn skip(&mut self, mut bytes: usize) -> Result<(), StreamError> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.malformed())?;
        while bytes > 0 {
            if self.at == self.end {
                self.fill()?;
                if self.end == 0 {
                    return Err(self.malformed());
                }
            }
            let step = bytes.min(self.end - self.at);
            self.at += step;
            bytes -= step;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Records, write_record};

    fn payload(records: &[(i64, Option<Vec<u8>>, usize)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, (timestamp_delta, key, headers)) in (0..).zip(records) {
            let headers: Vec<_> = (0..*headers).map(|_| (&b"name"[..], Some(&b"value"[..]))).collect();
            write_record(&mut out, index, *timestamp_delta, key.as_deref(), None, headers.into_iter());
        }
        out
    }

    /// What both walks say of the same payload.
    fn streamed(codec: Compression, payload: &[u8], count: i32) -> Option<Vec<(i32, i64, bool)>> {
        let packed = codec.compress(payload, None).unwrap();
        let mut stream = RecordStream::new(codec, &packed, count, 1 << 24).unwrap();
        let mut out = Vec::new();
        while let Some(outline) = stream.next_outline().ok()? {
            out.push((outline.offset_delta, outline.timestamp_delta, outline.has_key));
        }
        stream.finish().ok().map(|()| out)
    }

    fn walked(payload: &[u8], count: i32) -> Option<Vec<(i32, i64, bool)>> {
        let mut records = Records::new(payload, count);
        let mut out = Vec::new();
        for record in records.by_ref() {
            let record = record.ok()?;
            out.push((record.offset_delta, record.timestamp_delta, record.key.is_some()));
        }
        records.finish().ok().map(|()| out)
    }

    fn record() -> impl Strategy<Value = (i64, Option<Vec<u8>>, usize)> {
        (any::<i64>(), prop::option::of(prop::collection::vec(any::<u8>(), 0..200)), 0_usize..3)
    }

    proptest! {
        #[test]
        fn both_walks_agree(records in prop::collection::vec(record(), 0..200), codec in 0_u8..5, off in -1_i32..2) {
            let payload = payload(&records);
            let codec = Compression::from_id(codec).unwrap();
            let count = records.len() as i32 + off;
            prop_assert_eq!(streamed(codec, &payload, count), walked(&payload, count));
        }

        #[test]
        fn both_walks_agree_on_damage(place: usize, byte: u8, cut in 0_usize..80, count in 0_i32..5) {
            let mut payload = payload(&[(5, Some(b"key".to_vec()), 2), (-5, None, 0), (1 << 40, Some(vec![]), 1)]);
            let place = place % payload.len();
            payload[place] = byte;
            payload.truncate(payload.len().saturating_sub(cut.saturating_sub(40)));
            prop_assert_eq!(streamed(Compression::Lz4, &payload, count), walked(&payload, count));
        }
    }

    #[test]
    fn an_integer_longer_than_it_may_be_is_refused_by_both() {
        // attributes, timestamp delta, offset delta 0 in six bytes, no key, no value, no headers
        let long = [22, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 0];
        assert_eq!((streamed(Compression::None, &long, 1), walked(&long, 1)), (None, None));
        let five = [20, 0, 0, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 0];
        assert_eq!(streamed(Compression::None, &five, 1), walked(&five, 1));
        assert!(walked(&five, 1).is_some());
    }

    #[test]
    fn a_bomb_ends_at_the_cap() {
        let large = payload(&[(0, Some(vec![0; 5 << 20]), 0)]);
        for codec in Compression::ALL {
            let packed = codec.compress(&large, None).unwrap();
            let mut stream = RecordStream::new(codec, &packed, 1, 1 << 20).unwrap();
            let error = stream.next_outline().unwrap_err();
            assert!(matches!(error, StreamError::Compression(CompressionError::TooLarge { .. })), "{}", codec.name());
        }
    }
}
