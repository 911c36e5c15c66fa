//! A batch on its way: records being gathered, then bytes with a producer id and a sequence. Not here: when it is sent.

use bytes::Bytes;
use tidemark_record::{
    BatchBuilder, BatchHeader, Compression, HEADER_LEN, Records, builder, compression::INFLATED_BYTES_MAX,
};
use tokio::time::Instant;

use super::{delivery::Ticket, record::ProducerRecord};

/// The most bytes that a record's lengths, counts and deltas take in a batch, beside those of its headers.
const RECORD_OVERHEAD: usize = 36;
/// The same for one header.
const HEADER_OVERHEAD: usize = 10;

/// The most bytes that a record takes in a batch.
pub(super) fn size_max(record: &ProducerRecord) -> usize {
    let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers = record.headers.iter().map(|header| HEADER_OVERHEAD + header.name.len() + len(&header.value));
    RECORD_OVERHEAD + len(&record.key) + len(&record.value) + headers.sum::<usize>()
}

/// A producer id and its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// Who wrote a batch, and where it stands among what they wrote to the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) identity: Identity,
    pub(super) base: i32,
}

/// Records of one partition that go together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) ticket: Ticket,
    /// In the order in which the producer's batches were begun; parts of a split one share it.
    pub(super) ordinal: u64,
    pub(super) begun: Instant,
    pub(super) records_count: i32,
    /// Before compression.
    pub(super) size_in_bytes: usize,
    payload: Payload,
    /// Set when it is first sent, and kept, so that the broker knows it again.
    pub(super) sequence: Option<Sequence>,
    pub(super) attempts: u32,
    pub(super) not_before: Option<Instant>,
    /// An attempt went unanswered.
    pub(super) maybe_written: bool,
    /// What the last attempt met.
    pub(super) cause: String,
}

#[derive(Debug)]
enum Payload {
    Gathering(BatchBuilder),
    Built(Bytes),
}

impl Batch {
    pub(super) fn begin(ticket: Ticket, ordinal: u64, builder: BatchBuilder) -> Self {
        Self {
            ticket,
            ordinal,
            begun: Instant::now(),
            records_count: 0,
            size_in_bytes: builder.size_in_bytes(),
            payload: Payload::Gathering(builder),
            sequence: None,
            attempts: 0,
            not_before: None,
            maybe_written: false,
            cause: "it was not sent yet".to_owned(),
        }
    }

    /// Its place among the producer's batches; parts of a split one follow their records.
    pub(super) fn place(&self) -> (u64, u32) {
        (self.ordinal, self.ticket.first())
    }

    /// Adds a record; nothing once it was built.
    pub(super) fn append(&mut self, record: &ProducerRecord, timestamp_ms: i64) {
        if let Payload::Gathering(builder) = &mut self.payload {
            let headers = record.headers.iter().map(|header| (&header.name[..], header.value.as_deref()));
            builder.append(timestamp_ms, record.key.as_deref(), record.value.as_deref(), headers);
            (self.records_count, self.size_in_bytes) = (builder.records_count(), builder.size_in_bytes());
        }
    }

    /// The bytes to send, under the sequence it has now.
    ///
    /// # Errors
    /// The codec's, or those of bytes that are no batch, which would be a fault of this client.
    pub(super) fn bytes(&mut self) -> Result<Bytes, String> {
        let built = match std::mem::replace(&mut self.payload, Payload::Built(Bytes::new())) {
            Payload::Gathering(builder) => {
                let builder = match self.sequence {
                    Some(Sequence { identity, base }) => builder.producer(identity.id, identity.epoch, base),
                    None => builder,
                };
                builder.build().map_err(|error| error.to_string())?
            }
            Payload::Built(bytes) => self.resequenced(bytes)?,
        };
        self.payload = Payload::Built(built.clone());
        Ok(built)
    }

    fn resequenced(&self, bytes: Bytes) -> Result<Bytes, String> {
        let mut header = BatchHeader::parse(&bytes).map_err(|error| error.to_string())?;
        let Some(Sequence { identity, base }) = self.sequence else { return Ok(bytes) };
        if (header.producer_id, header.producer_epoch, header.base_sequence) == (identity.id, identity.epoch, base) {
            return Ok(bytes);
        }
        (header.producer_id, header.producer_epoch, header.base_sequence) = (identity.id, identity.epoch, base);
        Ok(builder::sealed(header, &bytes[HEADER_LEN..]))
    }

    /// Its two halves, under the same sequences.
    ///
    /// # Errors
    /// Gives it back if it has one record, or was not built.
    pub(super) fn split(mut self, codec: Compression, level: Option<i32>) -> Result<(Self, Self), Box<Self>> {
        let Payload::Built(bytes) = &self.payload else { return Err(Box::new(self)) };
        let Some((first, second)) = halves(bytes, codec, level) else { return Err(Box::new(self)) };
        let first_count = first.records_count();
        let part = |ticket, builder: BatchBuilder, sequence| Self {
            ticket,
            ordinal: self.ordinal,
            begun: self.begun,
            records_count: builder.records_count(),
            size_in_bytes: builder.size_in_bytes(),
            payload: Payload::Gathering(builder),
            sequence,
            attempts: self.attempts,
            not_before: None,
            maybe_written: false,
            cause: self.cause.clone(),
        };
        let later = self.sequence.map(|Sequence { identity, base }| Sequence {
            identity,
            base: tidemark_record::batch::increment_sequence(base, first_count),
        });
        let ticket = self.ticket.split_off(first_count.unsigned_abs());
        let second = part(ticket, second, later);
        let sequence = self.sequence;
        let first = part(self.ticket, first, sequence);
        Ok((first, second))
    }
}

/// The records of a built batch in two builders; None where there are not two.
fn halves(bytes: &Bytes, codec: Compression, level: Option<i32>) -> Option<(BatchBuilder, BatchBuilder)> {
    let header = BatchHeader::parse(bytes).ok()?;
    let payload = builder::inflated(&header, bytes, INFLATED_BYTES_MAX).ok()?;
    let mut parts = [(); 2].map(|()| BatchBuilder::new().compression(codec, level));
    let half = header.records_count / 2;
    for record in Records::new(&payload, header.records_count) {
        let record = record.ok()?;
        let headers: Vec<_> = record.headers().map(|header| (header.name, header.value)).collect();
        let part = &mut parts[usize::from(record.offset_delta >= half)];
        part.append(header.base_timestamp + record.timestamp_delta, record.key, record.value, headers.into_iter());
    }
    let [first, second] = parts;
    (first.records_count() > 0 && second.records_count() > 0).then_some((first, second))
}
