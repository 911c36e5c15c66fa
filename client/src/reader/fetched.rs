//! What one fetch gave: whole batches, checked by their checksums, as slices of the answer; and the walk that turns them
//! into records.

use std::collections::HashSet;

use bytes::Bytes;
use tidemark_record::{BatchHeader, HEADER_LEN, Records, TimestampType, batch, builder};

use super::FetchLimits;
use crate::{
    ReadError,
    record::{Header, Record},
};

/// The type of the control record that ends a transaction without committing it.
const ABORT: i16 = 0;

/// What one fetch gave. Records stay in the bytes of the answer until they are asked for.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that was asked for.
    pub offset: i64,
    /// The offset to ask for next: after the last whole batch, or `offset` again if there was none.
    pub next_offset: i64,
    /// The offset after the last committed record.
    pub high_watermark: i64,
    /// The offset after the last record that no open transaction can touch; -1 if the broker does not say.
    pub last_stable_offset: i64,
    /// The first offset there is; -1 if the broker does not say.
    pub log_start_offset: i64,
    pub(super) batches: Vec<Batch>,
    pub(super) inflated_bytes_max: usize,
}

/// One batch of records as the broker stores it, its checksum checked.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its header.
    pub header: BatchHeader,
    /// All of its bytes.
    pub bytes: Bytes,
}

/// A transaction that was aborted, as a fetch answer names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aborted {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
}

impl Fetched {
    /// The records from `offset` on, decoded batch by batch; control records are left out.
    ///
    /// A damaged batch is an error at its place, and the last item.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, ReadError>> + '_ {
        let mut damaged = false;
        self.batches.iter().flat_map(|batch| self.decoded(batch)).take_while(move |record| {
            let goes_on = !damaged;
            damaged = record.is_err();
            goes_on
        })
    }

    /// All records at once.
    ///
    /// # Errors
    /// [`ReadError::Damaged`].
    pub fn into_records(self) -> Result<Vec<Record>, ReadError> {
        self.records().collect()
    }

    /// The batches that hold the records, as stored. The first may begin below `offset`; control batches and those of
    /// aborted transactions, where these are left out, are not among them.
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// Whether it moved nowhere: no batch came.
    pub fn is_empty(&self) -> bool {
        self.next_offset == self.offset
    }

    fn decoded(&self, batch: &Batch) -> Vec<Result<Record, ReadError>> {
        match decode(batch, self.offset, self.inflated_bytes_max) {
            Ok(records) => records.into_iter().map(Ok).collect(),
            Err(cause) => vec![Err(self.damaged(batch.header.base_offset, cause))],
        }
    }

    fn damaged(&self, offset: i64, cause: String) -> ReadError {
        ReadError::Damaged { topic: self.topic.clone(), partition: self.partition, offset, cause }
    }

    /// Cuts `records` into whole batches, checks them, and moves `next_offset` past them. A batch that is cut short
    /// behind others is left for the next fetch; so is a damaged one, which the next fetch will begin with.
    ///
    /// # Errors
    /// The first batch is damaged or cut short.
    pub(super) fn take_batches(
        &mut self,
        mut records: Bytes,
        aborted: Option<Vec<Aborted>>,
        limits: &FetchLimits,
    ) -> Result<(), ReadError> {
        self.inflated_bytes_max = limits.inflated_bytes_max;
        let mut transactions = aborted.map(Transactions::new);
        while !records.is_empty() {
            let batch = match next_batch(&mut records) {
                Ok(batch) => batch,
                Err(_) if !self.is_empty() => break,
                Err(cause) => return Err(self.damaged(self.offset, cause)),
            };
            self.next_offset = self.next_offset.max(batch.header.next_offset());
            let given = transactions.as_mut().is_none_or(|transactions| transactions.is_committed(&batch));
            if given && !batch.header.attributes.is_control() && batch.header.last_offset() >= self.offset {
                self.batches.push(batch);
            }
        }
        Ok(())
    }
}

fn next_batch(records: &mut Bytes) -> Result<Batch, String> {
    let header = BatchHeader::parse(records).map_err(|cause| cause.to_string())?;
    let size = header.size_in_bytes();
    if size > records.len() {
        return Err(format!("batch is cut short: {} bytes of {size}", records.len()));
    }
    let bytes = records.split_to(size);
    batch::verify(&bytes).map_err(|cause| cause.to_string())?;
    Ok(Batch { header, bytes })
}

