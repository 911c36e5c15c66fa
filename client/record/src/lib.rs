//! Kafka v2 record batches as bytes: header, checksum, a lazy walk over records, codecs under a cap, and a builder.
//!
//! Lives here because broker and client must agree on these bytes to the last bit. What is not here: sockets, files,
//! requests, offsets' meaning. Nothing here allocates from a number that came from outside before it was checked
//! against the bytes that remain.
//!
//! Source of the format: Kafka `DefaultRecordBatch`, `DefaultRecord`; KIP-98, KIP-534.

pub mod batch;
pub mod builder;
pub mod compression;
pub mod fuzz;
pub mod inflate;
pub mod record;
pub mod stream;
pub mod varint;

pub use batch::{Attributes, BatchError, BatchHeader, HEADER_LEN, TimestampType};
pub use builder::BatchBuilder;
pub use compression::{Compression, CompressionError};
pub use record::{Header, Record, RecordError, Records};
pub use stream::{RecordOutline, RecordStream, StreamError};
