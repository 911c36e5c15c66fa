//! Inflation piece by piece, under a cap: what a frame claims about its size is never believed, and a reader that keeps
//! nothing costs a window whatever comes out. Not here: what the bytes mean.

use std::io::{self, Read};

use crate::compression::{Compression, CompressionError};

/// The most that one batch may inflate to where a rule needs its records: 64 MiB.
pub const INFLATED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest zstd window that is followed, as a power of two: 128 MiB, what level 22 and Kafka's own reader use. Its pages
/// are touched only as far as data come out.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// What xerial's snappy-java writes before its blocks: magic, version, lowest compatible version.
pub(crate) const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
pub(crate) const XERIAL_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];

/// Reads what comes out of compressed bytes.
pub struct Inflater<'a> {
    codec: Compression,
    source: Source<'a>,
    cap: usize,
    left: usize,
}

enum Source<'a> {
    Plain(&'a [u8]),
    Gzip(Box<flate2::bufread::MultiGzDecoder<&'a [u8]>>),
    Snappy(SnappyBlocks<'a>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<&'a [u8]>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, &'a [u8]>>),
}

impl std::fmt::Debug for Inflater<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("codec", &self.codec).field("left", &self.left).finish_non_exhaustive()
    }
}

impl<'a> Inflater<'a> {
    /// Over all of `bytes`; at most `cap` may come out.
    ///
    /// # Errors
    /// Bytes that do not begin as the codec's do.
    pub fn new(codec: Compression, bytes: &'a [u8], cap: usize) -> Result<Self, CompressionError> {
        let source = match codec {
            Compression::None => Source::Plain(bytes),
            Compression::Gzip => Source::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(bytes))),
            Compression::Snappy => Source::Snappy(SnappyBlocks::new(bytes)?),
            Compression::Lz4 => Source::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(bytes))),
            Compression::Zstd => {
                let damaged = |cause: io::Error| damaged(codec, &cause);
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(damaged)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
                Source::Zstd(Box::new(decoder))
            }
        };
        Ok(Self { codec, source, cap, left: cap })
    }

    /// Puts some bytes at the front of `buf`; 0 at the end.
    ///
    /// # Errors
    /// Damaged data, or more than the cap.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, CompressionError> {
        // one more than may come, so that its coming is seen
        let room = buf.len().min(self.left.saturating_add(1));
        let codec = self.codec;
        let buf = &mut buf[..room];
        let read = match &mut self.source {
            Source::Plain(rest) => rest.read(buf),
            Source::Gzip(decoder) => decoder.read(buf),
            Source::Snappy(blocks) => return blocks.read(buf, self.cap).and_then(|read| self.take(read)),
            Source::Lz4(decoder) => read_frames(decoder, buf),
            Source::Zstd(decoder) => decoder.read(buf),
        };
        let read = read.map_err(|cause| damaged(codec, &cause))?;
        self.take(read)
    }

    fn take(&mut self, read: usize) -> Result<usize, CompressionError> {
        self.left = self.left.checked_sub(read).ok_or(CompressionError::TooLarge { cap: self.cap })?;
        Ok(read)
    }
}

pub(crate) fn damaged(codec: Compression, cause: &dyn std::fmt::Display) -> CompressionError {
    CompressionError::Damaged { codec: codec.name(), cause: cause.to_string() }
}

/// The decoder stops at the end of a frame, and at an empty block; more may follow.
fn read_frames(decoder: &mut lz4_flex::frame::FrameDecoder<&[u8]>, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        let before = decoder.get_ref().len();
        let read = decoder.read(buf)?;
        if read > 0 || buf.is_empty() || decoder.get_ref().is_empty() || decoder.get_ref().len() == before {
            return Ok(read);
        }
    }
}

/// Xerial's blocks one by one, or one raw block. Holds one inflated block.
struct SnappyBlocks<'a> {
    rest: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    taken: usize,
}

impl<'a> SnappyBlocks<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, CompressionError> {
        let (rest, framed) = match bytes.strip_prefix(XERIAL_MAGIC) {
            None => (bytes, false),
            Some(behind) => {
                (behind.get(XERIAL_VERSIONS.len()..).ok_or_else(|| snappy_damage("frame head is cut short"))?, true)
            }
        };
        Ok(Self { rest, framed, block: Vec::new(), taken: 0 })
    }

    fn read(&mut self, buf: &mut [u8], cap: usize) -> Result<usize, CompressionError> {
        while self.taken == self.block.len() && !self.rest.is_empty() {
            let block = self.next_block()?;
            self.inflate(block, cap)?;
        }
        let ready = self.block.get(self.taken..).unwrap_or_default();
        let len = ready.len().min(buf.len());
        buf[..len].copy_from_slice(&ready[..len]);
        self.taken += len;
        Ok(len)
    }

    fn next_block(&mut self) -> Result<&'a [u8], CompressionError> {
        if !self.framed {
            return Ok(std::mem::take(&mut self.rest));
        }
        let (length, after) =
            self.rest.split_first_chunk::<4>().ok_or_else(|| snappy_damage("block length is cut short"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, after) = after.split_at_checked(length).ok_or_else(|| snappy_damage("block is cut short"))?;
        self.rest = after;
        Ok(block)
    }

    /// A block says its size up front. Snappy's densest form is a 3-byte copy of 64 bytes, so a larger claim is a lie.
    fn inflate(&mut self, block: &[u8], cap: usize) -> Result<(), CompressionError> {
        let claim = snap::raw::decompress_len(block).map_err(|cause| snappy_damage(&cause.to_string()))?;
        if claim > cap {
            return Err(CompressionError::TooLarge { cap });
        }
        if claim > block.len().saturating_mul(32) {
            return Err(snappy_damage("a block claims more than snappy can hold"));
        }
        self.taken = 0;
        self.block.resize(claim, 0);
        let written = snap::raw::Decoder::new().decompress(block, &mut self.block);
        self.block.truncate(written.map_err(|cause| snappy_damage(&cause.to_string()))?);
        Ok(())
    }
}

