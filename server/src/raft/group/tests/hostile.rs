//! Requests that are not what they claim: refused, and the group goes on as if they had not come.

use bytes::Bytes;
use futures_util::FutureExt;

use super::{
    super::{
        config::Vote,
        message::{self, Fields, Head, Kind},
    },
    cluster::*,
    *,
};
use crate::{os::random::Random, raft::ServeError};

fn head(kind: Kind, to: NodeId) -> Head {
    Head { key: KEY, kind, to }
}

fn vote_request(term: u64, from: NodeId) -> Bytes {
    let request = openraft::raft::VoteRequest::new(Vote::new(term, from), None);
    Bytes::from(message::vote(head(Kind::Vote, node(1)), &request).concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_change_nothing() {
    let cluster = Cluster::of(1).await;
    cluster.write_somewhere(0).await;
    let broker = &cluster.running[&1];
    let (term, other) = (broker.replica.role().epoch(), NodeId::new(2, 1));
    let refused = |body: Bytes| broker.groups.serve(other, body).now_or_never().expect("judged at once").unwrap_err();
    assert!(matches!(refused(vote_request(u64::MAX, other)), ServeError::Malformed(_)));
    assert!(matches!(refused(vote_request(1 << 31, other)), ServeError::Malformed(_)));
    assert!(matches!(refused(vote_request(9, NodeId::new(3, 1))), ServeError::Malformed(_)), "it speaks for another");
    let whole = vote_request(9, other);
    for len in 0..whole.len() {
        assert!(matches!(refused(whole.slice(..len)), ServeError::Malformed(_)), "{len} bytes");
    }
    assert!(matches!(refused(Bytes::from([&whole[..], b"x"].concat())), ServeError::Malformed(_)));
    let mut elsewhere = whole.to_vec();
    elsewhere[28] ^= 1;
    assert_eq!(refused(Bytes::from(elsewhere)), ServeError::NoSuchMember, "another incarnation");
    let mut topic = whole.to_vec();
    topic[0] ^= 1;
    assert_eq!(refused(Bytes::from(topic)), ServeError::NoSuchMember);

    // an append that claims more than it has, and frames that are bad in each byte
    let frames = broker.replica.look(|log| log.frames(2, 3, crate::log::FrameBytes::Whole(1 << 20))).unwrap().unwrap();
    let append = |count: u32, frame: &[u8]| {
        let request = openraft::raft::AppendEntriesRequest {
            vote: Vote::new_committed(20, other),
            prev_log_id: None,
            entries: Vec::new(),
            leader_commit: None,
        };
        let mut body = message::append(head(Kind::Append, node(1)), request).concat();
        let at = body.len() - 4;
        body[at..].copy_from_slice(&count.to_be_bytes());
        body.extend_from_slice(frame);
        Bytes::from(body)
    };
    let frame = &frames[0].bytes;
    for count in [2, 1000, u32::MAX] {
        assert!(matches!(refused(append(count, frame)), ServeError::Malformed(_)), "{count} entries");
    }
    for at in (8..12).chain(16..frame.len()) {
        let mut bad = frame.to_vec();
        bad[at] ^= 0x40;
        assert!(matches!(refused(append(1, &bad)), ServeError::Malformed(_)), "byte {at}");
    }
    let random = Random::seeded(1);
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.u64() as u8).collect();
        let mut body = whole[..29].to_vec();
        body[20] = random.below(9) as u8;
        body.extend(bytes);
        // most are refused; one that happens to be whole is judged by openraft
        drop(broker.groups.serve(other, Bytes::from(body)).await);
    }
    let mut fields = Fields(Bytes::from_static(&[0; 3]));
    assert!(fields.u64().is_err());
    assert!(broker.replica.role().leads() && broker.replica.role().epoch() >= term);
    cluster.write_somewhere(1).await;
    assert_eq!(rounds(cluster.replica(1)), [0, 1]);
}
