//! What a broker checks in a produced batch before it touches the log, and the two rewrites a topic can ask for. Pure.
//! Not here: sequences and producer epochs, which need the log's state (`raft::replica`).
//!
//! The order of checks and the messages follow Kafka's `ProduceRequest.validateRecords`, `UnifiedLog` and
//! `LogValidator`. Uncompressed records are walked once (count, offset deltas, timestamps, keys); compressed ones are
//! judged by their header, and inflated only where a rule needs it: a compacted topic, a bound on old timestamps,
//! another `compression.type`.

use bytes::Bytes;
use tidemark_record::{
    BatchHeader, Compression, HEADER_LEN, RecordOutline, RecordStream, Records, TimestampType, batch,
    builder::{self, RewriteError},
    inflate::INFLATED_BYTES_MAX,
};

use super::{
    append::{AppendError, AppendOptions, AppendOrigin},
    settings::{CompressionSetting, PartitionSettings},
};

/// Why records were refused, as a produce answer (v8 and later) lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordErrors {
    /// For the partition.
    pub message: String,
    /// Index in the batch, and what is wrong there. May be empty.
    pub errors: Vec<(i32, String)>,
}

/// A batch that may be appended.
#[derive(Debug)]
pub(super) struct Validated {
    /// As sent, unless the topic asked for a rewrite.
    pub(super) batch: Bytes,
    /// Of `batch`.
    pub(super) header: BatchHeader,
    /// The broker's time where the topic uses it, else -1.
    pub(super) log_append_time_ms: i64,
}

/// Records named one by one in an answer; the rest is only counted (Kafka shows as many in its message).
const RECORD_ERRORS_MAX: usize = 1000;
const NO_TIMESTAMP: i64 = -1;
/// Attribute bit 3.
const LOG_APPEND_TIME: i16 = 0x08;
/// The shortest record: a byte for each of its seven fields.
const RECORD_BYTES_MIN: usize = 7;
/// More records than this no batch inflates to. A header that claims more would cost two billion offsets, and readers
/// that make room for what it claims their memory.
const PACKED_RECORDS_MAX: i64 = (INFLATED_BYTES_MAX / RECORD_BYTES_MIN) as i64;

/// Judges what a producer sent for one partition.
///
/// # Errors
/// The first rule that is broken; nothing was written.
pub(super) fn validate(
    bytes: &Bytes,
    settings: &PartitionSettings,
    options: &AppendOptions,
    now_ms: i64,
) -> Result<Validated, AppendError> {
    let bytes = only_batch(bytes, options)?;
    let header = checked(&bytes, settings, options)?;
    if options.origin == AppendOrigin::Coordinator {
        return Ok(Validated { batch: bytes, header, log_append_time_ms: NO_TIMESTAMP });
    }
    client_rules(&header, settings, options)?;
    let max_timestamp = record_rules(&header, &bytes, settings, now_ms)?;
    rewritten(bytes, header, settings, max_timestamp, now_ms)
}

/// Cuts the bytes to the one batch they hold. As Kafka does, the beginning of another batch behind it is dropped.
fn only_batch(bytes: &Bytes, options: &AppendOptions) -> Result<Bytes, AppendError> {
    let Some(size) = batch_size(bytes)? else {
        return Err(invalid("produce requests must have exactly one whole record batch per partition"));
    };
    let magic = bytes.get(16).copied().unwrap_or_default();
    if magic != 2 {
        return Err(invalid(format!("record batches must have magic 2, not {}", magic as i8)));
    }
    let codec = bytes.get(22).map(|attributes| attributes & 7);
    if codec == Some(Compression::Zstd.id()) && !options.zstd_allowed {
        return Err(AppendError::UnsupportedCompression("produce requests below version 7 may not use zstd".into()));
    }
    if batch_size(bytes.get(size..).unwrap_or_default())?.is_some() {
        return Err(invalid("produce requests must have exactly one record batch per partition"));
    }
    Ok(bytes.slice(..size))
}

