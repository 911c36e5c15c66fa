//! A table: one broken rule per case, each in a batch that is right in every other way.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidemark_record::{BatchBuilder, record};

use super::*;
use crate::{
    metadata::{TopicSettings, topic_config::BrokerDefaults},
    partition::AckLevel,
};

const NOW_MS: i64 = 1_700_000_000_000;

fn topic(own: &[(&str, &str)]) -> PartitionSettings {
    let own: BTreeMap<String, String> = own.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    PartitionSettings::of(&TopicSettings::resolve(&own, None, &BrokerDefaults::default()), 1000)
}

fn options() -> AppendOptions {
    AppendOptions::client(AckLevel::Leader)
}

/// Three records with keys, of now.
fn builder() -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    for value in ["a", "b", "c"] {
        builder.append_plain(NOW_MS, Some(b"key"), Some(value.as_bytes()));
    }
    builder
}

fn plain() -> Bytes {
    builder().build().unwrap()
}

fn packed(codec: Compression) -> Bytes {
    builder().compression(codec, None).build().unwrap()
}

/// The batch with another header, its length and checksum made right again.
fn edited(batch: &Bytes, edit: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    edit(&mut header);
    builder::sealed(header, &batch[HEADER_LEN..])
}

/// A plain batch whose header counts three records, over these bytes.
fn over(payload: &[u8]) -> Bytes {
    builder::sealed(BatchHeader::parse(&plain()).unwrap(), payload)
}

/// Records with these offset and timestamp deltas.
fn records(deltas: &[(i32, i64)], key: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for (offset_delta, timestamp_delta) in deltas {
        let none = std::iter::empty::<(&[u8], Option<&[u8]>)>();
        record::write_record(&mut out, *offset_delta, *timestamp_delta, key, Some(b"v"), none);
    }
    out
}

fn flipped(batch: &Bytes, place: usize, bit: u8) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[place] ^= bit;
    bytes.into()
}

/// The error's number and the records it names.
#[allow(clippy::needless_pass_by_value, reason = "cases are made where they are judged")]
fn refusal(batch: Bytes, settings: &PartitionSettings, options: &AppendOptions) -> (i16, Vec<i32>) {
    let named = |errors: RecordErrors| errors.errors.into_iter().map(|(index, _)| index).collect();
    match validate(&batch, settings, options, NOW_MS) {
        Ok(_) => (0, vec![]),
        Err(AppendError::CorruptMessage(_)) => (2, vec![]),
        Err(AppendError::MessageTooLarge { .. }) => (10, vec![]),
        Err(AppendError::InvalidTimestamp(errors)) => (32, named(errors)),
        Err(AppendError::InvalidTxnState(_)) => (48, vec![]),
        Err(AppendError::UnsupportedCompression(_)) => (76, vec![]),
        Err(AppendError::InvalidRecord(errors)) => (87, named(errors)),
        Err(other) => panic!("{other:?}"),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "cases are made where they are judged")]
fn ok(batch: Bytes, settings: &PartitionSettings) -> Validated {
    validate(&batch, settings, &options(), NOW_MS).unwrap()
}

#[test]
fn a_right_batch_passes_as_it_is() {
    for codec in Compression::ALL {
        let sent = packed(codec);
        let validated = ok(sent.clone(), &topic(&[]));
        assert_eq!(validated.batch, sent);
        assert_eq!(validated.batch.as_ptr(), sent.as_ptr(), "not copied");
        assert_eq!((validated.header.records_count, validated.log_append_time_ms), (3, -1));
    }
}

