//! Fetch sessions: made, continued, changed, forgotten, closed, and mistaken.

use kafka_protocol::messages::{
    FetchRequest,
    fetch_request::{FetchTopic, ForgottenTopic},
};

use super::{
    fetch::{partition, request},
    producing::{append, batch, create, text},
};
use crate::peer::Peer;

const VERSION: i16 = 11;

pub fn tell(peer: &mut Peer) {
    create(peer, "session-a", 2, &[]);
    create(peer, "session-b", 1, &[]);
    append(peer, "session-a", batch(2));
    append(peer, "session-b", batch(3));
    let mut all = request(peer, "session-a", vec![partition(0, 0), partition(1, 0)]).with_session_epoch(0);
    all.topics.extend(request(peer, "session-b", vec![partition(0, 0)]).topics);
    let session = peer.ask("Fetch session, made", &all, VERSION).map_or(0, |response| response.session_id);
    let within = |epoch: i32, topics: Vec<FetchTopic>, wait: i32| -> FetchRequest {
        all.clone().with_session_id(session).with_session_epoch(epoch).with_topics(topics).with_max_wait_ms(wait)
    };
    peer.ask("Fetch session, nothing changed but all to read", &within(1, vec![], 0), VERSION);
    let further = request(peer, "session-a", vec![partition(0, 2)]).topics;
    peer.ask("Fetch session, one partition further", &within(2, further, 0), VERSION);
    let further = request(peer, "session-b", vec![partition(0, 3)]).topics;
    peer.ask("Fetch session, all at the end", &within(3, further, 50), VERSION);
    append(peer, "session-b", batch(1));
    peer.ask("Fetch session, one has news", &within(4, vec![], 50), VERSION);
    let forgotten = ForgottenTopic::default().with_topic(peer.topic("session-b")).with_partitions(vec![0]);
    let forget = within(5, vec![], 0).with_forgotten_topics_data(vec![forgotten]);
    peer.ask("Fetch session, one forgotten", &forget, VERSION);
    let bad = request(peer, "session-a", vec![partition(0, 99)]).topics;
    peer.ask("Fetch session, past the end", &within(6, bad, 50), VERSION);
    peer.ask("Fetch session, past the end again", &within(7, vec![], 50), VERSION);
    let unknown = request(peer, "nobody", vec![partition(0, 0)]).topics;
    peer.ask("Fetch session, an unknown topic", &within(8, unknown, 50), VERSION);
    peer.ask("Fetch session, an epoch twice", &within(8, vec![], 0), VERSION);
    peer.ask("Fetch session, an epoch skipped", &within(20, vec![], 0), VERSION);
    peer.ask("Fetch session, closed", &within(-1, vec![], 0), VERSION);
    peer.ask("Fetch session, continued after its end", &within(9, vec![], 0), VERSION);
    let nobody = all.clone().with_session_id(123_456).with_session_epoch(1).with_topics(vec![]);
    peer.ask("Fetch session, an unknown id", &nobody, VERSION);
    let nobody = all.clone().with_session_id(123_456).with_session_epoch(0);
    peer.ask("Fetch session, an unknown id that starts anew", &nobody, VERSION);
    let odd = all.clone().with_session_id(0).with_session_epoch(5);
    peer.ask("Fetch session, id 0 with an epoch", &odd, VERSION);
    by_id(peer);
}

fn by_id(peer: &mut Peer) {
    let id = create(peer, "session-c", 1, &[]);
    append(peer, "session-c", batch(2));
    let mut made = request(peer, "session-c", vec![partition(0, 0)]).with_session_epoch(0);
    made.topics[0].topic = text("").into();
    made.topics[0].topic_id = id;
    let session = peer.ask("Fetch session v13, made", &made, 13).map_or(0, |response| response.session_id);
    let mut next = made.clone().with_session_id(session).with_session_epoch(1);
    next.topics.clear();
    peer.ask("Fetch session v13, continued", &next, 13);
    let named = request(peer, "session-c", vec![partition(0, 0)]).with_session_id(session).with_session_epoch(2);
    peer.ask("Fetch session v13, continued by name", &named, 12);
}
