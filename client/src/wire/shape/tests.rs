//! Each rule of the walk, one hostile message each. Real messages of every API are walked in the server's `api` room.

use super::{Problem::*, *};

static PAIR: &[Field] = &[field("number", Kind::Int32), field("text", Kind::String).nullable_since(1)];

static OLD: Shape = Shape {
    flexible_since: i16::MAX,
    fields: &[
        field("flag", Kind::Bool),
        field("names", Kind::List(&Kind::String)).nullable_since(1),
        field("pairs", Kind::Array(PAIR)).since(2),
    ],
};

static NEW: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("name", Kind::String),
        field("data", Kind::Bytes).nullable_since(0),
        field("cursor", Kind::Struct(PAIR)).nullable_since(0).since(1),
        field("extra", Kind::Int64).since(1).tagged(0),
        field("late", Kind::String).since(2).tagged(2),
    ],
};

fn problem(shape: &Shape, version: i16, bytes: &[u8]) -> Option<Problem> {
    check(shape, version, bytes).err().map(|error| error.problem)
}

#[test]
fn old_messages_are_held_to_their_lengths() {
    let cases: &[(&[u8], i16, Option<Problem>)] = &[
        (&[1, 0, 0, 0, 1, 0, 2, b'a', b'b'], 0, None),
        (&[1, 0xff, 0xff, 0xff, 0xff], 1, None),
        (&[1, 0xff, 0xff, 0xff, 0xff], 0, Some(Null)),
        (&[1, 0xff, 0xff, 0xff, 0xfe], 1, Some(Negative)),
        (&[1, 0x7f, 0xff, 0xff, 0xff], 0, Some(PastEnd)),
        (&[1, 0, 0, 0, 1, 0, 2, b'a'], 0, Some(PastEnd)),
        (&[1, 0, 0, 0, 1, 0, 1, 0xc3], 0, Some(NotUtf8)),
        (&[1, 0, 0, 0, 1, 0xff, 0xff], 1, Some(Null)),
        (&[1, 0, 0, 0, 0, 9], 0, Some(Trailing)),
        (&[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0xff, 0xff], 2, None),
        (&[], 0, Some(PastEnd)),
    ];
    for (bytes, version, expected) in cases {
        assert_eq!(problem(&OLD, *version, bytes), *expected, "version {version} of {bytes:?}");
    }
}

#[test]
fn compact_messages_are_held_to_their_lengths_and_tags() {
    let cases: &[(&[u8], i16, Option<Problem>)] = &[
        (&[2, b'a', 0, 0], 0, None),
        (&[0, 0, 0], 0, Some(Null)),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], 0, Some(TooLong)),
        (&[0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0], 0, Some(Varint)),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], 0, Some(Varint)),
        (&[1, 0xff, 0xff, 0xff, 0xff, 0x0f], 0, Some(PastEnd)),
        (&[1, 0, 1, 9, 2, 5, 5], 0, None),
        (&[1, 0, 2, 9, 0, 9, 0], 0, Some(TagOrder)),
        (&[1, 0, 2, 9, 0, 8, 0], 0, Some(TagOrder)),
        (&[1, 0, 0xff, 0xff, 0x7f], 0, Some(PastEnd)),
        (&[1, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], 0, Some(TagVersion)),
        (&[1, 0, 0xff, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0], 1, None),
        (&[1, 0, 0xff, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1, Some(TagSize)),
        (&[1, 0, 0xff, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0], 1, Some(PastEnd)),
        (&[1, 0, 0xff, 1, 2, 2, 2, b'x'], 2, None),
        (&[1, 0, 1, 0, 0, 0, 7, 2, b'x', 0, 0], 1, None),
        (&[1, 0, 2, 0, 0, 0, 7, 2, b'x', 0, 0], 1, Some(Marker)),
        (&[1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0], 0, Some(Varint)),
    ];
    for (bytes, version, expected) in cases {
        assert_eq!(problem(&NEW, *version, bytes), *expected, "version {version} of {bytes:?}");
    }
}

#[test]
fn many_tiny_elements_are_refused() {
    static LISTS: Shape =
        Shape { flexible_since: 0, fields: &[field("all", Kind::Array(&[field("each", Kind::List(&Kind::Int8))]))] };
    let message = |outer: usize, inner: usize| {
        let mut bytes = Vec::new();
        let put = |bytes: &mut Vec<u8>, mut value: usize| {
            while value >= 0x80 {
                bytes.push(value as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
        };
        put(&mut bytes, outer + 1);
        for _ in 0..outer {
            put(&mut bytes, inner + 1);
            bytes.resize(bytes.len() + inner, 7);
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    };
    assert_eq!(problem(&LISTS, 0, &message(1, ELEMENTS_MAX - 1)), None);
    assert_eq!(problem(&LISTS, 0, &message(1, ELEMENTS_MAX)), Some(TooMany));
    assert_eq!(problem(&LISTS, 0, &message(500, 500)), Some(TooMany));
    assert_eq!(problem(&LISTS, 0, &message(500, 498)), None);
}

#[test]
fn an_error_names_field_and_place() {
    let error = check(&OLD, 0, &[1, 0, 0, 0, 1, 0, 2, b'a']).unwrap_err();
    assert_eq!(error.to_string(), "field names reaches past the end at byte 7");
}
