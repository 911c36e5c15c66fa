//! Whatever is sent and however it is cut: what passes is what was sent, or nothing.

use std::sync::Arc;

use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
};

use super::{Exchange, Guarded};
use crate::BridgeConfig;

const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";

/// Sends pieces through a guard whose service answers at once; gives what passed.
fn passed(pieces: &[Vec<u8>]) -> (Vec<u8>, bool) {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(64);
        let exchange = Arc::new(Exchange::default());
        let mut guarded = Guarded::new(server, Arc::clone(&exchange), &BridgeConfig::default());
        let sending = async {
            for piece in pieces {
                if client.write_all(piece).await.is_err() {
                    break;
                }
            }
            drop(client);
        };
        let reading = async {
            let (mut all, mut piece) = (Vec::new(), [0; 97]);
            loop {
                match guarded.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(bytes) => all.extend(&piece[..bytes]),
                }
                exchange.answered();
                if exchange.refusal().is_some() && all.ends_with(REFUSED) {
                    break;
                }
            }
            drop(guarded);
            all
        };
        let ((), all) = tokio::join!(sending, reading);
        (all, exchange.refusal().is_some())
    })
}

fn cut(bytes: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        let (piece, behind) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    pieces
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec(any::<u8>(), 0..300);
    (body, 0..3, 1..50_usize).prop_map(|(body, kind, chunk)| match kind {
        0 => b"GET /healthy HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        1 => [format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body]
            .concat(),
        _ => {
            let mut bytes = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for piece in body.chunks(chunk) {
                bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
                bytes.extend(piece);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            bytes
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sound_requests_pass_unchanged(
        requests in proptest::collection::vec(request(), 1..5),
        sizes in proptest::collection::vec(1..80_usize, 1..6),
    ) {
        let bytes = requests.concat();
        prop_assert_eq!(passed(&cut(&bytes, &sizes)), (bytes, false));
    }

    #[test]
    fn damaged_requests_pass_up_to_the_damage(
        requests in proptest::collection::vec(request(), 1..4),
        sizes in proptest::collection::vec(1..80_usize, 1..6),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut bytes = requests.concat();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let (mut all, refused) = passed(&cut(&bytes, &sizes));
        if refused {
            prop_assert!(all.ends_with(REFUSED));
            all.truncate(all.len() - REFUSED.len());
        }
        // empty lines before a request are left out
        let without = |bytes: &[u8]| bytes.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect::<Vec<_>>();
        prop_assert!(without(&bytes).starts_with(&without(&all)));
    }

    #[test]
    fn noise_is_refused(bytes in proptest::collection::vec(any::<u8>(), 1..400)) {
        let (all, _) = passed(&[bytes]);
        prop_assert!(all.is_empty() || all == REFUSED);
    }
}
