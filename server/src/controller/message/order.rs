//! Orders from the controller to a partition's leader, and what became of them.

use uuid::Uuid;

use super::{MessageError, VERSION, read_replica, write_replica};
use crate::metadata::{FieldReader, FieldWriter, Replica};

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Let another member lead.
    Transfer {
        /// The topic.
        topic_id: Uuid,
        /// The partition.
        partition: i32,
        /// Who shall lead.
        to: Replica,
    },
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderAnswer {
    /// Done.
    Done,
    /// The broker does not lead the partition.
    NotLeader,
    /// It cannot be done now.
    Failed(String),
}

impl Order {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Self::Transfer { topic_id, partition, to } = self;
        let mut out = FieldWriter::default();
        out.byte(VERSION);
        out.byte(1);
        out.uuid(topic_id);
        out.int(*partition);
        write_replica(&mut out, to);
        out.finish()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut body = FieldReader::new(bytes);
        read_order(&mut body).filter(|_| body.is_empty()).ok_or(MessageError)
    }
}

fn read_order(body: &mut FieldReader) -> Option<Order> {
    if (body.byte()?, body.byte()?) != (VERSION, 1) {
        return None;
    }
    Some(Order::Transfer { topic_id: body.uuid()?, partition: body.int()?, to: read_replica(body)? })
}

impl OrderAnswer {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.byte(VERSION);
        match self {
            Self::Done => out.byte(1),
            Self::NotLeader => out.byte(2),
            Self::Failed(why) => {
                out.byte(3);
                out.text(why);
            }
        }
        out.finish()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut body = FieldReader::new(bytes);
        read_answer(&mut body).filter(|_| body.is_empty()).ok_or(MessageError)
    }
}

fn read_answer(body: &mut FieldReader) -> Option<OrderAnswer> {
    if body.byte()? != VERSION {
        return None;
    }
    Some(match body.byte()? {
        1 => OrderAnswer::Done,
        2 => OrderAnswer::NotLeader,
        3 => OrderAnswer::Failed(body.text()?),
        _ => return None,
    })
}
