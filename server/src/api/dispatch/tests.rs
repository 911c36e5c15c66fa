//! The table against the decoder: random messages of every API and version, and mutations of them.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Request;
use tidemark_client::wire::shape::{Field, Kind};

use super::*;
use crate::os::random::Random;

/// Decodes, encodes and decodes again; the crate must take all bytes and lose nothing that it knows.
pub(super) fn round_trip<R: Request + PartialEq>(bytes: Bytes, version: i16) -> Result<(), String> {
    let first: R = decoded(bytes, version)?;
    let mut out = BytesMut::new();
    first.encode(&mut out, version).map_err(|error| error.to_string())?;
    let second: R = decoded(out.freeze(), version)?;
    if first == second { Ok(()) } else { Err("the second decoding differs".into()) }
}

/// Makes messages from a shape.
struct Maker<'a> {
    random: &'a Random,
    version: i16,
    flexible: bool,
    out: BytesMut,
}

impl Maker<'_> {
    fn message(shape: &Shape, version: i16, random: &Random) -> Vec<u8> {
        let flexible = version >= shape.flexible_since;
        let mut maker = Maker { random, version, flexible, out: BytesMut::new() };
        maker.fields(shape.fields);
        maker.out.to_vec()
    }

    fn is_here(&self, field: &Field) -> bool {
        field.since <= self.version && self.version <= field.until
    }

    fn fields(&mut self, fields: &'static [Field]) {
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            if self.is_here(field) {
                self.value(&field.kind, field.nullable_since <= self.version);
            }
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<(u32, BytesMut)> = Vec::new();
        let mut known: Vec<&Field> = fields.iter().filter(|field| field.tag.is_some() && self.is_here(field)).collect();
        known.sort_by_key(|field| field.tag);
        for field in known {
            if self.random.below(2) == 0 {
                let before = std::mem::take(&mut self.out);
                self.value(&field.kind, field.nullable_since <= self.version);
                tagged.push((field.tag.unwrap(), std::mem::replace(&mut self.out, before)));
            }
        }
        for place in 0..self.random.below(3) {
            let mut value = BytesMut::new();
            value.put_bytes(7, self.random.below(5) as usize);
            tagged.push((1000 + 50_000 * place as u32, value));
        }
        self.uvarint(tagged.len());
        for (tag, value) in tagged {
            self.uvarint(tag as usize);
            self.uvarint(value.len());
            self.out.put_slice(&value);
        }
    }

    fn uvarint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value as u8);
    }

    fn len(&mut self, len: Option<usize>, short: bool) {
        match len {
            len if self.flexible => self.uvarint(len.map_or(0, |len| len + 1)),
            len if short => self.out.put_i16(len.map_or(-1, |len| len as i16)),
            len => self.out.put_i32(len.map_or(-1, |len| len as i32)),
        }
    }

    fn value(&mut self, kind: &'static Kind, nullable: bool) {
        let null = nullable && self.random.below(4) == 0;
        let count = (!null).then(|| self.random.below(4) as usize);
        match kind {
            Kind::Bool => self.out.put_u8(self.random.below(2) as u8),
            Kind::Int8 => self.out.put_u8(self.random.u64() as u8),
            Kind::Int16 | Kind::Uint16 => self.out.put_u16(self.random.u64() as u16),
            Kind::Int32 | Kind::Uint32 => self.out.put_u32(self.random.u64() as u32),
            Kind::Int64 => self.out.put_u64(self.random.u64()),
            Kind::Float64 => self.out.put_f64(self.random.below(1 << 50) as f64),
            Kind::Uuid => self.out.put_slice(self.random.uuid().as_bytes()),
            Kind::String => {
                let text: String = (0..self.random.below(40))
                    .map(|_| ['a', '7', '.', 'ß', '水'][self.random.below(5) as usize])
                    .collect();
                self.len((!null).then_some(text.len()), true);
                self.out.put_slice(if null { b"" } else { text.as_bytes() });
            }
            Kind::Bytes | Kind::Records => {
                let len = self.random.below(200) as usize;
                self.len((!null).then_some(len), false);
                self.out.put_bytes(9, if null { 0 } else { len });
            }
            Kind::Struct(fields) => {
                if nullable {
                    self.out.put_i8(if null { -1 } else { 1 });
                }
                if !null {
                    self.fields(fields);
                }
            }
            Kind::Array(fields) => {
                self.len(count, false);
                (0..count.unwrap_or(0)).for_each(|_| self.fields(fields));
            }
            Kind::List(kind) => {
                self.len(count, false);
                (0..count.unwrap_or(0)).for_each(|_| self.value(kind, false));
            }
        }
    }
}

fn each_version(mut run: impl FnMut(&Api, i16)) {
    for api in APIS {
        (api.versions.0..=api.versions.1).for_each(|version| run(api, version));
    }
}

#[test]
fn what_the_shape_allows_the_decoder_takes_to_the_last_byte() {
    let random = Random::seeded(11);
    each_version(|api, version| {
        for round in 0..60 {
            let message = Maker::message(api.shape, version, &random);
            let name = api.name;
            assert_eq!(shape::check(api.shape, version, &message), Ok(()), "{name} v{version} round {round}");
            let decoded = (api.round_trip)(message.clone().into(), version);
            assert_eq!(decoded, Ok(()), "{name} v{version} round {round}: {message:02x?}");
        }
    });
}

#[test]
fn what_is_cut_or_longer_is_refused() {
    let random = Random::seeded(12);
    each_version(|api, version| {
        for _ in 0..8 {
            let mut message = Maker::message(api.shape, version, &random);
            for cut in 0..message.len() {
                let refused = shape::check(api.shape, version, &message[..cut]).is_err();
                assert!(refused, "{} v{version} cut at {cut} of {}", api.name, message.len());
            }
            message.push(0);
            assert!(shape::check(api.shape, version, &message).is_err(), "{} v{version}", api.name);
        }
    });
}

#[test]
fn mutations_are_judged_without_a_panic_and_what_passes_is_decoded_without_one() {
    let random = Random::seeded(13);
    let mut passed = 0_u64;
    each_version(|api, version| {
        for _ in 0..150 {
            let mut message = Maker::message(api.shape, version, &random);
            for _ in 0..=random.below(4) {
                if message.is_empty() {
                    continue;
                }
                let at = random.below(message.len() as u64) as usize;
                match random.below(4) {
                    0 => message[at] ^= 1 << random.below(8),
                    1 => message[at] = [0, 0x7f, 0x80, 0xff][random.below(4) as usize],
                    2 => drop(message.remove(at)),
                    _ => message.insert(at, random.u64() as u8),
                }
            }
            if shape::check(api.shape, version, &message).is_ok() {
                passed += 1;
                // the crate may still refuse it, e.g. two fields that exclude each other; it must only not fall over
                let _ = (api.round_trip)(message.into(), version);
            }
        }
    });
    assert!(passed > 500, "only {passed} mutated messages were well formed: the test has lost its point");
}

#[test]
fn the_table_is_in_order_and_agrees_with_the_crate() {
    assert!(APIS.windows(2).all(|pair| (pair[0].key as i16) < pair[1].key as i16));
    for api in APIS {
        assert!(api.advertised_since <= api.versions.0 && api.versions.0 <= api.versions.1, "{}", api.name);
        for version in api.versions.0..=api.versions.1 {
            let flexible = api.key.request_header_version(version) == 2;
            assert_eq!(api.is_flexible(version), flexible, "{} v{version}", api.name);
        }
    }
}
