//! Produce: versions, acks, and every way in which a batch can be wrong.

use bytes::Bytes;
use kafka_protocol::messages::{
    ProduceRequest, TransactionalId,
    produce_request::{PartitionProduceData, TopicProduceData},
};
use tidemark_record::{BatchBuilder, Compression};
use uuid::Uuid;

use super::producing::{T0, batch, builder, create, filled, packed, text, to_partition, with_header};
use crate::peer::{Peer, now_ms};

pub fn tell(peer: &mut Peer) {
    let id = create(peer, "written", 2, &[]);
    versions(peer, id);
    twice(peer);
    acks(peer);
    targets(peer, id);
    damage(peer);
    records(peer);
    timestamps(peer);
    codecs(peer);
    topic_rules(peer);
}

fn by_id(id: Uuid, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(records));
    let topic = TopicProduceData::default().with_topic_id(id).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

fn versions(peer: &mut Peer, id: Uuid) {
    for version in 3..=12 {
        let request = to_partition(peer, "written", 0, Some(batch(2)));
        peer.ask(&format!("Produce v{version}"), &request, version);
    }
    peer.ask("Produce v13", &by_id(id, batch(2)), 13);
    peer.ask("Produce v13, unknown id", &by_id(Uuid::from_u128(7), batch(2)), 13);
    peer.ask("Produce v13, no id", &by_id(Uuid::nil(), batch(2)), 13);
}

/// The last entry counts.
fn twice(peer: &mut Peer) {
    let mut request = to_partition(peer, "written", 0, Some(batch(1)));
    request.topic_data[0]
        .partition_data
        .extend(to_partition(peer, "written", 0, Some(batch(3))).topic_data[0].partition_data.clone());
    peer.ask("Produce, one partition twice", &request, 9);
    let after = to_partition(peer, "written", 0, Some(batch(1)));
    peer.ask("Produce, after one partition twice", &after, 9);
}

fn acks(peer: &mut Peer) {
    for acks in [1, -1] {
        let request = to_partition(peer, "written", 0, Some(batch(1))).with_acks(acks);
        peer.ask(&format!("Produce, acks {acks}"), &request, 9);
    }
    for acks in [2, -2, i16::MAX] {
        let request = to_partition(peer, "written", 0, Some(batch(1))).with_acks(acks);
        peer.ask(&format!("Produce, acks {acks}"), &request, 9);
    }
    for timeout in [0, -1] {
        let request = to_partition(peer, "written", 0, Some(batch(1))).with_timeout_ms(timeout).with_acks(1);
        peer.ask(&format!("Produce, timeout {timeout}"), &request, 9);
    }
    let silent = to_partition(peer, "written", 0, Some(batch(1))).with_acks(0);
    peer.tell("Produce, acks 0", &silent, 9);
    let silent = to_partition(peer, "nobody", 0, Some(batch(1))).with_acks(0);
    peer.tell("Produce, acks 0 to nobody", &silent, 9);
    let silent = to_partition(peer, "written", 0, Some(with_crc(&batch(1)))).with_acks(0);
    peer.tell("Produce, acks 0 with a bad checksum", &silent, 9);
}

fn targets(peer: &mut Peer, id: Uuid) {
    for (case, topic, partition) in
        [("unknown topic", "nobody", 0), ("unknown partition", "written", 9), ("negative partition", "written", -1)]
    {
        let request = to_partition(peer, topic, partition, Some(batch(1)));
        for version in [3, 9] {
            peer.ask(&format!("Produce v{version}, {case}"), &request, version);
        }
    }
    let mut bad_name = to_partition(peer, "written", 0, Some(batch(1)));
    bad_name.topic_data[0].name = text("a/b").into();
    peer.ask("Produce, bad topic name", &bad_name, 9);
    let mut both = to_partition(peer, "written", 0, Some(batch(1)));
    both.topic_data.extend(to_partition(peer, "nobody", 0, Some(batch(1))).topic_data);
    peer.ask("Produce, a good and an unknown topic", &both, 9);
    let mut two = to_partition(peer, "written", 0, Some(batch(1)));
    let bad = PartitionProduceData::default().with_index(1).with_records(Some(with_crc(&batch(1))));
    two.topic_data[0].partition_data.push(bad);
    peer.ask("Produce, a good and a bad partition", &two, 9);
    peer.ask("Produce, no topics", &ProduceRequest::default().with_acks(-1).with_timeout_ms(1000), 9);
    let transactional =
        to_partition(peer, "written", 0, Some(batch(1))).with_transactional_id(Some(TransactionalId(text("t"))));
    peer.ask("Produce, a transactional id and a plain batch", &transactional, 9);
    let mut other = by_id(id, batch(1));
    other.topic_data[0].partition_data[0].index = 9;
    peer.ask("Produce v13, unknown partition", &other, 13);
}