#[test]
fn each_structural_rule_has_its_answer() {
    let (good, size) = (plain(), plain().len() as i32);
    let length = |length: i32| {
        let mut bytes = good.to_vec();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        Bytes::from(bytes)
    };
    let cases: &[(&str, Bytes, i16)] = &[
        ("nothing", Bytes::new(), 87),
        ("less than a length", good.slice(..11), 87),
        ("cut short", good.slice(..good.len() - 1), 87),
        ("length of i32::MAX", length(i32::MAX), 87),
        ("negative length", length(-1), 2),
        ("length below the oldest format's", length(13), 2),
        ("length below a header's", length(40), 2),
        ("length that cuts a record", length(size - 13), 2),
        ("magic 1", flipped(&good, 16, 3), 87),
        ("magic 3", flipped(&good, 16, 1), 87),
        ("two batches", [&good[..], &good].concat().into(), 87),
        ("zeros behind it", [&good[..], &[0; 17]].concat().into(), 2),
        ("checksum", flipped(&good, 17, 1), 2),
        ("a bit of the payload", flipped(&good, good.len() - 1, 1), 2),
        ("base offset", edited(&good, |header| header.base_offset = 1), 87),
        ("last offset delta of an internal frame", edited(&good, |header| header.last_offset_delta = -1), 87),
        ("negative last offset delta", edited(&good, |header| header.last_offset_delta = i32::MIN), 87),
        ("last offset delta of i32::MAX", edited(&good, |header| header.last_offset_delta = i32::MAX), 87),
        ("no records", edited(&good, |header| header.records_count = 0), 87),
        ("negative count", edited(&good, |header| header.records_count = -3), 87),
        ("count below the range", edited(&good, |header| header.records_count = 2), 87),
        ("control batch", edited(&good, |header| header.attributes.0 |= 0x20), 87),
        ("codec 5", edited(&good, |header| header.attributes.0 |= 5), 76),
        ("codec 7", edited(&good, |header| header.attributes.0 |= 7), 76),
        ("producer id without a sequence", edited(&good, |header| header.producer_id = 7), 87),
        ("the beginning of another batch behind it", [&good[..], &good[..60]].concat().into(), 0),
        ("a sequence without a producer id", edited(&good, |header| header.base_sequence = 7), 0),
        ("leader epoch of its own", edited(&good, |header| header.partition_leader_epoch = 9), 0),
    ];
    for (what, batch, code) in cases {
        assert_eq!(refusal(batch.clone(), &topic(&[]), &options()).0, *code, "{what}");
    }
}

#[test]
fn each_rule_for_plain_records_has_its_answer() {
    let whole = records(&[(0, 0), (1, 0), (2, 0)], Some(b"k"));
    let cases: &[(&str, Bytes, i16)] = &[
        ("as counted", over(&whole), 0),
        ("one fewer than counted", over(&records(&[(0, 0), (1, 0)], None)), 87),
        ("one more than counted", over(&records(&[(0, 0), (1, 0), (2, 0), (3, 0)], None)), 87),
        ("no payload", over(&[]), 87),
        ("bytes behind the last", over(&[&whole[..], &[0]].concat()), 87),
        ("offset deltas with a gap", over(&records(&[(0, 0), (1, 0), (3, 0)], None)), 87),
        ("offset deltas from 1", over(&records(&[(1, 0), (2, 0), (3, 0)], None)), 87),
        ("offset delta twice", over(&records(&[(0, 0), (1, 0), (1, 0)], None)), 87),
        ("record length of i32::MAX", over(&[0xfe, 0xff, 0xff, 0xff, 0x0f]), 87),
        ("negative record length", over(&[1]), 87),
        ("header count of i32::MAX", over(&[22, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f]), 87),
    ];
    for (what, batch, code) in cases {
        assert_eq!(refusal(batch.clone(), &topic(&[]), &options()).0, *code, "{what}");
    }
    // compressed ones are judged by their header alone where no rule needs the records
    let lying = |codec| edited(&packed(codec), |header| (header.records_count, header.last_offset_delta) = (9, 8));
    assert_eq!(refusal(lying(Compression::Lz4), &topic(&[]), &options()).0, 0);
    assert_eq!(refusal(lying(Compression::Lz4), &topic(&[("compression.type", "zstd")]), &options()).0, 87);
    assert_eq!(refusal(lying(Compression::Lz4), &topic(&[("cleanup.policy", "compact")]), &options()).0, 87);
}

