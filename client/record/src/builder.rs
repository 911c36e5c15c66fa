//! Builds batches: for producers from records, for brokers from a batch that must carry another codec or clock.

use bytes::Bytes;

use crate::{
    batch::{self, Attributes, BatchError, BatchHeader, HEADER_LEN, LENGTH_PREFIX, TimestampType},
    compression::{Compression, CompressionError, Deflater},
    inflate::{INFLATED_BYTES_MAX, Inflater},
    record,
};

const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
/// Bytes of a rewrite that are held inflated.
const PIECE_BYTES: usize = 64 * 1024;

/// Collects records into one batch with base offset 0.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    header: BatchHeader,
    compression: Compression,
    level: Option<i32>,
    records: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An empty, uncompressed batch without producer id.
    pub fn new() -> Self {
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: -1,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records_count: 0,
        };
        Self { header, compression: Compression::None, level: None, records: Vec::new() }
    }

    /// Sets the codec and its level.
    #[must_use]
    pub fn compression(mut self, codec: Compression, level: Option<i32>) -> Self {
        (self.compression, self.level) = (codec, level);
        self
    }

    /// Sets producer id, epoch and the first record's sequence.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        (self.header.producer_id, self.header.producer_epoch, self.header.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// Sets the offset of the first record.
    #[must_use]
    pub fn base_offset(mut self, base_offset: i64) -> Self {
        self.header.base_offset = base_offset;
        self
    }

    /// Sets the transactional bit.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.attributes.0 |= TRANSACTIONAL;
        self
    }

    /// Sets the control bit.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.header.attributes.0 |= CONTROL;
        self
    }

    /// Adds a record behind the last.
    pub fn append<'h>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    ) {
        let header = &mut self.header;
        if header.records_count == 0 {
            header.base_timestamp = timestamp_ms;
        }
        header.max_timestamp = header.max_timestamp.max(timestamp_ms);
        let timestamp_delta = timestamp_ms.wrapping_sub(header.base_timestamp);
        record::write_record(&mut self.records, header.records_count, timestamp_delta, key, value, headers);
        header.last_offset_delta += 1;
        header.records_count += 1;
    }

    /// Adds a record without headers.
    pub fn append_plain(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.append(timestamp_ms, key, value, std::iter::empty());
    }

    /// Records so far.
    pub fn records_count(&self) -> i32 {
        self.header.records_count
    }

    /// Bytes of the batch if it were not compressed.
    pub fn size_in_bytes(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// The finished batch.
    ///
    /// # Errors
    /// A compression level that the codec does not know.
    pub fn build(self) -> Result<Bytes, CompressionError> {
        let packed;
        let payload = if self.compression == Compression::None {
            &self.records
        } else {
            packed = self.compression.compress(&self.records, self.level)?;
            &packed
        };
        let mut header = self.header;
        header.attributes.0 |= i16::from(self.compression.id());
        Ok(sealed(header, payload))
    }
}

/// Header and payload as one batch, with length and checksum set.
pub fn sealed(mut header: BatchHeader, payload: &[u8]) -> Bytes {
    header.batch_length = (HEADER_LEN - LENGTH_PREFIX + payload.len()) as i32;
    let mut out = Vec::with_capacity(HEADER_LEN + payload.len());
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(payload);
    let crc = batch::checksum(&out);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out.into()
}

/// Why a batch could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// It is not a batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Its records could not be inflated or deflated.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// Its codec bits are not defined.
    #[error("codec {0} is not defined")]
    Codec(i16),
    /// It would become larger than it may.
    #[error("rewritten, the batch has more than {size_max} bytes")]
    TooLarge {
        /// What it may have.
        size_max: usize,
    },
}

/// The records of a whole batch, inflated where need be.
///
/// # Errors
/// Damaged data, an undefined codec, or more than `cap` bytes.
pub fn inflated<'a>(
    header: &BatchHeader,
    whole: &'a [u8],
    cap: usize,
) -> Result<std::borrow::Cow<'a, [u8]>, RewriteError> {
    let codec = header.compression().ok_or(RewriteError::Codec(header.attributes.0 & 7))?;
    let payload = whole.get(HEADER_LEN..).unwrap_or_default();
    Ok(match codec {
        Compression::None => payload.into(),
        codec => codec.decompress(payload, cap)?.into(),
    })
}

