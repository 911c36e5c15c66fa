//! CRC-32C, the checksum of every byte that Tidemark stores. Castagnoli's polynomial, as Kafka's record batches use.

use std::io::IoSlice;

/// Of one piece of bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Goes on from `crc` over more bytes.
pub fn append(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

/// Of several pieces as if they were one.
pub fn of_parts(parts: &[IoSlice<'_>]) -> u32 {
    parts.iter().fold(0, |crc, part| append(crc, part))
}

/// The checksum of two pieces from the checksum of each, without reading them again.
pub fn combine(first: u32, second: u32, second_len: usize) -> u32 {
    crc32c::crc32c_combine(first, second, second_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combining_equals_reading_once() {
        let (a, b) = (b"hello ".as_slice(), b"world".as_slice());
        let whole = crc32c(b"hello world");
        assert_eq!(combine(crc32c(a), crc32c(b), b.len()), whole);
        assert_eq!(of_parts(&[IoSlice::new(a), IoSlice::new(b)]), whole);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
