//! The four codecs of the record format. Inflation streams through a reader that stops at a cap: what a frame claims
//! about its size is never believed, so a bomb costs at most the cap.

use std::io::{self, Read, Write};

/// The most that one batch may inflate to where a rule needs its records: 64 MiB.
pub const INFLATED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest zstd window that is followed, as a power of two: 8 MiB, what `zstd -19` writes.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// What xerial's snappy-java writes before its blocks: magic, version, lowest compatible version.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
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
        let damaged = |cause: io::Error| CompressionError::Damaged { codec: self.name(), cause: cause.to_string() };
        match self {
            Self::None => capped(bytes, bytes.len(), cap).map_err(damaged)?,
            Self::Gzip => capped(flate2::read::MultiGzDecoder::new(bytes), bytes.len(), cap).map_err(damaged)?,
            Self::Lz4 => capped(lz4_flex::frame::FrameDecoder::new(bytes), bytes.len(), cap).map_err(damaged)?,
            Self::Zstd => {
                let mut reader = zstd::stream::read::Decoder::with_buffer(bytes).map_err(damaged)?;
                reader.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
                capped(reader, bytes.len(), cap).map_err(damaged)?
            }
            Self::Snappy => return snappy(bytes, cap),
        }
        .ok_or(CompressionError::TooLarge { cap })
    }

    /// Deflates. `level` is the codec's own; `None` is its default, and snappy and lz4 have none.
    ///
    /// # Errors
    /// A level the codec does not know.
    pub fn compress(self, bytes: &[u8], level: Option<i32>) -> Result<Vec<u8>, CompressionError> {
        let damaged = |cause: io::Error| CompressionError::Damaged { codec: self.name(), cause: cause.to_string() };
        match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Gzip => {
                let level = level
                    .and_then(|level| u32::try_from(level).ok())
                    .map_or_else(Default::default, flate2::Compression::new);
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
                writer.write_all(bytes).and_then(|()| writer.finish()).map_err(damaged)
            }
            Self::Snappy => Ok(xerial(bytes)),
            Self::Lz4 => {
                // Kafka's Java reader takes independent blocks of 64 KiB (KafkaLZ4BlockOutputStream)
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut writer = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                writer.write_all(bytes).map_err(damaged)?;
                writer.finish().map_err(|cause| damaged(io::Error::other(cause)))
            }
            Self::Zstd => {
                zstd::stream::encode_all(bytes, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)).map_err(damaged)
            }
        }
    }
}

/// Reads all, or `None` where more than `cap` would come.
fn capped(mut reader: impl Read, compressed_len: usize, cap: usize) -> io::Result<Option<Vec<u8>>> {
    let mut out = Vec::with_capacity(compressed_len.saturating_mul(2).min(cap).min(1 << 20));
    reader.by_ref().take(cap as u64 + 1).read_to_end(&mut out)?;
    Ok((out.len() <= cap).then_some(out))
}

fn snappy(bytes: &[u8], cap: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    match bytes.strip_prefix(XERIAL_MAGIC) {
        None => snappy_block(bytes, cap, &mut out)?,
        Some(framed) => {
            let mut rest =
                framed.get(XERIAL_VERSIONS.len()..).ok_or_else(|| snappy_damage("frame head is cut short"))?;
            while !rest.is_empty() {
                let (length, after) =
                    rest.split_first_chunk::<4>().ok_or_else(|| snappy_damage("block length is cut short"))?;
                let length = u32::from_be_bytes(*length) as usize;
                let (block, after) =
                    after.split_at_checked(length).ok_or_else(|| snappy_damage("block is cut short"))?;
                snappy_block(block, cap, &mut out)?;
                rest = after;
            }
        }
    }
    Ok(out)
}

/// A block says its size up front. Snappy's densest form is a 3-byte copy of 64 bytes, so a larger claim is a lie.
fn snappy_block(block: &[u8], cap: usize, out: &mut Vec<u8>) -> Result<(), CompressionError> {
    let claim = snap::raw::decompress_len(block).map_err(|cause| snappy_damage(&cause.to_string()))?;
    if out.len().saturating_add(claim) > cap {
        return Err(CompressionError::TooLarge { cap });
    }
    if claim > block.len().saturating_mul(32) {
        return Err(snappy_damage("a block claims more than snappy can hold"));
    }
    let start = out.len();
    out.resize(start + claim, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut out[start..]);
    let written = written.map_err(|cause| snappy_damage(&cause.to_string()))?;
    out.truncate(start + written);
    Ok(())
}

fn snappy_damage(cause: &str) -> CompressionError {
    CompressionError::Damaged { codec: "snappy", cause: cause.to_owned() }
}

fn xerial(bytes: &[u8]) -> Vec<u8> {
    let mut out = [XERIAL_MAGIC.as_slice(), &XERIAL_VERSIONS].concat();
    let mut encoder = snap::raw::Encoder::new();
    for block in bytes.chunks(SNAPPY_BLOCK) {
        let at = out.len() + 4;
        out.resize(at + snap::raw::max_compress_len(block.len()), 0);
        // cannot fail: the output has the size that the encoder itself asks for
        let length = encoder.compress(block, &mut out[at..]).unwrap_or_default();
        out[at - 4..at].copy_from_slice(&(length as u32).to_be_bytes());
        out.truncate(at + length);
    }
    out
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

    #[test]
    fn a_raw_snappy_block_is_read_and_a_lying_one_refused() {
        let raw = snap::raw::Encoder::new().compress_vec(b"hello hello hello").unwrap();
        assert_eq!(Compression::Snappy.decompress(&raw, 100).unwrap(), b"hello hello hello");
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert!(Compression::Snappy.decompress(&lie, usize::MAX).is_err());
    }
}
