//! The controller's answers.

use super::{MessageError, VERSION};
use crate::metadata::{FieldReader, FieldWriter};

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// NOT_CONTROLLER: another broker decides, or none does yet.
    #[error("not the controller")]
    NotController {
        /// The broker that decides, if that is known.
        leader: Option<i32>,
    },
    /// DUPLICATE_BROKER_REGISTRATION: another process with this id lives.
    #[error(
        "Another broker is registered with that broker id. If the broker was recently restarted this should self-resolve \
         once the heartbeat manager expires the broker's session."
    )]
    DuplicateBroker,
    /// INCONSISTENT_CLUSTER_ID.
    #[error("Expected cluster ID {expected}, but got cluster ID {found}")]
    OtherCluster {
        /// The controller's.
        expected: String,
        /// The broker's.
        found: String,
    },
    /// BROKER_ID_NOT_REGISTERED or STALE_BROKER_EPOCH: the broker must register (again).
    #[error("this incarnation of the broker is not registered")]
    NotRegistered,
    /// It cannot be done, for a reason that is logged there, too.
    #[error("{0}")]
    Failed(String),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// To a heartbeat.
    Heard {
        /// Clients are not sent there.
        fenced: bool,
        /// It may stop now: others lead what can be led elsewhere.
        may_stop: bool,
    },
    /// Producer ids that are the broker's from now on.
    ProducerIds {
        /// The first.
        first: i64,
        /// How many.
        count: i32,
    },
    /// No.
    Refused(Refused),
}

const NOBODY: i32 = -1;

impl Answer {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.byte(VERSION);
        match self {
            Self::Done => out.byte(1),
            Self::Heard { fenced, may_stop } => {
                out.byte(2);
                out.flag(*fenced);
                out.flag(*may_stop);
            }
            Self::ProducerIds { first, count } => {
                out.byte(3);
                out.long(*first);
                out.int(*count);
            }
            Self::Refused(Refused::NotController { leader }) => {
                out.byte(4);
                out.int(leader.unwrap_or(NOBODY));
            }
            Self::Refused(Refused::DuplicateBroker) => out.byte(5),
            Self::Refused(Refused::OtherCluster { expected, found }) => {
                out.byte(6);
                out.text(expected);
                out.text(found);
            }
            Self::Refused(Refused::NotRegistered) => out.byte(7),
            Self::Refused(Refused::Failed(why)) => {
                out.byte(8);
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
        read(&mut body).filter(|_| body.is_empty()).ok_or(MessageError)
    }
}

fn read(body: &mut FieldReader) -> Option<Answer> {
    if body.byte()? != VERSION {
        return None;
    }
    Some(match body.byte()? {
        1 => Answer::Done,
        2 => Answer::Heard { fenced: body.flag()?, may_stop: body.flag()? },
        3 => Answer::ProducerIds { first: body.long()?, count: body.int()? },
        4 => {
            let leader = body.int()?;
            Answer::Refused(Refused::NotController { leader: (leader != NOBODY).then_some(leader) })
        }
        5 => Answer::Refused(Refused::DuplicateBroker),
        6 => Answer::Refused(Refused::OtherCluster { expected: body.text()?, found: body.text()? }),
        7 => Answer::Refused(Refused::NotRegistered),
        8 => Answer::Refused(Refused::Failed(body.text()?)),
        _ => return None,
    })
}