fn decode(batch: &Batch, offset_min: i64, inflated_bytes_max: usize) -> Result<Vec<Record>, String> {
    let Batch { header, bytes } = batch;
    let payload = match builder::inflated(header, bytes, inflated_bytes_max).map_err(|cause| cause.to_string())? {
        std::borrow::Cow::Borrowed(_) => bytes.slice(HEADER_LEN..),
        std::borrow::Cow::Owned(inflated) => inflated.into(),
    };
    let mut walk = Records::new(&payload, header.records_count);
    let mut records = Vec::new();
    for record in walk.by_ref() {
        let record = record.map_err(|cause| cause.to_string())?;
        let offset = header.base_offset.saturating_add(i64::from(record.offset_delta));
        if offset < offset_min {
            continue;
        }
        let timestamp_ms = match header.attributes.timestamp_type() {
            TimestampType::LogAppend => header.max_timestamp,
            TimestampType::Create => header.base_timestamp.saturating_add(record.timestamp_delta),
        };
        let owned = |bytes: &[u8]| payload.slice_ref(bytes);
        let headers =
            record.headers().map(|header| Header { name: owned(header.name), value: header.value.map(owned) });
        let (key, value) = (record.key.map(owned), record.value.map(owned));
        records.push(Record { offset, timestamp_ms, key, value, headers: headers.collect() });
    }
    walk.finish().map_err(|cause| cause.to_string())?;
    Ok(records)
}

/// Tells batches of aborted transactions from others, in the order of their offsets.
struct Transactions {
    /// Not begun yet, the last to begin first.
    ahead: Vec<Aborted>,
    /// Producer ids whose records are not given until their abort marker.
    aborting: HashSet<i64>,
}

impl Transactions {
    fn new(mut aborted: Vec<Aborted>) -> Self {
        aborted.sort_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        Self { ahead: aborted, aborting: HashSet::new() }
    }

    fn is_committed(&mut self, batch: &Batch) -> bool {
        let header = &batch.header;
        while let Some(begun) = self.ahead.pop_if(|aborted| aborted.first_offset <= header.last_offset()) {
            self.aborting.insert(begun.producer_id);
        }
        if header.attributes.is_control() && control_type(batch) == Some(ABORT) {
            self.aborting.remove(&header.producer_id);
        }
        !(header.attributes.is_transactional() && self.aborting.contains(&header.producer_id))
    }
}