/// Bytes of the batch at the front; `None` if it is not all there (`ByteBufferLogInputStream.nextBatchSize`).
fn batch_size(bytes: &[u8]) -> Result<Option<usize>, AppendError> {
    const MAGIC_END: usize = 17;
    const LEGACY_OVERHEAD: i32 = 14;
    let Some(length) = bytes.get(8..12).and_then(|field| field.try_into().ok()).map(i32::from_be_bytes) else {
        return Ok(None);
    };
    if length < LEGACY_OVERHEAD {
        return Err(AppendError::CorruptMessage(format!("batch length {length} is below the smallest there is")));
    }
    let size = batch::LENGTH_PREFIX + length as usize;
    Ok((bytes.len() >= size.max(MAGIC_END)).then_some(size))
}

/// Base offset, size and checksum.
fn checked(bytes: &Bytes, settings: &PartitionSettings, options: &AppendOptions) -> Result<BatchHeader, AppendError> {
    let corrupt = |error: batch::BatchError| AppendError::CorruptMessage(error.to_string());
    let header = BatchHeader::parse(bytes).map_err(corrupt)?;
    if options.origin == AppendOrigin::Client {
        if header.base_offset != 0 {
            return Err(invalid(format!(
                "the base offset of a produced batch should be 0, but it is {}",
                header.base_offset
            )));
        }
        too_large(bytes.len(), settings)?;
    }
    batch::verify(bytes).map_err(corrupt)
}

fn too_large(size: usize, settings: &PartitionSettings) -> Result<(), AppendError> {
    let max = settings.max_message_bytes;
    if size > max { Err(AppendError::MessageTooLarge { size, max }) } else { Ok(()) }
}

/// What a client's header may say.
fn client_rules(
    header: &BatchHeader,
    settings: &PartitionSettings,
    options: &AppendOptions,
) -> Result<(), AppendError> {
    let count = i64::from(header.records_count);
    let range = i64::from(header.last_offset_delta) + 1;
    if range <= 0 {
        return Err(invalid(format!("batch has an invalid offset range: [0, {}]", header.last_offset_delta)));
    }
    if count <= 0 {
        return Err(invalid(format!("invalid reported count for record batch: {count}")));
    }
    if range != count {
        let last = header.last_offset_delta;
        return Err(invalid(format!("inconsistent batch offset range [0, {last}] and count of records {count}")));
    }
    if header.compression() != Some(Compression::None) && count > PACKED_RECORDS_MAX {
        return Err(invalid(format!("a batch cannot hold {count} records")));
    }
    if header.attributes.is_control() {
        return Err(invalid("clients are not allowed to write control records"));
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        let (sequence, id) = (header.base_sequence, header.producer_id);
        return Err(invalid(format!("invalid sequence number {sequence} in record batch with producer id {id}")));
    }
    if header.attributes.is_transactional() {
        if !options.transactional {
            return Err(invalid("a transactional batch needs a transactional id"));
        }
        // without a producer id it is nobody's, and Kafka stores it as any other batch
        if header.has_producer_id() {
            return Err(AppendError::InvalidTxnState("the batch belongs to no transaction known here".into()));
        }
    }
    if header.compression().is_none() {
        let codec = header.attributes.0 & 7;
        return Err(AppendError::UnsupportedCompression(format!("compression codec {codec} is not known")));
    }
    // elsewhere Kafka 4.3 takes the bit for a slip and clears it
    let stamped = header.attributes.timestamp_type() == TimestampType::LogAppend;
    if stamped && (settings.log_append_time || header.max_timestamp == NO_TIMESTAMP) {
        return Err(AppendError::InvalidTimestamp(RecordErrors {
            message: "producers should not set the timestamp type to LogAppendTime".into(),
            errors: vec![(0, "invalid timestamp type: LogAppendTime".into())],
        }));
    }
    Ok(())
}