fn snappy_damage(cause: &str) -> CompressionError {
    damaged(Compression::Snappy, &cause)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(codec: Compression, bytes: &[u8]) -> Result<Vec<u8>, CompressionError> {
        codec.decompress(bytes, 1 << 20)
    }

    #[test]
    fn pieces_are_the_whole_and_the_cap_is_exact() {
        let text: Vec<u8> = (0..100_000_u32).map(|n| (n / 7) as u8).collect();
        for codec in Compression::ALL {
            let small = codec.compress(&text, None).unwrap();
            let mut inflater = Inflater::new(codec, &small, text.len()).unwrap();
            let (mut out, mut piece) = (Vec::new(), [0; 777]);
            loop {
                match inflater.read(&mut piece).unwrap() {
                    0 => break,
                    read => out.extend_from_slice(&piece[..read]),
                }
            }
            assert_eq!(out, text, "{}", codec.name());
            assert_eq!(inflater.read(&mut piece).unwrap(), 0);
            let one_less = codec.decompress(&small, text.len() - 1);
            assert!(matches!(one_less, Err(CompressionError::TooLarge { .. })), "{}", codec.name());
        }
    }

    #[test]
    fn several_members_and_frames_are_one_stream() {
        for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
            let parts = [&b"one "[..], b"", b"two"].map(|part| codec.compress(part, None).unwrap());
            assert_eq!(all(codec, &parts.concat()).unwrap(), b"one two", "{}", codec.name());
        }
    }

    #[test]
    fn lz4_frames_of_every_kind_are_read() {
        use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
        let text: Vec<u8> = (0..300_000_u32).map(|n| (n / 50) as u8).collect();
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
                for (checked, told) in [(false, None), (true, Some(text.len() as u64))] {
                    let info = FrameInfo::new()
                        .block_mode(mode)
                        .block_size(size)
                        .block_checksums(checked)
                        .content_checksum(checked)
                        .content_size(told);
                    let mut writer = FrameEncoder::with_frame_info(info, Vec::new());
                    writer.write_all(&text).unwrap();
                    let mut bytes = writer.finish().unwrap();
                    assert_eq!(all(Compression::Lz4, &bytes).unwrap(), text);
                    if checked {
                        let middle = bytes.len() / 2;
                        bytes[middle] ^= 1;
                        assert!(all(Compression::Lz4, &bytes).is_err(), "a checksum was not looked at");
                    }
                }
            }
        }
        let legacy = [&[0x02, 0x21, 0x4c, 0x18, 6, 0, 0, 0, 0x50][..], b"hello"].concat();
        assert_eq!(all(Compression::Lz4, &legacy).unwrap(), b"hello");
    }

    #[test]
    fn zstd_frames_are_read_with_and_without_a_size_and_at_every_level() {
        let text = b"some text that comes again and again ".repeat(3000);
        for level in [-7, 1, 3, 19, 20, 22] {
            for told in [Some(text.len() as u64), None] {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level).unwrap();
                encoder.set_pledged_src_size(told).unwrap();
                encoder.write_all(&text).unwrap();
                let bytes = encoder.finish().unwrap();
                assert_eq!(all(Compression::Zstd, &bytes).unwrap(), text, "level {level}");
            }
        }
        // a frame that asks for a window of 1 TiB
        let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf0, 1, 0, 0];
        assert!(all(Compression::Zstd, &greedy).is_err());
    }

    #[test]
    fn empty_input_is_an_empty_stream_where_the_codec_allows_it() {
        for codec in Compression::ALL {
            let empty = codec.compress(&[], None).unwrap();
            assert_eq!(all(codec, &empty).unwrap(), b"", "{}", codec.name());
        }
    }

    #[test]
    fn snappy_blocks_are_bounded_by_what_they_hold() {
        let raw = snap::raw::Encoder::new().compress_vec(b"hello hello hello").unwrap();
        assert_eq!(all(Compression::Snappy, &raw).unwrap(), b"hello hello hello");
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert!(Compression::Snappy.decompress(&lie, usize::MAX).is_err());
        let framed = |length: u32, block: &[u8]| {
            [XERIAL_MAGIC.as_slice(), &XERIAL_VERSIONS, &length.to_be_bytes(), block].concat()
        };
        assert_eq!(all(Compression::Snappy, &framed(raw.len() as u32, &raw)).unwrap(), b"hello hello hello");
        assert!(all(Compression::Snappy, &framed(u32::MAX, &raw)).is_err());
        assert!(all(Compression::Snappy, &framed(raw.len() as u32 + 1, &raw)).is_err());
        assert!(all(Compression::Snappy, &XERIAL_MAGIC[..]).is_err());
        assert!(all(Compression::Snappy, &framed(0, b"")[..18]).is_err());
    }
}
