//! Finds the end of a chunked body (RFC 9112 section 7.1), byte by byte, without keeping any of it.

/// Hex digits of a chunk's size that are believed.
const SIZE_DIGITS_MAX: u8 = 8;
/// Bytes of one chunk's extensions, which nobody reads.
const EXTENSION_BYTES_MAX: u32 = 256;
/// Bytes of all trailers, which nobody reads.
const TRAILER_BYTES_MAX: u32 = 4096;

/// Where in a chunked body the next byte lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    Size { bytes: u64, digits: u8 },
    Extension { bytes: u64, length: u32 },
    SizeLf { bytes: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart { length: u32 },
    Trailer { length: u32 },
    TrailerLf { length: u32 },
    EndLf,
    End,
}

impl Chunked {
    pub(super) const START: Self = Self::Size { bytes: 0, digits: 0 };

    /// Walks over bytes up to the end of the body; answers how many of them belong to it.
    ///
    /// # Errors
    /// Bytes that no chunked body has there.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut at = 0;
        while at < bytes.len() && *self != Self::End {
            if let Self::Data { left } = *self {
                let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += step;
                let left = left - step as u64;
                *self = if left == 0 { Self::DataCr } else { Self::Data { left } };
            } else {
                *self = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(self, byte: u8) -> Result<Self, &'static str> {
        let digit = char::from(byte).to_digit(16);
        Ok(match (self, byte) {
            (Self::Size { bytes, digits }, _) if digit.is_some() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err("a chunk's size has too many digits");
                }
                Self::Size { bytes: bytes * 16 + u64::from(digit.unwrap_or(0)), digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err("a chunk has no size"),
            (Self::Size { bytes, .. } | Self::Extension { bytes, .. }, b'\r') => Self::SizeLf { bytes },
            (Self::Size { bytes, .. }, b';') => Self::Extension { bytes, length: 0 },
            (Self::Extension { .. } | Self::Trailer { .. } | Self::TrailerStart { .. }, b'\n' | 0) => {
                return Err("a chunk has a bare LF or a NUL");
            }
            (Self::Extension { bytes, length }, _) if length < EXTENSION_BYTES_MAX => {
                Self::Extension { bytes, length: length + 1 }
            }
            (Self::SizeLf { bytes: 0 }, b'\n') => Self::TrailerStart { length: 0 },
            (Self::SizeLf { bytes }, b'\n') => Self::Data { left: bytes },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::START,
            (Self::TrailerStart { .. }, b'\r') => Self::EndLf,
            (Self::Trailer { length }, b'\r') => Self::TrailerLf { length },
            (Self::TrailerStart { length } | Self::Trailer { length }, _) if length < TRAILER_BYTES_MAX => {
                Self::Trailer { length: length + 1 }
            }
            (Self::TrailerLf { length }, b'\n') => Self::TrailerStart { length },
            (Self::EndLf, b'\n') => Self::End,
            _ => return Err("the chunks of the body are malformed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(bytes: &[u8], step: usize) -> Result<(usize, bool), &'static str> {
        let mut state = Chunked::START;
        let mut taken = 0;
        for piece in bytes.chunks(step) {
            taken += state.advance(piece)?;
        }
        Ok((taken, state == Chunked::End))
    }

    #[test]
    fn the_end_is_found_however_the_bytes_are_cut() {
        let body = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\na: b\r\n\r\n";
        let mut all = body.to_vec();
        all.extend(b"GET / HTTP/1.1\r\n");
        for step in 1..all.len() {
            assert_eq!(walk(&all, step), Ok((body.len(), true)), "step {step}");
        }
        assert_eq!(walk(b"5\r\nhel", 9), Ok((6, false)));
    }

    #[test]
    fn what_parsers_could_read_differently_is_refused() {
        let bad: [&[u8]; 12] = [
            b"5\nhello\r\n",
            b"\r\n",
            b"-5\r\n",
            b"0x5\r\n",
            b" 5\r\n",
            b"5 \r\nhello",
            b"5\r\nhello!\r\n",
            b"5\r\nhello\n",
            b"123456789\r\n",
            b"5\rhello",
            b"0\r\na\n\r\n",
            b"0\r\n\n",
        ];
        for bytes in bad {
            assert!(walk(bytes, 100).is_err(), "{}", bytes.escape_ascii());
        }
        assert!(walk(&[b"5;".as_slice(), &[b'x'; 300]].concat(), 100).is_err());
        assert!(walk(&[b"0\r\n".as_slice(), &b"a: b\r\n".repeat(2000)].concat(), 100).is_err());
    }
}
