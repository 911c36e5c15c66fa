//! The bytes of a fetch answer around its records, written by hand: kafka-protocol would copy the records, here they
//! stay ranges of their segments. Not here: what is answered. A test holds every version against kafka-protocol.

use bytes::{BufMut, BytesMut};
use kafka_protocol::error::ResponseError;

use super::super::{
    fetch_session::TopicKey,
    reply::{Part, Reply},
    topic::{Endpoint, Leader},
};
use crate::partition::{FetchedRecords, RecordSlice};

/// First version with a request-wide error and a session.
const SESSION_SINCE: i16 = 7;
/// First version with each partition's log start.
const LOG_START_SINCE: i16 = 5;
/// First version that can send a client to another replica.
const PREFERRED_REPLICA_SINCE: i16 = 11;
/// First version with compact lengths and tagged fields.
pub(super) const FLEXIBLE_SINCE: i16 = 12;
/// First version whose topics are ids.
pub(super) const TOPIC_IDS_SINCE: i16 = 13;
/// First version that says where a leader is.
pub(super) const NODE_ENDPOINTS_SINCE: i16 = 16;
/// "No replica is to be preferred."
const NO_REPLICA: i32 = -1;

/// One partition's answer.
#[derive(Debug, Clone)]
pub(super) struct PartitionAnswer {
    pub(super) topic: TopicKey,
    pub(super) partition: i32,
    pub(super) error: Option<ResponseError>,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start_offset: i64,
    /// Producer id and first offset of each; `None` for read_uncommitted.
    pub(super) aborted: Option<Vec<(i64, i64)>>,
    /// The epoch at which the asker's log parted from ours, and where it ends.
    pub(super) diverging_epoch: Option<(i32, i64)>,
    pub(super) leader: Option<Leader>,
    /// The broker that the asker shall read from.
    pub(super) preferred_replica: Option<i32>,
    pub(super) records: FetchedRecords,
}

/// A whole answer.
pub(super) struct Envelope<'a> {
    pub(super) error: Option<ResponseError>,
    pub(super) session_id: i32,
    pub(super) partitions: &'a [&'a PartitionAnswer],
    pub(super) endpoints: &'a [Endpoint],
}

impl Envelope<'_> {
    /// The answer as pieces of memory and of files.
    pub(super) fn encode(&self, version: i16) -> Reply {
        let mut out =
            Writer { version, bytes: BytesMut::with_capacity(64 + 96 * self.partitions.len()), parts: Vec::new() };
        out.bytes.put_i32(0);
        if version >= SESSION_SINCE {
            out.bytes.put_i16(code(self.error));
            out.bytes.put_i32(self.session_id);
        }
        let topics = || self.partitions.chunk_by(|one, next| one.topic == next.topic);
        out.count(Some(topics().count()));
        for topic in topics() {
            match topic.first().map(|partition| &partition.topic) {
                Some(TopicKey::Name(name)) => out.string(Some(name)),
                Some(TopicKey::Id(id)) => out.bytes.put_slice(id.as_bytes()),
                None => {}
            }
            out.count(Some(topic.len()));
            topic.iter().for_each(|partition| out.partition(partition));
            out.no_tags();
        }
        out.endpoints(self.endpoints);
        out.finish()
    }
}

fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |error| error.code())
}

struct Writer {
    version: i16,
    bytes: BytesMut,
    parts: Vec<Part>,
}

impl Writer {
    fn is_flexible(&self) -> bool {
        self.version >= FLEXIBLE_SINCE
    }

    fn partition(&mut self, partition: &PartitionAnswer) {
        self.bytes.put_i32(partition.partition);
        self.bytes.put_i16(code(partition.error));
        self.bytes.put_i64(partition.high_watermark);
        self.bytes.put_i64(partition.last_stable_offset);
        if self.version >= LOG_START_SINCE {
            self.bytes.put_i64(partition.log_start_offset);
        }
        self.count(partition.aborted.as_ref().map(Vec::len));
        for (producer_id, first_offset) in partition.aborted.iter().flatten() {
            self.bytes.put_i64(*producer_id);
            self.bytes.put_i64(*first_offset);
            self.no_tags();
        }
        if self.version >= PREFERRED_REPLICA_SINCE {
            self.bytes.put_i32(partition.preferred_replica.unwrap_or(NO_REPLICA));
        }
        self.count(Some(partition.records.bytes));
        self.records(&partition.records);
        if self.is_flexible() {
            self.partition_tags(partition);
        }
    }

    fn records(&mut self, records: &FetchedRecords) {
        if records.bytes == 0 {
            return;
        }
        self.cut();
        self.parts.extend(records.slices.iter().map(|slice| match slice {
            RecordSlice::File { file, position, len } => {
                Part::File { file: file.clone(), position: *position, len: *len }
            }
            RecordSlice::Memory(bytes) => Part::Bytes(bytes.clone()),
        }));
    }

    fn partition_tags(&mut self, partition: &PartitionAnswer) {
        let (diverging, leader) = (partition.diverging_epoch, partition.leader);
        self.varint(usize::from(diverging.is_some()) + usize::from(leader.is_some()));
        if let Some((epoch, end_offset)) = diverging {
            self.bytes.put_slice(&[0, 13]);
            self.bytes.put_i32(epoch);
            self.bytes.put_i64(end_offset);
            self.no_tags();
        }
        if let Some(leader) = leader {
            self.bytes.put_slice(&[1, 9]);
            self.bytes.put_i32(leader.id.0);
            self.bytes.put_i32(leader.epoch);
            self.no_tags();
        }
    }

    fn endpoints(&mut self, endpoints: &[Endpoint]) {
        if self.version < NODE_ENDPOINTS_SINCE || endpoints.is_empty() {
            return self.no_tags();
        }
        self.bytes.put_slice(&[1, 0]);
        let mut nested = Self { version: self.version, bytes: BytesMut::new(), parts: Vec::new() };
        nested.count(Some(endpoints.len()));
        for endpoint in endpoints {
            nested.bytes.put_i32(endpoint.id.0);
            nested.string(Some(&endpoint.host));
            nested.bytes.put_i32(endpoint.port);
            nested.string(endpoint.rack.as_deref());
            nested.no_tags();
        }
        self.varint(nested.bytes.len());
        self.bytes.extend_from_slice(&nested.bytes);
    }

    /// Of an array, or of bytes; `None` is null.
    fn count(&mut self, count: Option<usize>) {
        if self.is_flexible() {
            self.varint(count.map_or(0, |count| count + 1));
        } else {
            // no answer comes near 2 GiB: the broker's own limit is 55 MiB
            self.bytes.put_i32(count.map_or(-1, |count| count as i32));
        }
    }

    fn string(&mut self, text: Option<&str>) {
        if self.is_flexible() {
            self.varint(text.map_or(0, |text| text.len() + 1));
        } else {
            self.bytes.put_i16(text.map_or(-1, |text| text.len() as i16));
        }
        self.bytes.put_slice(text.unwrap_or_default().as_bytes());
    }

    fn no_tags(&mut self) {
        if self.is_flexible() {
            self.bytes.put_u8(0);
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.bytes.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// What was written so far becomes a part.
    fn cut(&mut self) {
        if !self.bytes.is_empty() {
            self.parts.push(Part::Bytes(self.bytes.split().freeze()));
        }
    }

    fn finish(mut self) -> Reply {
        self.cut();
        Reply { parts: self.parts, ..Reply::default() }
    }
}

#[cfg(test)]
mod tests;
