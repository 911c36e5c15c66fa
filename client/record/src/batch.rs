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
// FILL: impl BatchHeader { parse(&[u8]) -> Result<Self, BatchError> (checks length >= 49, magic 2; needs 61 bytes only);
//   encode(&self, &mut [u8; 61]); size_in_bytes() -> usize (12 + batch_length); last_offset(); next_offset() -> i64 (saturating/ checked);
//   is_internal() (last_offset_delta == -1); last_sequence() (wraps) ; compression() }
// FILL: pub fn parse_whole(bytes) -> header + checks bytes.len() == size; pub fn checksum(batch: &[u8]) -> u32; pub fn verify(batch: &[u8]) -> Result<BatchHeader, BatchError>;
//   pub fn patched_prefix(batch: &[u8], base_offset: i64, leader_epoch: i32) -> [u8; 16]  (first 16 bytes with both fields replaced; rest of the batch is written as it is)