fn with_crc(batch: &Bytes) -> Bytes {
    let mut changed = batch.to_vec();
    changed[17] ^= 0xff;
    changed.into()
}

fn damage(peer: &mut Peer) {
    let good = batch(3);
    let plain = |at: usize, byte: u8| {
        let mut changed = good.to_vec();
        changed[at] = byte;
        Bytes::from(changed)
    };
    let cases: &[(&str, Option<Bytes>)] = &[
        ("empty records", Some(Bytes::new())),
        ("a bad checksum", Some(with_crc(&good))),
        ("magic 0", Some(plain(16, 0))),
        ("magic 1", Some(plain(16, 1))),
        ("magic 3", Some(plain(16, 3))),
        ("two batches", Some([good.clone(), good.clone()].concat().into())),
        ("cut in the header", Some(good.slice(..40))),
        ("cut behind the header", Some(good.slice(..70))),
        ("a byte behind", Some([good.as_ref(), &[0]].concat().into())),
        ("a length below a header", Some(plain(11, 3))),
        ("a negative length", Some(plain(8, 0xff))),
        ("a base offset of 5", Some(plain(7, 5))),
        ("a leader epoch of 5", Some(plain(15, 5))),
    ];
    for (case, records) in cases {
        let request = to_partition(peer, "written", 0, records.clone());
        peer.ask(&format!("Produce, {case}"), &request, 9);
    }
}

fn records(peer: &mut Peer) {
    let good = batch(3);
    let cases: &[(&str, Bytes)] = &[
        ("count 0", with_header(&good, 57, &0_i32.to_be_bytes())),
        ("count -1", with_header(&good, 57, &(-1_i32).to_be_bytes())),
        ("count too small", with_header(&with_header(&good, 57, &2_i32.to_be_bytes()), 23, &1_i32.to_be_bytes())),
        ("count too large", with_header(&with_header(&good, 57, &4_i32.to_be_bytes()), 23, &3_i32.to_be_bytes())),
        (
            "count 2^31 - 1",
            with_header(&with_header(&good, 57, &i32::MAX.to_be_bytes()), 23, &(i32::MAX - 1).to_be_bytes()),
        ),
        ("last offset delta 5", with_header(&good, 23, &5_i32.to_be_bytes())),
        ("last offset delta -1", with_header(&good, 23, &(-1_i32).to_be_bytes())),
        ("the control flag", with_header(&good, 21, &0x20_i16.to_be_bytes())),
        ("the transactional flag", with_header(&good, 21, &0x10_i16.to_be_bytes())),
        ("the delete horizon flag", with_header(&good, 21, &0x40_i16.to_be_bytes())),
        ("an unknown flag", with_header(&good, 21, &0x80_i16.to_be_bytes())),
        ("a producer id without a sequence", with_header(&good, 43, &7_i64.to_be_bytes())),
        ("a record length past the end", with_header(&good, 61, &[0x7e])),
        ("a key length past the end", with_header(&good, 65, &[0x7e])),
    ];
    for (case, records) in cases {
        let request = to_partition(peer, "written", 0, Some(records.clone()));
        peer.ask(&format!("Produce, {case}"), &request, 9);
    }
    let many = with_header(&packed(20, Compression::Gzip), 57, &i32::MAX.to_be_bytes());
    let many = with_header(&many, 23, &(i32::MAX - 1).to_be_bytes());
    let request = to_partition(peer, "written", 0, Some(many));
    peer.ask("Produce, packed, count 2^31 - 1", &request, 9);
    let mut odd = BatchBuilder::new();
    odd.append(
        T0,
        None,
        None,
        [(b"h".as_slice(), None), (b"h".as_slice(), Some(b"1".as_slice())), (b"".as_slice(), Some(b"".as_slice()))]
            .into_iter(),
    );
    odd.append_plain(T0, Some(b""), Some(b""));
    let request = to_partition(peer, "written", 0, Some(odd.build().expect("plain")));
    peer.ask("Produce, nulls, empties and headers of one name", &request, 9);
}

