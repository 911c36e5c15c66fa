//! The list of stories, and the difference that is planted to see it found.

use super::{
    api_versions, configs, delete_records, fetch, fetch_sessions, idempotence, list_offsets, metadata, produce,
    producing, raw, replicas, topics,
};
use crate::peer::Peer;

/// A story and whether it can be told twice to one broker under another prefix.
pub struct Story {
    pub name: &'static str,
    pub tell: fn(&mut Peer),
    pub repeatable: bool,
}

const fn story(name: &'static str, tell: fn(&mut Peer)) -> Story {
    Story { name, tell, repeatable: true }
}

/// Every story.
pub const ALL: &[Story] = &[
    story("api_versions", api_versions::tell),
    story("raw", raw::tell),
    story("topics", topics::tell),
    Story { name: "metadata", tell: metadata::tell, repeatable: false },
    story("metadata of topics", metadata::tell_topics),
    story("replicas", replicas::tell),
    story("configs", configs::tell),
    story("produce", produce::tell),
    story("idempotence", idempotence::tell),
    story("fetch", fetch::tell),
    story("fetch_sessions", fetch_sessions::tell),
    story("list_offsets", list_offsets::tell),
    story("delete_records", delete_records::tell),
];

/// One broker has a record that the other lacks.
pub fn plant(one: &mut Peer, two: &mut Peer) {
    for (peer, records) in [(one, 1), (two, 2)] {
        producing::create(peer, "planted", 1, &[]);
        producing::append(peer, "planted", producing::batch(records));
        peer.answers.clear();
        let request = list_offsets::request(peer, "planted", -1, -1);
        peer.ask("planted", &request, 7);
    }
}