#[test]
fn sizes_are_bounded_as_sent_and_as_stored() {
    let size = plain().len();
    let limit = |bytes: usize| topic(&[("max.message.bytes", &bytes.to_string())]);
    assert_eq!(refusal(plain(), &limit(size), &options()).0, 0);
    assert_eq!(refusal(plain(), &limit(size - 1), &options()).0, 10);
    // compressed within the limit, inflated beyond it, to be stored inflated
    let mut zeros = BatchBuilder::new().compression(Compression::Zstd, None);
    zeros.append_plain(NOW_MS, Some(b"k"), Some(&[0; 10_000]));
    let zeros = zeros.build().unwrap();
    let stored = topic(&[("max.message.bytes", "5000"), ("compression.type", "uncompressed")]);
    assert_eq!(refusal(zeros.clone(), &stored, &options()).0, 10);
    assert_eq!(refusal(zeros, &limit(5000), &options()).0, 0);
}

#[test]
fn a_bomb_is_refused_where_it_would_be_inflated() {
    let mut bomb = BatchBuilder::new().compression(Compression::Zstd, None);
    bomb.append_plain(NOW_MS, Some(b"k"), Some(&vec![0; INFLATED_BYTES_MAX]));
    let bomb = bomb.build().unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(refusal(bomb.clone(), &topic(&[]), &options()).0, 0);
    for own in [("cleanup.policy", "compact"), ("compression.type", "gzip"), ("message.timestamp.before.max.ms", "9")] {
        assert_eq!(refusal(bomb.clone(), &topic(&[own]), &options()).0, 87, "{own:?}");
    }
    let damaged = edited(&packed(Compression::None), |header| header.attributes.0 |= 4);
    assert_eq!(refusal(damaged, &topic(&[("cleanup.policy", "compact")]), &options()).0, 87);
}

#[test]
fn zstd_needs_a_version_that_knows_it() {
    let old = AppendOptions { zstd_allowed: false, ..options() };
    assert_eq!(refusal(packed(Compression::Zstd), &topic(&[]), &old).0, 76);
    assert_eq!(refusal(packed(Compression::Lz4), &topic(&[]), &old).0, 0);
    // the codec's bits of a batch that is too short to have them
    assert_eq!(refusal(plain().slice(..20), &topic(&[]), &old).0, 87);
}

#[test]
fn a_compacted_topic_wants_keys_and_names_the_records_without() {
    let compacted = topic(&[("cleanup.policy", "compact")]);
    for codec in Compression::ALL {
        let mut batch = BatchBuilder::new().compression(codec, None);
        for key in [None, Some(&b"k"[..]), None, None, Some(b"")] {
            batch.append_plain(NOW_MS, key, Some(b"v"));
        }
        let batch = batch.build().unwrap();
        assert_eq!(refusal(batch.clone(), &compacted, &options()), (87, vec![0, 2, 3]), "{}", codec.name());
        assert_eq!(refusal(batch.clone(), &topic(&[("cleanup.policy", "compact,delete")]), &options()).0, 87);
        assert_eq!(refusal(batch, &topic(&[]), &options()).0, 0);
        assert_eq!(refusal(packed(codec), &compacted, &options()).0, 0);
    }
    let Err(AppendError::InvalidRecord(errors)) =
        validate(&over(&records(&[(0, 0), (1, 0), (2, 0)], None)), &compacted, &options(), NOW_MS)
    else {
        panic!("keyless records passed");
    };
    assert!(errors.message.contains("3 record errors in total"), "{}", errors.message);
}

