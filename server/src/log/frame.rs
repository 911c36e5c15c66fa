//! Internal frames: Raft's own entries and each segment's header, in the shape of a Kafka control batch that holds no
//! record: count 0, last offset delta -1, then a payload under the checksum.
//!
//! Their base offset is the log's end at that moment, so offsets never fall in a segment, and Kafka's dump tool reads on.

use bytes::Bytes;
use tidemark_record::{Attributes, BatchHeader, HEADER_LEN, builder};
use uuid::Uuid;

use super::config::LogIdentity;

/// The segment format that is written.
pub(super) const SEGMENT_FORMAT: u16 = 1;
const CONTROL: i16 = 0x20;
const HEADER_PAYLOAD_LEN: usize = 1 + 2 + 16 + 4 + 8 + 8 + 4;

/// What an internal frame is for; its payload's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum InternalKind {
    /// First frame of a segment; takes no Raft index.
    SegmentHeader = 1,
    /// The group's voters; the first entry of every log.
    Membership = 2,
    /// A new leader's first entry.
    Blank = 3,
    /// An entry that lost a check inside the leader's append.
    Void = 4,
    /// A replicated order such as a new log start.
    Command = 5,
}

impl InternalKind {
    /// From the payload's first byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::SegmentHeader,
            2 => Self::Membership,
            3 => Self::Blank,
            4 => Self::Void,
            5 => Self::Command,
            _ => return None,
        })
    }
}

/// What the first frame of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Format of the frames behind it.
    pub format: u16,
    /// The topic.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// Raft index of the frame behind it.
    pub first_index: u64,
    /// Raft index of the last frame before this segment; u64::MAX if there is none.
    pub previous_index: u64,
    /// Leader epoch of that frame; -1 if there is none.
    pub previous_epoch: i32,
}

/// An internal frame.
pub(super) fn internal(kind: InternalKind, payload: &[u8], base_offset: i64, leader_epoch: i32) -> Bytes {
    let header = BatchHeader {
        base_offset,
        batch_length: 0,
        partition_leader_epoch: leader_epoch,
        magic: 2,
        crc: 0,
        attributes: Attributes(CONTROL),
        last_offset_delta: -1,
        base_timestamp: -1,
        max_timestamp: -1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records_count: 0,
    };
    builder::sealed(header, &[&[kind as u8], payload].concat())
}

impl SegmentHeader {
    /// The header frame of a segment that starts at `base_offset`.
    pub(super) fn frame(identity: &LogIdentity, base_offset: i64, first_index: u64, previous_epoch: i32) -> Bytes {
        let mut payload = Vec::with_capacity(HEADER_PAYLOAD_LEN);
        payload.extend_from_slice(&SEGMENT_FORMAT.to_be_bytes());
        payload.extend_from_slice(identity.topic_id.as_bytes());
        payload.extend_from_slice(&identity.partition.to_be_bytes());
        payload.extend_from_slice(&first_index.to_be_bytes());
        payload.extend_from_slice(&first_index.wrapping_sub(1).to_be_bytes());
        payload.extend_from_slice(&previous_epoch.to_be_bytes());
        internal(InternalKind::SegmentHeader, &payload, base_offset, previous_epoch)
    }

    /// Reads the payload of a whole header frame; `None` if it is none.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let payload = frame.get(HEADER_LEN..)?;
        let (kind, mut rest) = payload.split_first()?;
        if InternalKind::from_byte(*kind)? != InternalKind::SegmentHeader {
            return None;
        }
        Some(Self {
            format: u16::from_be_bytes(take(&mut rest)?),
            topic_id: Uuid::from_bytes(take(&mut rest)?),
            partition: i32::from_be_bytes(take(&mut rest)?),
            first_index: u64::from_be_bytes(take(&mut rest)?),
            previous_index: u64::from_be_bytes(take(&mut rest)?),
            previous_epoch: i32::from_be_bytes(take(&mut rest)?),
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}

/// Bytes of a header frame.
pub(super) const HEADER_FRAME_LEN: usize = HEADER_LEN + HEADER_PAYLOAD_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_frame_reads_back_and_is_internal() {
        let identity = LogIdentity { topic_id: Uuid::from_u128(7), partition: 3 };
        let frame = SegmentHeader::frame(&identity, 40, 9, 2);
        let header = tidemark_record::batch::verify(&frame).unwrap();
        assert!(header.is_internal() && header.attributes.is_control());
        assert_eq!((header.base_offset, header.next_offset(), frame.len()), (40, 40, HEADER_FRAME_LEN));
        let parsed = SegmentHeader::parse(&frame).unwrap();
        assert_eq!((parsed.topic_id, parsed.first_index, parsed.previous_index), (identity.topic_id, 9, 8));
        assert_eq!(SegmentHeader::parse(&internal(InternalKind::Void, &[0; 60], 0, 0)), None);
    }
}