/// The same records under another codec; for a topic whose `compression.type` is not `producer`. Goes piece by piece, so
/// that neither a bomb nor a batch that would become too large is ever held.
///
/// # Errors
/// As [`inflated`], with [`INFLATED_BYTES_MAX`] as the cap; [`RewriteError::TooLarge`] beyond `size_max` bytes.
pub fn recompressed(
    whole: &[u8],
    codec: Compression,
    level: Option<i32>,
    size_max: usize,
) -> Result<Bytes, RewriteError> {
    let mut header = BatchHeader::parse(whole)?;
    let from = header.compression().ok_or(RewriteError::Codec(header.attributes.0 & 7))?;
    let too_large = |error| match error {
        CompressionError::TooLarge { .. } => RewriteError::TooLarge { size_max },
        other => RewriteError::Compression(other),
    };
    let mut input = Inflater::new(from, whole.get(HEADER_LEN..).unwrap_or_default(), INFLATED_BYTES_MAX)?;
    let mut output = Deflater::new(codec, level, size_max.saturating_sub(HEADER_LEN))?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match input.read(&mut piece)? {
            0 => break,
            read => output.write(&piece[..read]).map_err(too_large)?,
        }
    }
    header.attributes.0 = (header.attributes.0 & !7) | i16::from(codec.id());
    Ok(sealed(header, &output.finish().map_err(too_large)?))
}

/// The same batch with the broker's clock: the attribute bit and max timestamp, nothing else, as Kafka's
/// `DefaultRecordBatch.setMaxTimestamp`.
///
/// # Errors
/// Bytes that are no batch.
pub fn with_log_append_time(whole: &[u8], now_ms: i64) -> Result<Bytes, BatchError> {
    let mut header = BatchHeader::parse(whole)?;
    header.attributes.0 |= LOG_APPEND_TIME;
    header.max_timestamp = now_ms;
    debug_assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppend);
    Ok(sealed(header, whole.get(HEADER_LEN..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Records;

    fn batch_of(codec: Compression) -> Bytes {
        let mut builder = BatchBuilder::new().compression(codec, None).producer(9, 1, 5);
        for i in 0..10_i64 {
            builder.append_plain(1000 + i, Some(b"k"), Some(&[b'v'; 50]));
        }
        builder.build().unwrap()
    }

    #[test]
    fn a_built_batch_is_whole_and_says_what_is_in_it() {
        for codec in Compression::ALL {
            let bytes = batch_of(codec);
            let header = batch::verify(&bytes).unwrap();
            assert_eq!(header.compression(), Some(codec));
            assert_eq!((header.base_timestamp, header.max_timestamp), (1000, 1009));
            assert_eq!((header.records_count, header.next_offset(), header.last_sequence()), (10, 10, 14));
            let records = inflated(&header, &bytes, 1 << 20).unwrap();
            assert_eq!(Records::new(&records, 10).check_dense(), Ok(()));
        }
    }

    #[test]
    fn a_rewritten_batch_keeps_its_records() {
        let plain = batch_of(Compression::None);
        for codec in Compression::ALL {
            let other = recompressed(&batch_of(codec), Compression::Zstd, None, 10_000).unwrap();
            let header = batch::verify(&other).unwrap();
            assert_eq!(inflated(&header, &other, 1 << 20).unwrap(), &plain[HEADER_LEN..]);
        }
        let stamped = with_log_append_time(&plain, 77).unwrap();
        let header = batch::verify(&stamped).unwrap();
        assert_eq!((header.max_timestamp, header.attributes.timestamp_type()), (77, TimestampType::LogAppend));
        assert_eq!(stamped[HEADER_LEN..], plain[HEADER_LEN..]);
    }

    #[test]
    fn a_rewrite_stops_at_its_size() {
        let mut builder = BatchBuilder::new().compression(Compression::Zstd, None);
        builder.append_plain(0, None, Some(&vec![7; 32 << 20]));
        let small = builder.build().unwrap();
        let large = |codec, size_max| recompressed(&small, codec, None, size_max);
        assert!(matches!(large(Compression::None, 1 << 20), Err(RewriteError::TooLarge { size_max: 0x10_0000 })));
        let gzip = large(Compression::Gzip, 1 << 20).unwrap();
        assert!(large(Compression::Gzip, gzip.len()).is_ok());
        assert!(matches!(large(Compression::Gzip, gzip.len() - 1), Err(RewriteError::TooLarge { .. })));
        let mut bomb = BatchBuilder::new().compression(Compression::Zstd, None);
        bomb.append_plain(0, None, Some(&vec![7; INFLATED_BYTES_MAX]));
        let bomb = recompressed(&bomb.build().unwrap(), Compression::Gzip, None, 1 << 20);
        assert!(matches!(bomb, Err(RewriteError::Compression(CompressionError::TooLarge { .. }))));
    }
}