/// Walks records where the batch is open to it or a rule demands it. Gives the largest timestamp if it was seen.
fn record_rules(
    header: &BatchHeader,
    bytes: &[u8],
    settings: &PartitionSettings,
    now_ms: i64,
) -> Result<Option<i64>, AppendError> {
    let bounds = Bounds::of(settings, now_ms);
    let payload = bytes.get(HEADER_LEN..).unwrap_or_default();
    let codec = header.compression().unwrap_or_default();
    if codec == Compression::None {
        let mut records = Records::new(payload, header.records_count);
        let found = walk(header, settings, bounds.as_ref(), || {
            records
                .next()
                .transpose()
                .map(|record| record.as_ref().map(RecordOutline::from))
                .map_err(|error| broken(&error))
        })?;
        return records.finish().map(|()| Some(found)).map_err(|error| broken(&error));
    }
    let bounds_old_ones = bounds.as_ref().is_some_and(|bounds| bounds.before_max_ms != i64::MAX);
    if settings.compacted || bounds_old_ones || settings.compression.differs_from(header.compression()) {
        let mut records = RecordStream::new(codec, payload, header.records_count, INFLATED_BYTES_MAX)
            .map_err(|error| broken(&error))?;
        let found = walk(header, settings, bounds.as_ref(), || records.next_outline().map_err(|error| broken(&error)))?;
        return records.finish().map(|()| Some(found)).map_err(|error| broken(&error));
    }
    if let Some(bounds) = bounds {
        // a base that no delta can bring into the bounds is as wrong as a maximum outside them, and so is one that the
        // maximum lies about: it is the first record's time
        let base = header.base_timestamp;
        let lies = header.attributes.timestamp_type() == TimestampType::Create && base > header.max_timestamp;
        let base_fails = now_ms.checked_sub(base).is_none() || (lies && !bounds.hold(base));
        if base_fails || !bounds.hold(header.max_timestamp) {
            let timestamp = if base_fails { base } else { header.max_timestamp };
            return Err(bad_timestamps(vec![(header.last_offset_delta, bounds.message(timestamp))]));
        }
    }
    Ok(None)
}

/// `message.timestamp.{before,after}.max.ms` around now; only where the producer's clock counts.
struct Bounds {
    now_ms: i64,
    before_max_ms: i64,
    after_max_ms: i64,
}

impl Bounds {
    fn of(settings: &PartitionSettings, now_ms: i64) -> Option<Self> {
        let (before_max_ms, after_max_ms) = (settings.timestamp_before_max_ms, settings.timestamp_after_max_ms);
        (!settings.log_append_time).then_some(Self { now_ms, before_max_ms, after_max_ms })
    }

    fn hold(&self, timestamp: i64) -> bool {
        timestamp == NO_TIMESTAMP
            || self
                .now_ms
                .checked_sub(timestamp)
                .is_some_and(|age| age <= self.before_max_ms && age >= self.after_max_ms.saturating_neg())
    }

    fn message(&self, timestamp: i64) -> String {
        let (first, last) =
            (self.now_ms.saturating_sub(self.before_max_ms), self.now_ms.saturating_add(self.after_max_ms));
        format!("timestamp {timestamp} is out of range: it should be within [{first}, {last}]")
    }
}

