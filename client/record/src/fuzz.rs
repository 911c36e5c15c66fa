//! Entry points for a fuzzer: each takes any bytes and must return. Not here: who feeds them.

use crate::{
    batch::{self, BatchHeader, HEADER_LEN},
    builder,
    record::Records,
    stream::RecordStream,
};

/// Bytes that may come out of a fuzzed payload: enough to meet every path, and quick.
const INFLATED_BYTES_MAX: usize = 1 << 20;

/// The bytes as a batch header.
pub fn fuzz_batch_header(bytes: &[u8]) {
    if let Ok(header) = BatchHeader::parse(bytes) {
        let encoded = header.encode();
        assert_eq!(Some(encoded.as_slice()), bytes.get(..HEADER_LEN), "what was parsed is not what is encoded");
        let _ = (header.last_offset(), header.next_offset(), header.last_sequence(), header.size_in_bytes());
    }
    let _ = batch::verify(bytes);
}

/// The bytes as a batch whose checksum is made right: both walks over its records must agree.
pub fn fuzz_record_walk(bytes: &[u8]) {
    let Ok(header) = BatchHeader::parse(bytes) else { return };
    let Some(codec) = header.compression() else { return };
    let whole = builder::sealed(header, &bytes[HEADER_LEN..]);
    let Ok(payload) = builder::inflated(&header, &whole, INFLATED_BYTES_MAX) else { return };
    let mut records = Records::new(&payload, header.records_count);
    let walked = records.by_ref().map_while(Result::ok).inspect(|record| record.headers().for_each(drop)).count();
    let Ok(mut stream) = RecordStream::new(codec, &whole[HEADER_LEN..], header.records_count, INFLATED_BYTES_MAX)
    else {
        return;
    };
    let mut streamed = 0;
    while let Ok(Some(_)) = stream.next_outline() {
        streamed += 1;
    }
    assert_eq!(walked, streamed, "the two walks differ");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{BatchBuilder, Compression};

    proptest! {
        #[test]
        fn any_bytes_and_any_damage_return(codec in 0_u8..5, edits in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6)) {
            let mut builder = BatchBuilder::new().compression(Compression::from_id(codec).unwrap(), None);
            for n in 0..5 {
                builder.append(n, Some(b"key"), Some(&[7; 40]), [(&b"h"[..], None)].into_iter());
            }
            let mut bytes = builder.build().unwrap().to_vec();
            for (place, byte) in edits {
                let place = place % bytes.len();
                bytes[place] = byte;
            }
            fuzz_batch_header(&bytes);
            fuzz_record_walk(&bytes);
            fuzz_batch_header(&bytes[..bytes.len() / 2]);
            fuzz_record_walk(&bytes[..bytes.len() / 2]);
        }
    }
}
