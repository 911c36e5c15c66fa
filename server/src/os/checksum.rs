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

/// The checksum of two pieces from the checksum of each, without reading them again. Costs about as much as reading 1 KiB,
/// whatever the length.
///
/// A checksum is the remainder of the bytes, taken as a polynomial over GF(2); `len` bytes behind it multiply it by x^(8·len).
pub fn combine(first: u32, second: u32, second_len: usize) -> u32 {
    let (mut shifted, mut left) = (first, second_len);
    while left != 0 {
        shifted = product(BYTE_POWERS[left.trailing_zeros() as usize], shifted);
        left &= left - 1;
    }
    shifted ^ second
}

/// Castagnoli's polynomial, lowest power in the highest bit, x^32 left out.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// x^(8·2^k) for each bit k of a length.
static BYTE_POWERS: [u32; usize::BITS as usize] = {
    let mut powers = [1 << (31 - 8); usize::BITS as usize];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = product(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
};

/// The product of two polynomials, modulo [`POLYNOMIAL`].
const fn product(a: u32, b: u32) -> u32 {
    let (mut sum, mut term, mut bit) = (0, b, 0);
    while bit < 32 {
        // without branches: the bits of a checksum cannot be predicted
        sum ^= term & ((a << bit) as i32 >> 31) as u32;
        term = (term >> 1) ^ (POLYNOMIAL & (term & 1).wrapping_neg());
        bit += 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combining_equals_reading_once() {
        let (a, b) = (b"hello ".as_slice(), b"world".as_slice());
        let whole = crc32c(b"hello world");
        assert_eq!(combine(crc32c(a), crc32c(b), b.len()), whole);
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        for cut in [0, 1, 2, 255, 256, 4096, 33_333, 65_535, 65_536, 99_999, 100_000] {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(combine(crc32c(head), crc32c(tail), tail.len()), crc32c(&bytes), "cut at {cut}");
        }
        assert_eq!(of_parts(&[IoSlice::new(a), IoSlice::new(b)]), whole);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
