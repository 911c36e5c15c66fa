//! The few requests that Tidemark answers otherwise than Kafka 4.3.1 on purpose: a row of the bad-input catalogue or a
//! design rule asks for it. Each is asked of both brokers, and both outcomes are held: neither can change unseen.
//!
//! Not here: what is the same (`stories`), and fields that differ beside the same error code (`allowed`).

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{
    CreatePartitionsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
    create_partitions_request::CreatePartitionsTopic, incremental_alter_configs_request as incremental,
};
use tidemark_record::{BatchBuilder, Compression};

use crate::{
    peer::Peer,
    stories::{
        producing::{self, T0, batch, packed, text, to_partition, with_header},
        raw::with,
    },
    tree::Leaves,
};

/// What came of a request, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An answer whose error codes are all this one.
    Code(i16),
    /// An answer, whatever it says.
    Answered,
    /// The connection was closed.
    Closed,
    /// Neither an answer nor a close.
    Silence,
}

/// A request and what becomes of it.
pub struct Apart {
    pub case: &'static str,
    ask: Ask,
    pub kafka: Outcome,
    pub ours: Outcome,
    /// What asks for our outcome.
    pub rule: &'static str,
}

enum Ask {
    /// A Metadata request's version and body.
    Metadata(i16, &'static [u8]),
    /// A whole request's header and body.
    Raw(&'static [u8]),
    /// Records to a topic of its own with this `cleanup.policy`.
    Produce(&'static str, fn() -> Option<Bytes>),
    /// Anything else, under the case's name.
    Other(fn(&mut Peer, &str)),
}

use Ask::{Metadata, Other, Produce, Raw};
use Outcome::{Answered, Closed, Code, Silence};

const UNKNOWN_SERVER_ERROR: Outcome = Code(-1);
const STORED: Outcome = Code(0);
const INVALID_RECORD: Outcome = Code(87);

/// What K5 and K6 ask for: a request that does not read the same to everybody is none.
const fn malformed(case: &'static str, ask: Ask, rule: &'static str) -> Apart {
    Apart { case, ask, kafka: Answered, ours: Closed, rule }
}

/// All of them.
pub const APART: &[Apart] = &[
    malformed(
        "an array count of -2",
        Metadata(1, &[0xff, 0xff, 0xff, 0xfe]),
        "K5: a count that is none; only -1 is null",
    ),
    malformed(
        "a compact count above 31 bits",
        Metadata(9, &[0, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0]),
        "K5: a count above what is left; Kafka takes it for a negative one",
    ),
    malformed("a name that is no UTF-8", Metadata(1, &[0, 0, 0, 1, 0, 2, 0xc3, 0x28]), "K5: bad UTF-8"),
    malformed(
        "a client id that is no UTF-8",
        Raw(&[0, 3, 0, 1, 0, 0, 0, 7, 0, 2, 0xc3, 0x28, 0, 0, 0, 0]),
        "K5: bad UTF-8",
    ),
    malformed("bytes behind the request", Metadata(1, &[0, 0, 0, 0, 1, 2, 3]), "K5: trailing bytes"),
    malformed("a tag twice", Metadata(9, &[0, 1, 1, 0, 0, 2, 50, 1, 1, 50, 1, 1]), "K6: duplicate tags"),
    malformed("tags out of order", Metadata(9, &[0, 1, 1, 0, 0, 2, 60, 1, 1, 50, 1, 1]), "K6: unordered tags"),
    malformed(
        "more tags than bytes",
        Metadata(9, &[0, 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        "K5: a count above what is left; Kafka takes it for -1",
    ),
    Apart {
        case: "an undefined codec",
        ask: Produce("delete", || Some(with_header(&batch(3), 22, &[5]))),
        kafka: UNKNOWN_SERVER_ERROR,
        ours: Code(76),
        rule: "K12; Kafka fails inside (IllegalArgumentException)",
    },
    Apart {
        case: "offset deltas 1, 1, 2",
        ask: Produce("delete", || Some(with_header(&batch(3), 64, &[2]))),
        kafka: STORED,
        ours: INVALID_RECORD,
        rule: "K13: deltas of a plain batch are 0..n-1, or offsets would be given twice or never",
    },
    Apart {
        case: "packed records that are damaged",
        ask: Produce("delete", || Some(damaged())),
        kafka: UNKNOWN_SERVER_ERROR,
        ours: STORED,
        rule: "what is packed is never unpacked unless a rule needs it; the checksum says that it is as it was sent",
    },
    Apart {
        case: "a record more than was packed",
        ask: Produce("delete", || {
            let counted = with_header(&packed(20, Compression::Gzip), 57, &21_i32.to_be_bytes());
            Some(with_header(&counted, 23, &20_i32.to_be_bytes()))
        }),
        kafka: INVALID_RECORD,
        ours: STORED,
        rule: "K13 compares the count with what is there in plain batches only; the same rule",
    },
    Apart {
        case: "packed records that are damaged, to a compacted topic",
        ask: Produce("compact", || Some(damaged())),
        kafka: UNKNOWN_SERVER_ERROR,
        ours: INVALID_RECORD,
        rule: "K16: where a rule unpacks, what cannot be unpacked is INVALID_RECORD; Kafka fails inside (ZipException)",
    },
    Apart {
        case: "a bomb, to a compacted topic",
        ask: Produce("compact", || Some(bomb())),
        kafka: STORED,
        ours: INVALID_RECORD,
        rule: "K16: unpacking ends at 64 MiB",
    },
    Apart {
        case: "an operation 9 on a config",
        ask: Other(operate),
        kafka: UNKNOWN_SERVER_ERROR,
        ours: Code(42),
        rule: "Kafka fails inside (NullPointerException); INVALID_REQUEST is its word for a value out of range",
    },
    Apart {
        case: "a topic grown to a million partitions",
        ask: Other(grow),
        kafka: UNKNOWN_SERVER_ERROR,
        ours: Code(37),
        rule: "K21; Kafka fails inside (BoundedListTooLongException)",
    },
    Apart {
        case: "null records",
        ask: Produce("delete", || None),
        kafka: Silence,
        ours: INVALID_RECORD,
        rule: "a request that is never answered holds its connection for ever; Kafka fails inside (NullPointerException)",
    },
];

/// Silence cannot be told from an answer that is slow, except by waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for all of it; says what was not as the table says.
pub fn differences(ours: &mut Peer, theirs: &mut Peer) -> Vec<String> {
    let mut out = Vec::new();
    for row in APART {
        for (peer, broker, expected) in [(&mut *ours, "Tidemark", row.ours), (&mut *theirs, "Kafka", row.kafka)] {
            row.ask(peer);
            let answer = &peer.answers[row.case];
            if !expected.fits(answer) {
                out.push(format!("{}: {broker} should give {expected:?} ({}), but: {answer:#?}", row.case, row.rule));
            }
        }
    }
    out
}

impl Apart {
    fn ask(&self, peer: &mut Peer) {
        match self.ask {
            Metadata(version, body) => {
                peer.ask_bytes::<MetadataRequest>(self.case, &with(3, version, body), version);
            }
            Raw(request) => {
                peer.ask_bytes::<MetadataRequest>(self.case, request, 1);
            }
            Produce(policy, records) => {
                let topic = self.case.replace(' ', "-").replace(',', "");
                producing::create(peer, &topic, 1, &[("cleanup.policy", policy)]);
                let records = records();
                peer.be_patient(if records.is_none() { PATIENCE } else { crate::peer::PATIENCE });
                let request = to_partition(peer, &topic, 0, records);
                peer.ask(self.case, &request, 9);
            }
            Other(ask) => ask(peer, self.case),
        }
    }
}

impl Outcome {
    fn fits(self, answer: &Leaves) -> bool {
        let outcome = answer["outcome"].as_str();
        let codes = answer.iter().filter(|(path, _)| path.ends_with("error_code")).map(|(_, code)| code.parse());
        let codes: Vec<Option<i16>> = codes.map(Result::ok).collect();
        match self {
            Closed => outcome == "closed",
            Silence => outcome.starts_with("neither"),
            Answered => outcome.starts_with("answered"),
            Code(code) => outcome.starts_with("answered") && codes == vec![Some(code); codes.len().max(1)],
        }
    }
}

fn damaged() -> Bytes {
    with_header(&packed(20, Compression::Gzip), 61, &[0xff, 0x55, 0xaa])
}

/// Little to send, and 65 MiB to unpack.
fn bomb() -> Bytes {
    let mut builder = BatchBuilder::new().compression(Compression::Gzip, None);
    builder.append_plain(T0, Some(b"key"), Some(&vec![0; 65 << 20]));
    builder.build().expect("the default level")
}

fn operate(peer: &mut Peer, case: &str) {
    producing::create(peer, "operated", 1, &[]);
    let config = incremental::AlterableConfig::default()
        .with_name(text("retention.ms"))
        .with_config_operation(9)
        .with_value(Some(text("1")));
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(peer.text("operated"))
        .with_configs(vec![config]);
    peer.ask(case, &IncrementalAlterConfigsRequest::default().with_resources(vec![resource]), 1);
}

fn grow(peer: &mut Peer, case: &str) {
    producing::create(peer, "grown", 1, &[]);
    let topic =
        CreatePartitionsTopic::default().with_name(peer.topic("grown")).with_count(1_000_000).with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    // only to be checked: Kafka 4.3.1 answers the error and makes ten thousand of them all the same
    peer.ask(case, &request.with_validate_only(true), 3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_fits_its_own_answer_only() {
        let leaves = |leaves: &[(&str, &str)]| {
            leaves.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect::<Leaves>()
        };
        let code = |code: &str| leaves(&[("outcome", "answered, 0 bytes behind"), ("topics[0].error_code", code)]);
        let closed = leaves(&[("outcome", "closed")]);
        let silence = leaves(&[("outcome", "neither an answer nor a close")]);
        for (outcome, fitting) in [(Code(87), code("87")), (Closed, closed.clone()), (Silence, silence.clone())] {
            for answer in [&code("87"), &code("0"), &code("-87"), &closed, &silence] {
                assert_eq!(outcome.fits(answer), *answer == fitting, "{outcome:?} {answer:?}");
            }
        }
        assert!(Answered.fits(&code("0")) && !Answered.fits(&closed) && !Answered.fits(&silence));
        assert!(!Code(0).fits(&leaves(&[("outcome", "answered, 0 bytes behind")])), "an answer without any code");
    }
}
