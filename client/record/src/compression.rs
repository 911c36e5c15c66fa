//! The four codecs of the record format, and deflation. Not here: inflation (`inflate`), which needs more care.

use std::io::{self, Write};

pub use crate::inflate::INFLATED_BYTES_MAX;
use crate::inflate::{Inflater, XERIAL_MAGIC, XERIAL_VERSIONS, damaged};

/// Uncompressed bytes of one snappy block, as snappy-java's default.
const SNAPPY_BLOCK: usize = 32 * 1024;

/// A codec, by its bits in a batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Records lie there as they are.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in xerial's framing, or one raw block.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// RFC 8878 (KIP-110).
    Zstd,
}

/// Why bytes could not be inflated or deflated.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// The bytes are not of that codec.
    #[error("{codec} data are damaged: {cause}")]
    Damaged {
        /// The codec's name.
        codec: &'static str,
        /// What its reader says.
        cause: String,
    },
    /// More than the cap would come out.
    #[error("inflates to more than {cap} bytes")]
    TooLarge {
        /// The cap.
        cap: usize,
    },
}

impl Compression {
    /// All, in the order of their ids.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// From attribute bits 0–2.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }
    /// Attribute bits 0–2.
    pub fn id(self) -> u8 {
        self as u8
    }
    /// Kafka's name, as in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
    /// The inverse of [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// Inflates all of `bytes`.
    ///
    /// # Errors
    /// Damaged data, or more than `cap` bytes; memory held meanwhile is at most `cap` and a codec's window.
    pub fn decompress(self, bytes: &[u8], cap: usize) -> Result<Vec<u8>, CompressionError> {
        let mut inflater = Inflater::new(self, bytes, cap)?;
        let mut out = Vec::new();
        let mut len = 0;
        loop {
            if len == out.len() {
                let more = out.len().clamp(bytes.len().saturating_mul(2).clamp(PIECE, 1 << 20), PIECES_MAX);
                out.resize(len + more, 0);
            }
            match inflater.read(&mut out[len..])? {
                0 => break,
                read => len += read,
            }
        }
        out.truncate(len);
        Ok(out)
    }

    /// Deflates. `level` is the codec's own; `None` is its default, and snappy and lz4 have none.
    ///
    /// # Errors
    /// A level the codec does not know.
    pub fn compress(self, bytes: &[u8], level: Option<i32>) -> Result<Vec<u8>, CompressionError> {
        let mut deflater = Deflater::new(self, level, usize::MAX)?;
        deflater.write(bytes)?;
        deflater.finish()
    }
}

/// Bytes by which an inflated batch grows, at least and at most.
const PIECE: usize = 4096;
const PIECES_MAX: usize = 8 << 20;

/// Deflates piece by piece into memory, up to a cap.
pub struct Deflater {
    codec: Compression,
    target: Target,
    cap: usize,
}

