//! The 61-byte header of a v2 batch: parse, encode, patch, checksum. Not here: the records behind it.
//!
//! ```text
//!  0 base offset i64      8 batch length i32 (bytes after itself)   12 partition leader epoch i32   16 magic i8
//! 17 crc u32 (CRC-32C of 21..end)   21 attributes i16   23 last offset delta i32   27 base timestamp i64
//! 35 max timestamp i64   43 producer id i64   51 producer epoch i16   53 base sequence i32   57 record count i32
//! ```

use crate::compression::Compression;

/// Bytes of a batch header.
pub const HEADER_LEN: usize = 61;
/// Bytes before and including the batch length field; `batch_length` counts what follows them.
pub const LENGTH_PREFIX: usize = 12;
/// Where the checksummed bytes start.
pub const CRC_START: usize = 21;

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than a header, or than the header's own length says.
    #[error("batch is cut short: {have} bytes of {need}")]
    Truncated {
        /// Bytes present.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// The length field is below the header's own size.
    #[error("batch length {0} is below a header's")]
    Length(i32),
    /// Only magic 2 is stored or served.
    #[error("magic {0} is not 2")]
    Magic(i8),
    /// CRC-32C over bytes 21..end differs from the header's.
    #[error("crc {found:#010x} is not the stored {stored:#010x}")]
    Crc {
        /// In the header.
        stored: u32,
        /// Computed.
        found: u32,
    },
}

/// Which clock a batch's timestamps come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    Create,
    /// The broker's: every record's timestamp is the batch's max timestamp.
    LogAppend,
}

/// Attribute bits: 0–2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    /// The codec, or `None` for codec bits that Kafka does not define.
    pub fn compression(self) -> Option<Compression> {
        Compression::from_id((self.0 & 0x07) as u8)
    }
    /// Bit 3.
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & 0x08 == 0 { TimestampType::Create } else { TimestampType::LogAppend }
    }
    /// Bit 4.
    pub fn is_transactional(self) -> bool {
        self.0 & 0x10 != 0
    }
    /// Bit 5.
    pub fn is_control(self) -> bool {
        self.0 & 0x20 != 0
    }
    /// Bit 6: base timestamp is the delete horizon (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & 0x40 != 0
    }
}

/// A parsed header. Field names are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes after the length field.
    pub batch_length: i32,
    /// Leader epoch = Raft term; outside the checksum.
    pub partition_leader_epoch: i32,
    /// Always 2 here.
    pub magic: i8,
    /// CRC-32C of bytes 21..end.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Offset of the last record minus the base offset; -1 marks an internal frame.
    pub last_offset_delta: i32,
    /// Milliseconds since 1970.
    pub base_timestamp: i64,
    /// Milliseconds since 1970.
    pub max_timestamp: i64,
    /// -1 without idempotence.
    pub producer_id: i64,
    /// -1 without idempotence.
    pub producer_epoch: i16,
    /// -1 without idempotence.
    pub base_sequence: i32,
    /// Records in the batch.
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads a header from the first 61 bytes; what follows it is not looked at.
    ///
    /// # Errors
    /// Fewer than 61 bytes, a length below a header's own, or another magic than 2.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::Truncated { have: bytes.len(), need: HEADER_LEN });
        };
        let magic = head[16] as i8;
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        let batch_length = i32::from_be_bytes(field(head, 8));
        if batch_length < (HEADER_LEN - LENGTH_PREFIX) as i32 {
            return Err(BatchError::Length(batch_length));
        }
        Ok(Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            batch_length,
            partition_leader_epoch: i32::from_be_bytes(field(head, 12)),
            magic,
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: Attributes(i16::from_be_bytes(field(head, 21))),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            records_count: i32::from_be_bytes(field(head, 57)),
        })
    }

    /// The 61 bytes; the inverse of [`Self::parse`].
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[16] = self.magic as u8;
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.records_count.to_be_bytes());
        out
    }

    /// Bytes of the whole batch, at least 61.
    pub fn size_in_bytes(&self) -> usize {
        LENGTH_PREFIX + self.batch_length.max(0) as usize
    }

    /// Offset of the last record; one below the base offset for an internal frame.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after this batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// A frame that takes a Raft index and no offset. Kafka itself can write a control batch with count 0, so the last
    /// offset delta alone decides.
    pub fn is_internal(&self) -> bool {
        self.last_offset_delta == -1
    }

    /// Sequence of the last record, wrapping from i32::MAX to 0 as Kafka's `DefaultRecordBatch.incrementSequence`.
    pub fn last_sequence(&self) -> i32 {
        increment_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// The codec; `None` for codec bits that Kafka does not define.
    pub fn compression(&self) -> Option<Compression> {
        self.attributes.compression()
    }

    /// Whether an idempotent producer wrote it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id >= 0
    }
}

fn field<const N: usize>(head: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| head[at + i])
}

/// `sequence + increment`, wrapping from i32::MAX to 0.
pub fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(increment);
    if sum > i64::from(i32::MAX) { (sum - i64::from(i32::MAX) - 1) as i32 } else { sum as i32 }
}

/// CRC-32C over bytes 21..end.
pub fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(CRC_START..).unwrap_or_default())
}

/// Reads the header of exactly one batch and checks its size and checksum.
///
/// # Errors
/// Those of [`BatchHeader::parse`], a size that is not the bytes', or another checksum.
pub fn verify(batch: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse(batch)?;
    if header.size_in_bytes() != batch.len() {
        return Err(BatchError::Truncated { have: batch.len(), need: header.size_in_bytes() });
    }
    let found = checksum(batch);
    if found == header.crc { Ok(header) } else { Err(BatchError::Crc { stored: header.crc, found }) }
}

/// Bytes of a batch before the checksummed part that a broker may replace: base offset, length, leader epoch.
pub const PATCHED_LEN: usize = 16;

/// The first 16 bytes with base offset and leader epoch replaced. A writer puts them in front of `&batch[16..]`, so
/// that no payload is copied and the checksum stays true.
///
/// # Panics
/// If the batch is shorter than a header; callers have parsed it.
pub fn patched_prefix(batch: &[u8], base_offset: i64, leader_epoch: i32) -> [u8; PATCHED_LEN] {
    let mut prefix = [0; PATCHED_LEN];
    prefix[0..8].copy_from_slice(&base_offset.to_be_bytes());
    prefix[8..12].copy_from_slice(&batch[8..12]);
    prefix[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    prefix
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_round_trip(bytes in proptest::array::uniform32(any::<u8>()), tail in proptest::array::uniform29(any::<u8>()), length in 49..i32::MAX) {
            let mut head = [bytes.as_slice(), &tail].concat();
            head[8..12].copy_from_slice(&length.to_be_bytes());
            head[16] = 2;
            let header = BatchHeader::parse(&head).unwrap();
            let encoded = header.encode();
            prop_assert_eq!(encoded.as_slice(), &head[..]);
            let _ = (header.next_offset(), header.last_sequence(), header.size_in_bytes());
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = verify(&bytes);
        }
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(increment_sequence(i32::MAX, 1), 0);
        assert_eq!(increment_sequence(i32::MAX - 1, 3), 1);
        assert_eq!(increment_sequence(5, 2), 7);
    }
}