/// Goes over the records that `next` gives; the largest timestamp among them.
fn walk(
    header: &BatchHeader,
    settings: &PartitionSettings,
    bounds: Option<&Bounds>,
    mut next: impl FnMut() -> Result<Option<RecordOutline>, AppendError>,
) -> Result<i64, AppendError> {
    let (mut keyless, mut untimely) = (Vec::new(), Vec::new());
    let mut max_timestamp = NO_TIMESTAMP;
    for index in 0..header.records_count {
        let missing = || invalid(format!("record {index} of {} is missing", header.records_count));
        let record = next()?.ok_or_else(missing)?;
        if record.offset_delta != index {
            return Err(invalid(format!("record {index} has offset delta {}", record.offset_delta)));
        }
        if settings.compacted && !record.has_key && keyless.len() < RECORD_ERRORS_MAX {
            keyless.push((index, "compacted topic cannot accept message without key".to_owned()));
        }
        let timestamp = match header.attributes.timestamp_type() {
            TimestampType::Create => header.base_timestamp.checked_add(record.timestamp_delta),
            TimestampType::LogAppend => Some(header.max_timestamp),
        };
        max_timestamp = max_timestamp.max(timestamp.unwrap_or(NO_TIMESTAMP));
        if let Some(bounds) = bounds
            && !timestamp.is_some_and(|timestamp| bounds.hold(timestamp))
            && untimely.len() < RECORD_ERRORS_MAX
        {
            let beyond = header.base_timestamp.saturating_add(record.timestamp_delta);
            untimely.push((index, bounds.message(timestamp.unwrap_or(beyond))));
        }
    }
    if !untimely.is_empty() {
        untimely.append(&mut keyless);
        untimely.sort_by_key(|(index, _)| *index);
        return Err(bad_timestamps(untimely));
    }
    if !keyless.is_empty() {
        let shown: Vec<_> =
            keyless.iter().take(3).map(|(index, message)| format!("record {index}: {message}")).collect();
        let message = format!(
            "one or more records have been rejected due to {} record errors in total, and only showing the first three errors at most: {}",
            keyless.len(),
            shown.join(", ")
        );
        return Err(AppendError::InvalidRecord(RecordErrors { message, errors: keyless }));
    }
    Ok(max_timestamp)
}

/// The rewrites: another codec, the broker's clock, or a maximum timestamp that its records belie.
fn rewritten(
    bytes: Bytes,
    mut header: BatchHeader,
    settings: &PartitionSettings,
    max_timestamp: Option<i64>,
    now_ms: i64,
) -> Result<Validated, AppendError> {
    let mut batch = bytes;
    if let CompressionSetting::Codec(codec, level) = settings.compression
        && header.compression() != Some(codec)
    {
        let max = settings.max_message_bytes;
        batch = builder::recompressed(&batch, codec, level, max).map_err(|error| match error {
            RewriteError::TooLarge { size_max } => AppendError::MessageTooLarge { size: size_max + 1, max },
            other => broken(&other),
        })?;
        header = BatchHeader::parse(&batch).map_err(|error| AppendError::CorruptMessage(error.to_string()))?;
    }
    let log_append_time_ms = if settings.log_append_time { now_ms } else { NO_TIMESTAMP };
    if settings.log_append_time {
        batch = builder::with_log_append_time(&batch, now_ms)
            .map_err(|error| AppendError::CorruptMessage(error.to_string()))?;
        header = BatchHeader::parse(&batch).map_err(|error| AppendError::CorruptMessage(error.to_string()))?;
    } else if max_timestamp.is_some_and(|found| found != header.max_timestamp)
        || header.attributes.timestamp_type() == TimestampType::LogAppend
    {
        header.max_timestamp = max_timestamp.unwrap_or(header.max_timestamp);
        header.attributes.0 &= !LOG_APPEND_TIME;
        batch = builder::sealed(header, batch.get(HEADER_LEN..).unwrap_or_default());
        header = BatchHeader::parse(&batch).map_err(|error| AppendError::CorruptMessage(error.to_string()))?;
    }
    Ok(Validated { batch, header, log_append_time_ms })
}

fn bad_timestamps(errors: Vec<(i32, String)>) -> AppendError {
    let message = "one or more records have been rejected due to invalid timestamp".to_owned();
    AppendError::InvalidTimestamp(RecordErrors { message, errors })
}

/// Bytes that are no records.
fn broken(error: &dyn std::fmt::Display) -> AppendError {
    invalid(error.to_string())
}

fn invalid(message: impl Into<String>) -> AppendError {
    AppendError::InvalidRecord(RecordErrors { message: message.into(), errors: Vec::new() })
}

#[cfg(test)]
mod tests;