enum Target {
    Plain(Vec<u8>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Snappy { out: Vec<u8>, block: Vec<u8> },
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflater").field("codec", &self.codec).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Deflater {
    /// With the codec's own `level`; `None` is its default, and snappy and lz4 have none. At most `cap` bytes may come out.
    ///
    /// # Errors
    /// A level the codec does not know.
    pub fn new(codec: Compression, level: Option<i32>, cap: usize) -> Result<Self, CompressionError> {
        let target = match codec {
            Compression::None => Target::Plain(Vec::new()),
            Compression::Gzip => {
                // 0 to 9; Kafka's default is -1, the codec's own
                let level = level.and_then(|level| u32::try_from(level).ok()).filter(|level| *level <= 9);
                let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
                Target::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
            }
            Compression::Snappy => {
                Target::Snappy { out: [XERIAL_MAGIC.as_slice(), &XERIAL_VERSIONS].concat(), block: Vec::new() }
            }
            Compression::Lz4 => {
                // Kafka's Java reader takes independent blocks of 64 KiB (KafkaLZ4BlockOutputStream)
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                Target::Lz4(Box::new(lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new())))
            }
            Compression::Zstd => {
                let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), level);
                Target::Zstd(encoder.map_err(|cause| damaged(codec, &cause))?)
            }
        };
        Ok(Self { codec, target, cap })
    }

    fn len(&self) -> usize {
        match &self.target {
            Target::Plain(out) | Target::Snappy { out, .. } => out.len(),
            Target::Gzip(encoder) => encoder.get_ref().len(),
            Target::Lz4(encoder) => encoder.get_ref().len(),
            Target::Zstd(encoder) => encoder.get_ref().len(),
        }
    }

    /// Takes more.
    ///
    /// # Errors
    /// More than the cap came out.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        let written = match &mut self.target {
            Target::Plain(out) => out.write_all(bytes),
            Target::Gzip(encoder) => encoder.write_all(bytes),
            Target::Snappy { out, block } => {
                snappy_blocks(out, block, bytes);
                Ok(())
            }
            Target::Lz4(encoder) => encoder.write_all(bytes),
            Target::Zstd(encoder) => encoder.write_all(bytes),
        };
        written.map_err(|cause| damaged(self.codec, &cause))?;
        if self.len() > self.cap { Err(CompressionError::TooLarge { cap: self.cap }) } else { Ok(()) }
    }

    /// All that came out.
    ///
    /// # Errors
    /// More than the cap.
    pub fn finish(self) -> Result<Vec<u8>, CompressionError> {
        let (codec, cap) = (self.codec, self.cap);
        let out = match self.target {
            Target::Plain(out) => Ok(out),
            Target::Gzip(encoder) => encoder.finish(),
            Target::Snappy { mut out, block } => {
                if !block.is_empty() {
                    snappy_block(&mut out, &block);
                }
                Ok(out)
            }
            Target::Lz4(encoder) => encoder.finish().map_err(io::Error::other),
            Target::Zstd(encoder) => encoder.finish(),
        };
        let out = out.map_err(|cause| damaged(codec, &cause))?;
        if out.len() > cap { Err(CompressionError::TooLarge { cap }) } else { Ok(out) }
    }
}

/// Fills blocks to their full size across writes.
fn snappy_blocks(out: &mut Vec<u8>, block: &mut Vec<u8>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (now, after) = bytes.split_at(bytes.len().min(SNAPPY_BLOCK - block.len()));
        block.extend_from_slice(now);
        bytes = after;
        if block.len() == SNAPPY_BLOCK {
            snappy_block(out, block);
            block.clear();
        }
    }
}

fn snappy_block(out: &mut Vec<u8>, block: &[u8]) {
    let at = out.len() + 4;
    out.resize(at + snap::raw::max_compress_len(block.len()), 0);
    // cannot fail: the output has the size that the encoder itself asks for
    let length = snap::raw::Encoder::new().compress(block, &mut out[at..]).unwrap_or_default();
    out[at - 4..at].copy_from_slice(&(length as u32).to_be_bytes());
    out.truncate(at + length);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn codecs_round_trip(bytes in proptest::collection::vec(0_u8..8, 0..70_000)) {
            for codec in Compression::ALL {
                let small = codec.compress(&bytes, None).unwrap();
                prop_assert_eq!(&codec.decompress(&small, 1 << 20).unwrap(), &bytes, "{}", codec.name());
            }
        }

        #[test]
        fn damaged_bytes_never_panic(place: usize, byte: u8, cut: usize) {
            for codec in Compression::ALL {
                let mut small = codec.compress(&[7; 5000], None).unwrap();
                let place = place % small.len();
                small[place] = byte;
                let _ = codec.decompress(&small, 10_000);
                small.truncate(cut % small.len());
                let _ = codec.decompress(&small, 10_000);
            }
        }
    }

    #[test]
    fn bombs_stop_at_the_cap() {
        let zeros = vec![0; 32 << 20];
        for codec in Compression::ALL {
            let bomb = codec.compress(&zeros, None).unwrap();
            let result = codec.decompress(&bomb, 1 << 20);
            assert!(matches!(result, Err(CompressionError::TooLarge { .. })), "{}", codec.name());
        }
    }
}
