//! A request's header, read by hand: nothing else touches a frame before its key and version are known.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use tidemark_client::wire::shape;

use super::refusal::Refusal;

/// Key, version and correlation id: what every frame has at least.
pub(super) const FIXED_LEN: usize = 8;

/// The part that every request begins with, whatever its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FixedHeader {
    pub(super) api_key: i16,
    pub(super) api_version: i16,
    pub(super) correlation_id: i32,
}

impl FixedHeader {
    /// Takes it off the front of a frame.
    pub(super) fn take(frame: &mut Bytes) -> Result<Self, Refusal> {
        let &[k0, k1, v0, v1, c0, c1, c2, c3] =
            frame.first_chunk::<FIXED_LEN>().ok_or(Refusal::Header("is too short"))?;
        let _ = frame.split_to(FIXED_LEN);
        Ok(Self {
            api_key: i16::from_be_bytes([k0, k1]),
            api_version: i16::from_be_bytes([v0, v1]),
            correlation_id: i32::from_be_bytes([c0, c1, c2, c3]),
        })
    }
}

/// Takes client id and, in a flexible version, tagged fields off the front. The client id is a copy: whatever waits for
/// an answer keeps it, and a slice would keep the whole frame.
pub(super) fn take_client_id(frame: &mut Bytes, flexible: bool) -> Result<Option<StrBytes>, Refusal> {
    let len = i16::from_be_bytes(*frame.first_chunk::<2>().ok_or(Refusal::Header("has no client id"))?);
    let _ = frame.split_to(2);
    let client_id = match usize::try_from(len) {
        Ok(len) if len > frame.len() => return Err(Refusal::Header("has a client id that reaches past the end")),
        Ok(len) => {
            let text = frame.split_to(len);
            let text = std::str::from_utf8(&text).map_err(|_| Refusal::Header("has a client id that is not UTF-8"))?;
            Some(StrBytes::from_string(text.to_owned()))
        }
        Err(_) if len == -1 => None,
        Err(_) => return Err(Refusal::Header("has a client id of negative length")),
    };
    if flexible {
        let tags = shape::tagged_section_len(frame).map_err(|_| Refusal::Header("has malformed tagged fields"))?;
        let _ = frame.split_to(tags);
    }
    Ok(client_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_and_tags_are_held_to_the_frame() {
        type Taken = Option<(Option<&'static str>, usize)>;
        let cases: &[(&[u8], bool, Taken)] = &[
            (&[0, 2, b'm', b'e', 9], false, Some((Some("me"), 1))),
            (&[0xff, 0xff, 9, 9], false, Some((None, 2))),
            (&[0, 0, 0], true, Some((Some(""), 0))),
            (&[0xff, 0xff, 1, 7, 2, 5, 5, 9], true, Some((None, 1))),
            (&[0, 3, b'm', b'e'], false, None),
            (&[0xff, 0xfe], false, None),
            (&[0, 1, 0xff], false, None),
            (&[0], false, None),
            (&[0xff, 0xff], true, None),
            (&[0xff, 0xff, 2, 7, 0, 7, 0], true, None),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], true, None),
        ];
        for (bytes, flexible, expected) in cases {
            let mut frame = Bytes::from_static(bytes);
            let found = take_client_id(&mut frame, *flexible).ok().map(|id| (id, frame.len()));
            let expected = expected.map(|(id, rest)| (id.map(StrBytes::from_static_str), rest));
            assert_eq!(found, expected, "{bytes:?}");
        }
        assert!(FixedHeader::take(&mut Bytes::from_static(&[0; 7])).is_err());
    }
}
