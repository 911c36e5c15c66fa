//! Percent-encoding (RFC 3986) of bytes that stand in a path, a query or a header. Strict: a `%` is always followed by two
//! hex digits, so what was meant is never guessed.

use std::borrow::Cow;

/// Decodes; None: a `%` without two hex digits.
pub(crate) fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte == b'%' {
            let digits = rest.first_chunk::<2>()?;
            let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
            out.push(u8::try_from(high? * 16 + low?).ok()?);
            rest = &rest[2..];
        } else {
            out.push(*byte);
        }
    }
    Some(Cow::Owned(out))
}

/// Encodes for a header's value: visible ASCII and inner spaces stay, `%` does not.
pub(crate) fn encode_value(bytes: &[u8]) -> String {
    let last = bytes.len().saturating_sub(1);
    encode(bytes, |at, byte| byte.is_ascii_graphic() || (byte == b' ' && at != 0 && at != last))
}

/// Encodes for a header's name: lower-case letters, digits and a few signs stay; names have no case in HTTP.
pub(crate) fn encode_name(bytes: &[u8]) -> String {
    encode(bytes, |_, byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.~".contains(&byte))
}

fn encode(bytes: &[u8], stays: impl Fn(usize, u8) -> bool) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().copied().enumerate() {
        if byte != b'%' && stays(at, byte) {
            out.push(char::from(byte));
        } else {
            out.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])).iter());
            out.insert(out.len() - 2, '%');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(bytes: Vec<u8>) {
            let value = encode_value(&bytes);
            prop_assert_eq!(decode(value.as_bytes()).unwrap(), Cow::Borrowed(bytes.as_slice()));
            prop_assert_eq!(value.trim(), value.as_str());
            let name = encode_name(&bytes).to_ascii_lowercase();
            prop_assert_eq!(decode(name.as_bytes()).unwrap(), Cow::Borrowed(bytes.as_slice()));
        }
    }

    #[test]
    fn a_percent_sign_alone_is_refused() {
        for text in ["%", "%4", "a%zz", "100%", "%+1a", "% 1"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(b"%e2%82%AC+").as_deref(), Some("€+".as_bytes()));
    }
}