/// The second 16 bits of a control record's key.
fn control_type(batch: &Batch) -> Option<i16> {
    let payload = batch.bytes.get(HEADER_LEN..)?;
    let key = Records::new(payload, 1).next()?.ok()?.key?;
    Some(i16::from_be_bytes(*key.get(2..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use tidemark_record::{BatchBuilder, Compression};

    use super::*;

    fn fetched(offset: i64) -> Fetched {
        Fetched {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            next_offset: offset,
            high_watermark: 100,
            last_stable_offset: 100,
            log_start_offset: 0,
            batches: Vec::new(),
            inflated_bytes_max: 1 << 20,
        }
    }

    fn batch(base_offset: i64, codec: Compression, values: &[&str]) -> BatchBuilder {
        let mut builder = BatchBuilder::new().compression(codec, None).base_offset(base_offset);
        for value in values {
            let headers = [(&b"h"[..], Some(&b"1"[..])), (b"h", None)];
            builder.append(1000, Some(b"k"), Some(value.as_bytes()), headers.into_iter());
        }
        builder
    }

    fn offsets(fetched: &Fetched) -> Vec<i64> {
        fetched.records().map(|record| record.unwrap().offset).collect()
    }

    fn take(offset: i64, batches: &[Bytes], aborted: Option<Vec<Aborted>>) -> Result<Fetched, ReadError> {
        let mut fetched = fetched(offset);
        fetched.take_batches(batches.concat().into(), aborted, &FetchLimits::default()).map(|()| fetched)
    }

    #[test]
    fn records_of_every_codec_come_whole_and_from_the_offset_on() {
        for codec in Compression::ALL {
            let batches =
                [batch(5, codec, &["a", "b", "c"]).build().unwrap(), batch(10, codec, &["d"]).build().unwrap()];
            let fetched = take(6, &batches, None).unwrap();
            assert_eq!(offsets(&fetched), [6, 7, 10]);
            assert_eq!(fetched.next_offset, 11);
            let record = fetched.records().next().unwrap().unwrap();
            assert_eq!((record.timestamp_ms, record.value.unwrap()), (1000, Bytes::from_static(b"b")));
            let names: Vec<_> = record.headers.iter().map(|header| (header.name_lossy(), &header.value)).collect();
            assert_eq!(names, [("h".into(), &Some(Bytes::from_static(b"1"))), ("h".into(), &None)]);
        }
    }

    #[test]
    fn a_record_is_a_slice_of_the_answer() {
        let answer: Bytes = batch(0, Compression::None, &["value"]).build().unwrap();
        let mut fetched = fetched(0);
        fetched.take_batches(answer.clone(), None, &FetchLimits::default()).unwrap();
        let record = fetched.records().next().unwrap().unwrap();
        assert!(answer.as_ptr_range().contains(&record.value.unwrap().as_ptr()));
    }

    #[test]
    fn a_batch_cut_short_behind_others_waits_and_alone_is_an_error() {
        let (first, second) = (batch(0, Compression::None, &["a"]), batch(1, Compression::None, &["b"]));
        let mut bytes = [first.build().unwrap(), second.build().unwrap()].concat();
        bytes.pop();
        let cut = take(0, &[bytes.into()], None).unwrap();
        assert_eq!((offsets(&cut), cut.next_offset), (vec![0], 1));
        let alone = batch(1, Compression::None, &["b"]).build().unwrap();
        assert!(matches!(take(1, &[alone.slice(..alone.len() - 1)], None), Err(ReadError::Damaged { offset: 1, .. })));
    }

    #[test]
    fn a_flipped_bit_is_found_and_what_lies_before_it_is_given() {
        let good = batch(0, Compression::None, &["a"]).build().unwrap();
        let mut bad = batch(1, Compression::None, &["b"]).build().unwrap().to_vec();
        let last = bad.len() - 1;
        bad[last] ^= 1;
        let bad = Bytes::from(bad);
        let fetched = take(0, &[good, bad.clone()], None).unwrap();
        assert_eq!(fetched.next_offset, 1);
        assert!(matches!(take(1, &[bad], None), Err(ReadError::Damaged { .. })));
    }

    #[test]
    fn records_that_lie_end_the_walk_with_an_error() {
        let mut header = BatchHeader::parse(&batch(0, Compression::None, &["a"]).build().unwrap()).unwrap();
        header.records_count = i32::MAX;
        let fetched =
            take(0, &[builder::sealed(header, &[2, 0]), batch(1, Compression::None, &["b"]).build().unwrap()], None);
        let records: Vec<_> = fetched.as_ref().unwrap().records().collect();
        assert!(matches!(records.as_slice(), [Err(ReadError::Damaged { offset: 0, .. })]), "{records:?}");
        let bomb = batch(0, Compression::Zstd, &[&"0".repeat(2 << 20)]).build().unwrap();
        let mut fetched = take(0, &[bomb], None).unwrap();
        fetched.inflated_bytes_max = 1 << 20;
        assert!(fetched.into_records().is_err());
    }

    fn marker(base_offset: i64, producer_id: i64, kind: u8) -> Bytes {
        let mut builder =
            BatchBuilder::new().base_offset(base_offset).producer(producer_id, 0, -1).transactional().control();
        builder.append_plain(0, Some(&[0, 0, 0, kind]), Some(&[0; 6]));
        builder.build().unwrap()
    }

    #[test]
    fn aborted_records_are_left_out_only_where_the_answer_names_them() {
        let of = |base_offset, producer_id| {
            batch(base_offset, Compression::None, &["x"]).producer(producer_id, 0, 0).transactional().build().unwrap()
        };
        let batches = [of(0, 7), of(1, 8), marker(2, 7, 0), of(3, 7), marker(4, 7, 1), marker(5, 8, 1)];
        let aborted = vec![Aborted { producer_id: 7, first_offset: 0 }];
        let committed = take(0, &batches, Some(aborted)).unwrap();
        assert_eq!((offsets(&committed), committed.next_offset), (vec![1, 3], 6));
        assert_eq!(offsets(&take(0, &batches, None).unwrap()), [0, 1, 3]);
    }
}
