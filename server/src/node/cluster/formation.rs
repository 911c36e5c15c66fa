//! How a cluster begins. A broker with voters and an empty directory asks all of them; the voter with the lowest id forms
//! the cluster once every voter has answered that it belongs to none, and the others take the cluster's id from it.
//!
//! So a voter whose disk was lost is never mistaken for a new one: the others belong to a cluster already, their list of
//! directories lacks its own, and it joins as a learner under a new incarnation instead of voting without its memory.
//! Pure: it is told what the peers say. Not here: asking them, and what is written down (`raft::MetaProperties`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The longest hello that is read.
const HELLO_BYTES_MAX: usize = 64 * 1024;

/// What a broker says of itself to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    /// Empty: it belongs to none yet.
    pub cluster_id: String,
    pub directory_id: String,
    /// `1@host:port,…`, as it was told at start.
    pub voters: String,
    /// Who formed the cluster, each with its directory then.
    pub quorum: Vec<(i32, String)>,
}

impl Hello {
    pub fn encode(&self) -> Vec<u8> {
        let quorum: Vec<Value> = self.quorum.iter().map(|(id, directory)| json!([id, directory])).collect();
        let (cluster, directory, voters) = (&self.cluster_id, &self.directory_id, &self.voters);
        json!({ "cluster": cluster, "directory": directory, "voters": voters, "quorum": quorum })
            .to_string()
            .into_bytes()
    }

    /// `None` for anything that is no hello.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes.get(..HELLO_BYTES_MAX.min(bytes.len()))?).ok()?;
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let member = |member: &Value| Some((i32::try_from(member[0].as_i64()?).ok()?, member[1].as_str()?.to_owned()));
        let quorum = value["quorum"].as_array()?.iter().map(member).collect::<Option<Vec<_>>>()?;
        Some(Self { cluster_id: text("cluster")?, directory_id: text("directory")?, voters: text("voters")?, quorum })
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask again; these have not answered, or wait themselves.
    Wait(Vec<i32>),
    /// This broker forms the cluster, with this quorum.
    Form(Vec<(i32, String)>),
    /// The cluster was formed with this directory in it.
    Formed { cluster_id: String, quorum: Vec<(i32, String)> },
    /// The cluster was formed without it.
    Join { cluster_id: String, quorum: Vec<(i32, String)> },
    /// It cannot work; an operator must act.
    Refuse(String),
}

/// Judges what the other voters said so far. `voters` are all of them, this broker perhaps among them.
pub(super) fn judge(node_id: i32, own: &Hello, voters: &[i32], said: &BTreeMap<i32, Hello>) -> Verdict {
    for (id, hello) in said {
        if hello.voters != own.voters {
            return Verdict::Refuse(format!(
                "broker {id} was started with --voters {}, this one with {}: give all of them the same list",
                hello.voters, own.voters
            ));
        }
    }
    let formed = said.values().find(|hello| !hello.cluster_id.is_empty());
    if let Some(Hello { cluster_id, quorum, .. }) = formed {
        let other = said.iter().find(|(_, hello)| !hello.cluster_id.is_empty() && hello.cluster_id != *cluster_id);
        if let Some((id, hello)) = other {
            return Verdict::Refuse(format!(
                "broker {id} belongs to cluster {}, others to {cluster_id}: give it a directory of its own",
                hello.cluster_id
            ));
        }
        let (cluster_id, quorum) = (cluster_id.clone(), quorum.clone());
        let member = quorum.iter().any(|(id, directory)| *id == node_id && *directory == own.directory_id);
        return if member { Verdict::Formed { cluster_id, quorum } } else { Verdict::Join { cluster_id, quorum } };
    }
    let missing: Vec<i32> = voters.iter().filter(|id| **id != node_id && !said.contains_key(id)).copied().collect();
    if voters.iter().min() != Some(&node_id) || !missing.is_empty() {
        return Verdict::Wait(missing);
    }
    let mut quorum: Vec<(i32, String)> = said.iter().map(|(id, hello)| (*id, hello.directory_id.clone())).collect();
    quorum.push((node_id, own.directory_id.clone()));
    quorum.sort();
    Verdict::Form(quorum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VOTERS: [i32; 3] = [1, 2, 3];

    fn fresh(id: i32) -> Hello {
        Hello { cluster_id: String::new(), directory_id: format!("d{id}"), voters: "list".into(), quorum: Vec::new() }
    }

    fn formed(id: i32) -> Hello {
        let quorum = VOTERS.map(|id| (id, format!("d{id}"))).to_vec();
        Hello { cluster_id: "c".into(), quorum, ..fresh(id) }
    }

    #[test]
    fn the_lowest_voter_forms_the_cluster_once_all_have_answered() {
        let said = |ids: &[i32]| ids.iter().map(|id| (*id, fresh(*id))).collect();
        assert_eq!(judge(1, &fresh(1), &VOTERS, &said(&[2])), Verdict::Wait(vec![3]));
        assert_eq!(judge(1, &fresh(1), &VOTERS, &said(&[2, 3])), Verdict::Form(formed(1).quorum));
        assert_eq!(judge(2, &fresh(2), &VOTERS, &said(&[1, 3])), Verdict::Wait(vec![]));
        assert_eq!(judge(9, &fresh(9), &VOTERS, &said(&[1, 2, 3])), Verdict::Wait(vec![]), "no voter forms nothing");
        assert!(matches!(judge(1, &fresh(1), &[1], &said(&[])), Verdict::Form(quorum) if quorum.len() == 1));
    }

    #[test]
    fn the_others_follow_and_a_lost_disk_joins_anew() {
        let said = BTreeMap::from([(1, formed(1))]);
        let quorum = formed(1).quorum;
        let cluster_id = "c".to_owned();
        assert_eq!(
            judge(2, &fresh(2), &VOTERS, &said),
            Verdict::Formed { cluster_id: cluster_id.clone(), quorum: quorum.clone() }
        );
        let wiped = Hello { directory_id: "new".into(), ..fresh(2) };
        assert_eq!(
            judge(2, &wiped, &VOTERS, &said),
            Verdict::Join { cluster_id: cluster_id.clone(), quorum: quorum.clone() }
        );
        // the founder too
        let said = BTreeMap::from([(2, formed(2)), (3, fresh(3))]);
        let wiped = Hello { directory_id: "new".into(), ..fresh(1) };
        assert_eq!(judge(1, &wiped, &VOTERS, &said), Verdict::Join { cluster_id, quorum });
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        let other_list = Hello { voters: "other".into(), ..fresh(2) };
        let refused = judge(1, &fresh(1), &VOTERS, &BTreeMap::from([(2, other_list)]));
        assert!(matches!(refused, Verdict::Refuse(why) if why.contains("broker 2")));
        let other_cluster = Hello { cluster_id: "x".into(), ..formed(3) };
        let refused = judge(1, &fresh(1), &VOTERS, &BTreeMap::from([(2, formed(2)), (3, other_cluster)]));
        assert!(matches!(refused, Verdict::Refuse(why) if why.contains("broker 3")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Hello::decode(&bytes);
        }
    }

    #[test]
    fn a_hello_comes_back_as_it_was_sent() {
        assert_eq!(Hello::decode(&formed(2).encode()), Some(formed(2)));
        assert_eq!(Hello::decode(b"{}"), None);
    }
}