#[test]
fn timestamps_stay_within_bounds() {
    let hour = 3_600_000;
    let at = |codec, timestamp: i64| {
        let mut batch = BatchBuilder::new().compression(codec, None);
        batch.append_plain(NOW_MS, Some(b"k"), None);
        batch.append_plain(timestamp, Some(b"k"), None);
        batch.build().unwrap()
    };
    let bounded = topic(&[("message.timestamp.before.max.ms", "1000"), ("message.timestamp.after.max.ms", "500")]);
    for codec in Compression::ALL {
        // the default: one hour ahead, no bound behind
        assert_eq!(refusal(at(codec, NOW_MS + hour), &topic(&[]), &options()).0, 0);
        assert_eq!(refusal(at(codec, NOW_MS + hour + 1), &topic(&[]), &options()), (32, vec![1]));
        assert_eq!(refusal(at(codec, 0), &topic(&[]), &options()).0, 0);
        for (timestamp, code) in [(-1000, 0), (-1001, 32), (500, 0), (501, 32)] {
            let (found, named) = refusal(at(codec, NOW_MS + timestamp), &bounded, &options());
            assert_eq!(found, code, "{timestamp} {}", codec.name());
            assert!(code == 0 || named == [1]);
        }
        // "no timestamp" is always allowed, other negative ones are old
        assert_eq!(refusal(at(codec, -1), &bounded, &options()).0, 0);
        assert_eq!(refusal(at(codec, -2), &bounded, &options()).0, 32);
        // no bounds where the broker's clock counts
        let stamped = topic(&[("message.timestamp.type", "LogAppendTime")]);
        assert_eq!(refusal(at(codec, NOW_MS + hour + 1), &stamped, &options()).0, 0);
    }
}

#[test]
fn extreme_timestamps_and_overflows_are_refused() {
    let based = |base_timestamp: i64, delta: i64| {
        let batch = over(&records(&[(0, 0), (1, 0), (2, delta)], Some(b"k")));
        edited(&batch, |header| {
            (header.base_timestamp, header.max_timestamp) = (base_timestamp, base_timestamp.saturating_add(delta));
        })
    };
    for (base, delta) in [(i64::MAX, 0), (i64::MIN, 0), (i64::MAX - 5, 6), (NOW_MS, i64::MAX), (-2, i64::MIN)] {
        assert_eq!(refusal(based(base, delta), &topic(&[]), &options()).0, 32, "{base} + {delta}");
        let packed = edited(&packed(Compression::Gzip), |header| {
            (header.base_timestamp, header.max_timestamp) = (base, base.saturating_add(delta));
        });
        assert_eq!(refusal(packed, &topic(&[]), &options()).0, 32, "{base} + {delta} packed");
    }
}

#[test]
fn the_brokers_clock_is_written_where_the_topic_wants_it() {
    let stamped = topic(&[("message.timestamp.type", "LogAppendTime")]);
    for codec in Compression::ALL {
        let sent = packed(codec);
        let validated = ok(sent.clone(), &stamped);
        let header = batch::verify(&validated.batch).unwrap();
        assert_eq!((header.max_timestamp, header.attributes.timestamp_type()), (NOW_MS, TimestampType::LogAppend));
        assert_eq!((validated.header, validated.log_append_time_ms), (header, NOW_MS));
        assert_eq!(validated.batch[HEADER_LEN..], sent[HEADER_LEN..]);
        // a producer may not say so itself
        let claimed = edited(&sent, |header| header.attributes.0 |= 8);
        assert_eq!(refusal(claimed.clone(), &stamped, &options()), (32, vec![0]));
        // where the producer's clock counts, the bit is cleared (as Kafka 4.3 does)
        let cleared = ok(claimed, &topic(&[]));
        assert_eq!(cleared.batch, sent);
        assert_eq!(cleared.header, batch::verify(&sent).unwrap());
        let timeless =
            edited(&sent, |header| (header.attributes.0, header.max_timestamp) = (header.attributes.0 | 8, -1));
        assert_eq!(refusal(timeless, &topic(&[]), &options()).0, 32);
    }
}

#[test]
fn a_maximum_that_the_records_belie_is_corrected() {
    let lying = edited(&plain(), |header| header.max_timestamp = NOW_MS + 5);
    let validated = ok(lying, &topic(&[]));
    assert_eq!(validated.batch, plain());
    assert_eq!(validated.header.max_timestamp, NOW_MS);
}

#[test]
fn another_codec_is_put_in_place_and_the_records_stay() {
    for name in ["uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        let settings = topic(&[("compression.type", name)]);
        for codec in Compression::ALL {
            let sent = packed(codec);
            let validated = ok(sent.clone(), &settings);
            let header = batch::verify(&validated.batch).unwrap();
            let stored = header.compression().unwrap();
            assert_eq!(stored.name(), if name == "uncompressed" { "none" } else { name });
            let inflated = builder::inflated(&header, &validated.batch, 1000).unwrap();
            assert_eq!(inflated[..], plain()[HEADER_LEN..]);
            assert!(stored != codec || validated.batch == sent, "{name}: rewritten without need");
            assert_eq!(validated.header, header);
        }
    }
}