fn timestamps(peer: &mut Peer) {
    create(
        peer,
        "narrow",
        1,
        &[("message.timestamp.before.max.ms", "1000"), ("message.timestamp.after.max.ms", "1000")],
    );
    create(peer, "stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let at = |time: i64| {
        let mut builder = BatchBuilder::new();
        builder.append_plain(time, Some(b"k"), Some(b"v"));
        builder.build().expect("plain")
    };
    let day = 24 * 60 * 60 * 1000;
    let of_base = |base: i64| with_header(&packed(20, Compression::Gzip), 27, &base.to_be_bytes());
    for (case, topic, records) in [
        ("two days ahead", "written", at(now_ms() + 2 * day)),
        ("negative time", "written", at(-5)),
        ("no time", "written", at(-1)),
        ("time i64::MIN", "written", at(i64::MIN)),
        ("time i64::MAX", "written", at(i64::MAX)),
        ("too old for the topic", "narrow", at(T0)),
        ("in time for the topic", "narrow", at(now_ms())),
        ("LogAppendTime", "stamped", at(T0)),
        ("LogAppendTime whatever the time", "stamped", at(i64::MAX)),
        ("LogAppendTime, packed", "stamped", packed(3, Compression::Lz4)),
        ("LogAppendTime claimed by a client", "written", with_header(&batch(1), 21, &8_i16.to_be_bytes())),
        ("LogAppendTime claimed on such a topic", "stamped", with_header(&batch(1), 21, &8_i16.to_be_bytes())),
        ("time that overflows", "written", with_header(&batch(3), 27, &(i64::MAX - 5).to_be_bytes())),
        ("base time i64::MIN", "written", with_header(&batch(3), 27, &i64::MIN.to_be_bytes())),
        ("LogAppendTime, time that overflows", "stamped", with_header(&batch(3), 27, &(i64::MAX - 5).to_be_bytes())),
        ("packed, time that overflows", "written", of_base(i64::MAX - 5)),
        ("packed, base time i64::MIN", "written", of_base(i64::MIN)),
        ("packed, two days ahead", "written", of_base(now_ms() + 2 * day)),
        ("a max timestamp that lies", "written", with_header(&batch(2), 35, &(T0 + 99_000).to_be_bytes())),
    ] {
        let request = to_partition(peer, topic, 0, Some(records));
        peer.ask(&format!("Produce, {case}"), &request, 9);
    }
}

fn codecs(peer: &mut Peer) {
    for codec in Compression::ALL {
        let request = to_partition(peer, "written", 0, Some(packed(20, codec)));
        for version in [3, 7] {
            peer.ask(&format!("Produce v{version}, {}", codec.name()), &request, version);
        }
    }
    for target in ["uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("converted-{target}");
        create(peer, &topic, 1, &[("compression.type", target)]);
        let request = to_partition(peer, &topic, 0, Some(packed(20, Compression::Gzip)));
        peer.ask(&format!("Produce, gzip to compression.type={target}"), &request, 9);
    }
}

fn topic_rules(peer: &mut Peer) {
    create(peer, "compacted", 1, &[("cleanup.policy", "compact")]);
    create(peer, "small", 1, &[("max.message.bytes", "200")]);
    let keyless = |codec: Compression| {
        let mut builder = BatchBuilder::new().compression(codec, None);
        builder.append_plain(T0, Some(b"k"), Some(b"v"));
        builder.append_plain(T0, None, Some(b"v"));
        builder.append_plain(T0, None, None);
        builder.build().expect("default level")
    };
    let tombstone = || {
        let mut builder = BatchBuilder::new();
        builder.append_plain(T0, Some(b"k"), None);
        builder.build().expect("plain")
    };
    for (case, topic, records, version) in [
        ("compacted, without a key", "compacted", keyless(Compression::None), 9),
        ("compacted, without a key, v7", "compacted", keyless(Compression::None), 7),
        ("compacted, without a key, packed", "compacted", keyless(Compression::Gzip), 9),
        ("compacted, a tombstone", "compacted", tombstone(), 9),
        ("within max.message.bytes", "small", batch(1), 9),
        ("above max.message.bytes", "small", batch(20), 9),
        (
            "above max.message.bytes unless packed",
            "small",
            filled(BatchBuilder::new().compression(Compression::Zstd, None), 12).build().expect("level"),
            9,
        ),
    ] {
        let request = to_partition(peer, topic, 0, Some(records));
        peer.ask(&format!("Produce, {case}"), &request, version);
    }
    let huge = {
        let mut builder = BatchBuilder::new();
        builder.append_plain(T0, None, Some(&vec![b'x'; 1_100_000]));
        builder.build().expect("plain")
    };
    let request = to_partition(peer, "written", 0, Some(huge));
    peer.ask("Produce, above the default max.message.bytes", &request, 9);
    let request = to_partition(peer, "written", 0, Some(builder(1).build().expect("plain")));
    peer.ask("Produce, after all that", &request, 9);
}
