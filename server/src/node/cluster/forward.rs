//! Clients' requests that the controller answers, on their way to it and back. Not here: which ones those are (`api`).
//!
//! An answer is a byte that says how it went, then the answer's body, or why there is none.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;

use super::{desk::Served, kind::Kind, links::Links};
use crate::{
    api::{Broker, Forward, ForwardError, Forwarding, answer_forwarded},
    transport::{Caller, Lane},
};

const ANSWERED: u8 = 0;
const NOT_CONTROLLER: u8 = 1;
const REFUSED: u8 = 2;
const NOBODY: i32 = -1;

impl Forward for Links {
    fn forward(&self, to: i32, frame: Bytes) -> Forwarding {
        let called = self.call(to, Lane::Bulk, Kind::Forward, frame);
        Box::pin(async move {
            let answer = called.await.map_err(|error| ForwardError::Unreachable(error.to_string()))?;
            decode(&answer)
        })
    }
}

/// Answers what another broker sent on.
pub(super) fn answer(broker: Arc<Broker>, from: Caller, frame: Bytes) -> Served {
    async move {
        let (how, rest) = match answer_forwarded(&broker, from.broker_id, frame).await {
            Ok(body) => (ANSWERED, body),
            Err(ForwardError::NotController { leader }) => {
                (NOT_CONTROLLER, Bytes::copy_from_slice(&leader.unwrap_or(NOBODY).to_be_bytes()))
            }
            Err(error) => (REFUSED, Bytes::from(error.to_string())),
        };
        Ok(vec![Bytes::copy_from_slice(&[how]), rest])
    }
    .boxed()
}

fn decode(answer: &Bytes) -> Result<Bytes, ForwardError> {
    let nonsense = || ForwardError::Refused("an answer that means nothing".to_owned());
    let rest = answer.get(1..).map(|_| answer.slice(1..)).ok_or_else(nonsense)?;
    match answer.first() {
        Some(&ANSWERED) => Ok(rest),
        Some(&NOT_CONTROLLER) => {
            let leader = rest.first_chunk().map(|id| i32::from_be_bytes(*id)).ok_or_else(nonsense)?;
            Err(ForwardError::NotController { leader: Some(leader).filter(|leader| *leader >= 0) })
        }
        Some(&REFUSED) => Err(ForwardError::Refused(String::from_utf8_lossy(&rest).into_owned())),
        _ => Err(nonsense()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_and_nonsense_is_refused() {
        assert_eq!(decode(&Bytes::from_static(&[0, 7, 8])), Ok(Bytes::from_static(&[7, 8])));
        let leader = |bytes: &'static [u8]| decode(&Bytes::from_static(bytes));
        assert_eq!(leader(&[1, 0, 0, 0, 3]), Err(ForwardError::NotController { leader: Some(3) }));
        assert_eq!(leader(&[1, 255, 255, 255, 255]), Err(ForwardError::NotController { leader: None }));
        assert!(matches!(leader(b"\x02no"), Err(ForwardError::Refused(why)) if why == "no"));
        for bytes in [&[][..], &[1, 0], &[9]] {
            assert!(matches!(decode(&Bytes::copy_from_slice(bytes)), Err(ForwardError::Refused(_))));
        }
    }
}