/// What is packed is not looked into, but a header that cannot be true is refused.
#[test]
fn headers_of_packed_batches_are_judged() {
    let packed = packed(Compression::Gzip);
    let counting =
        |count: i32| edited(&packed, |header| (header.records_count, header.last_offset_delta) = (count, count - 1));
    let times = |base: i64, max: i64, attributes: i16| {
        edited(&packed, |header| {
            (header.base_timestamp, header.max_timestamp) = (base, max);
            header.attributes.0 |= attributes;
        })
    };
    let most = PACKED_RECORDS_MAX as i32;
    let far = NOW_MS + 2 * 24 * 3600 * 1000;
    let cases = [
        ("as many records as fit", counting(most), 0),
        ("one more", counting(most + 1), 87),
        ("i32::MAX records", counting(i32::MAX), 87),
        ("a base behind the maximum", times(NOW_MS, NOW_MS - 5, 0), 0),
        ("a base far ahead that the maximum hides", times(far, NOW_MS, 0), 32),
        ("a base near i64::MAX", times(i64::MAX - 5, NOW_MS, 0), 32),
        ("a base near i64::MIN", times(i64::MIN, NOW_MS, 0), 32),
        ("a base far ahead where the maximum is everybody's time", times(far, NOW_MS, 0x08), 0),
        ("no time", times(-1, -1, 0), 0),
    ];
    for (what, batch, code) in cases {
        assert_eq!(refusal(batch, &topic(&[]), &options()).0, code, "{what}");
    }
}

#[test]
fn transactions_are_not_here_yet() {
    let transactional = |id: i64| {
        edited(&plain(), |header| {
            header.attributes.0 |= 0x10;
            (header.producer_id, header.producer_epoch, header.base_sequence) = (id, 0, if id < 0 { -1 } else { 0 });
        })
    };
    let with_id = AppendOptions { transactional: true, ..options() };
    assert_eq!(refusal(transactional(5), &topic(&[]), &with_id).0, 48);
    assert_eq!(refusal(transactional(5), &topic(&[]), &options()).0, 87);
    assert_eq!(refusal(transactional(-1), &topic(&[]), &with_id).0, 0, "nobody's");
    assert_eq!(refusal(transactional(-1), &topic(&[]), &options()).0, 87);
    assert_eq!(refusal(plain(), &topic(&[]), &with_id).0, 0);
}

#[test]
fn the_brokers_own_batches_are_checked_for_damage_only() {
    let own = AppendOptions::coordinator();
    let control = edited(&plain(), |header| (header.attributes.0, header.base_offset) = (0x20, 77));
    let small = topic(&[("max.message.bytes", "1"), ("cleanup.policy", "compact")]);
    assert_eq!(refusal(control.clone(), &small, &own).0, 0);
    assert_eq!(refusal(flipped(&control, 80, 1), &small, &own).0, 2);
    assert_eq!(refusal(control.slice(..control.len() - 1), &small, &own).0, 87);
}

proptest! {
    #[test]
    fn hostile_bytes_are_judged_without_a_panic(
        edits in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        codec in 0..5_u8,
        seal: bool,
        own in prop::sample::select(vec![
            ("cleanup.policy", "compact"), ("compression.type", "zstd"), ("message.timestamp.before.max.ms", "5"),
            ("message.timestamp.type", "LogAppendTime"), ("compression.type", "producer"),
        ]),
    ) {
        let mut bytes = packed(Compression::from_id(codec).unwrap()).to_vec();
        for (place, byte) in edits {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        let mut bytes = Bytes::from(bytes);
        if seal && let Ok(header) = BatchHeader::parse(&bytes) {
            bytes = builder::sealed(header, &bytes[HEADER_LEN..]);
        }
        if let Ok(validated) = validate(&bytes, &topic(&[own]), &options(), NOW_MS) {
            prop_assert_eq!(batch::verify(&validated.batch), Ok(validated.header));
        }
    }
}
