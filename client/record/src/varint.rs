//! Variable-length integers of the record format: zigzag for signed ones, 5 bytes at most for 32 bits, 10 for 64.

/// Reads a zigzag 32-bit integer; `None` if the bytes end, or after 5 bytes.
#[inline]
pub fn read_i32(bytes: &mut &[u8]) -> Option<i32> {
    let raw = read_u32(bytes)?;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads a zigzag 64-bit integer; `None` if the bytes end, or after 10 bytes.
#[inline]
pub fn read_i64(bytes: &mut &[u8]) -> Option<i64> {
    let raw = match read_short(bytes) {
        Some(short) => short.into(),
        None => read_unsigned(bytes, 10)?,
    };
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Reads a plain unsigned 32-bit integer, as flexible request versions use; `None` if the bytes end, after 5 bytes or above 32 bits.
#[inline]
pub fn read_u32(bytes: &mut &[u8]) -> Option<u32> {
    match read_short(bytes) {
        Some(short) => Some(short),
        None => u32::try_from(read_unsigned(bytes, 5)?).ok(),
    }
}

/// The way of nearly every integer in a record: one or two bytes, without a loop. `None`: it is longer, or the bytes end.
#[inline]
fn read_short(bytes: &mut &[u8]) -> Option<u32> {
    match *bytes {
        [only, rest @ ..] if *only < 0x80 => {
            *bytes = rest;
            Some(u32::from(*only))
        }
        [low, high, rest @ ..] if *high < 0x80 => {
            *bytes = rest;
            Some(u32::from(*low & 0x7f) | u32::from(*high) << 7)
        }
        _ => None,
    }
}

fn read_unsigned(bytes: &mut &[u8], len_max: u32) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..len_max {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let shifted = u64::from(byte & 0x7f).checked_shl(place * 7)?;
        if shifted >> (place * 7) != u64::from(byte & 0x7f) {
            return None;
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Writes a zigzag 32-bit integer.
pub fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_u64(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Writes a zigzag 64-bit integer.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Bytes that [`write_i32`] writes.
pub fn len_i32(value: i32) -> usize {
    len_i64(value.into())
}

/// Bytes that [`write_i64`] writes.
pub fn len_i64(value: i64) -> usize {
    let bits = 64 - (((value << 1) ^ (value >> 63)) as u64 | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Writes a plain unsigned integer.
pub fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_round_trip(narrow: i32, wide: i64, plain: u32) {
            let mut out = Vec::new();
            write_i32(&mut out, narrow);
            prop_assert_eq!(out.len(), len_i32(narrow));
            write_i64(&mut out, wide);
            prop_assert_eq!(out.len(), len_i32(narrow) + len_i64(wide));
            write_u64(&mut out, u64::from(plain));
            let mut rest = out.as_slice();
            prop_assert_eq!(read_i32(&mut rest), Some(narrow));
            prop_assert_eq!(read_i64(&mut rest), Some(wide));
            prop_assert_eq!(read_u32(&mut rest), Some(plain));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn lengths_change_where_seven_more_bits_are_needed() {
        for (value, len) in [(0, 1), (-1, 1), (63, 1), (-64, 1), (64, 2), (-65, 2), (8191, 2), (8192, 3)] {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            assert_eq!((out.len(), len_i64(value)), (len, len), "{value}");
            assert_eq!(read_i64(&mut out.as_slice()), Some(value));
        }
        assert_eq!((len_i64(i64::MIN), len_i64(i64::MAX), len_i32(i32::MIN)), (10, 10, 5));
    }

    #[test]
    fn too_long_and_cut_ones_are_refused() {
        assert_eq!(read_u32(&mut [0xff, 0xff, 0xff, 0xff, 0xff, 0x01].as_slice()), None);
        assert_eq!(read_u32(&mut [0xff, 0xff, 0xff, 0xff, 0x1f].as_slice()), None);
        assert_eq!(read_i64(&mut [0xff; 11].as_slice()), None);
        assert_eq!(read_i32(&mut [0x80].as_slice()), None);
    }
}
