//! How a cluster begins. A broker with voters and an empty directory asks all of them; the voter with the lowest id forms
//! the cluster once every voter has answered that it belongs to none, and the others take the cluster's id from it.
//!
//! So a voter whose disk was lost is never mistaken for a new one: the others belong to a cluster already, their list of
//! directories lacks its own, and it joins as a learner under a new incarnation instead of voting without its memory.
//!
//! The data of a lone broker become those of a cluster in the same way: its broker, among the voters, is the first and only one
//! that votes, and the others join it with empty directories. Once there is a cluster, a list of voters only says whom to ask.
//!
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
    /// Who formed the cluster, each with its directory then; empty for a lone broker that has a cluster id.
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
    /// The data of this lone broker become those of a cluster, with this quorum.
    Grow(Vec<(i32, String)>),
    /// It cannot work; an operator must act.
    Refuse(String),
}

/// Judges what the other voters said so far. `voters` are all of them, this broker perhaps among them.
pub(super) fn judge(node_id: i32, own: &Hello, voters: &[i32], said: &BTreeMap<i32, Hello>) -> Verdict {
    for (id, hello) in said.iter().filter(|(_, hello)| hello.quorum.is_empty()) {
        if hello.voters != own.voters {
            return Verdict::Refuse(format!(
                "broker {id} was started with --voters {}, this one with {}: give all of them the same list",
                hello.voters, own.voters
            ));
        }
    }
    if !own.cluster_id.is_empty() {
        return judge_lone(node_id, own, voters, said);
    }
    let mut known = said.iter().filter(|(_, hello)| !hello.cluster_id.is_empty());
    if let Some((_, Hello { cluster_id, .. })) = known.next() {
        if let Some((id, hello)) = known.find(|(_, hello)| hello.cluster_id != *cluster_id) {
            return Verdict::Refuse(format!(
                "broker {id} belongs to cluster {}, others to {cluster_id}: give it a directory of its own",
                hello.cluster_id
            ));
        }
        let Some(Hello { quorum, .. }) = said.values().find(|hello| !hello.quorum.is_empty()) else {
            // a lone broker's data, which wait for the same as this broker
            return Verdict::Wait(Vec::new());
        };
        let (cluster_id, quorum) = (cluster_id.clone(), quorum.clone());
        let member = quorum.iter().any(|(id, directory)| *id == node_id && *directory == own.directory_id);
        return if member { Verdict::Formed { cluster_id, quorum } } else { Verdict::Join { cluster_id, quorum } };
    }
    let missing = missing(node_id, voters, said);
    if voters.iter().min() != Some(&node_id) || !missing.is_empty() {
        return Verdict::Wait(missing);
    }
    let mut quorum: Vec<(i32, String)> = said.iter().map(|(id, hello)| (*id, hello.directory_id.clone())).collect();
    quorum.push((node_id, own.directory_id.clone()));
    quorum.sort();
    Verdict::Form(quorum)
}

/// The same for a broker whose directory holds the data of a lone one.
fn judge_lone(node_id: i32, own: &Hello, voters: &[i32], said: &BTreeMap<i32, Hello>) -> Verdict {
    let Hello { cluster_id, directory_id, .. } = own;
    let refused = |why: String| Verdict::Refuse(format!("the directory holds the data of cluster {cluster_id}, {why}"));
    if let Some((id, other)) = said.iter().find(|(_, other)| !other.cluster_id.is_empty()) {
        return refused(match other.cluster_id == *cluster_id {
            // it was written down before anybody could join
            true => {
                format!("which broker {id} belongs to already: this is an older copy; start with an empty directory")
            }
            false => {
                format!("and broker {id} belongs to cluster {}: join it with an empty directory", other.cluster_id)
            }
        });
    }
    if !voters.contains(&node_id) {
        return refused(format!(
            "and --voters does not name broker {node_id}: name it to make a cluster of these data, or join another with an empty directory"
        ));
    }
    match missing(node_id, voters, said) {
        missing if missing.is_empty() => Verdict::Grow(vec![(node_id, directory_id.clone())]),
        missing => Verdict::Wait(missing),
    }
}

/// Voters that have not answered.
fn missing(node_id: i32, voters: &[i32], said: &BTreeMap<i32, Hello>) -> Vec<i32> {
    voters.iter().filter(|id| **id != node_id && !said.contains_key(id)).copied().collect()
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

    fn lone(id: i32, cluster_id: &str) -> Hello {
        Hello { cluster_id: cluster_id.into(), ..fresh(id) }
    }

    #[test]
    fn a_lone_brokers_data_become_a_clusters_once_all_voters_are_known_to_be_empty() {
        let said = |hellos: &[(i32, Hello)]| hellos.iter().cloned().collect::<BTreeMap<_, _>>();
        let alone = vec![(1, "d1".to_owned())];
        assert_eq!(judge(1, &lone(1, "c"), &[1], &said(&[])), Verdict::Grow(alone.clone()));
        let second = lone(2, "c");
        assert_eq!(judge(2, &second, &VOTERS, &said(&[(1, fresh(1))])), Verdict::Wait(vec![3]));
        let all = said(&[(1, fresh(1)), (3, fresh(3))]);
        assert_eq!(judge(2, &second, &VOTERS, &all), Verdict::Grow(vec![(2, "d2".to_owned())]));
        // the lowest voter does not form another one meanwhile, and joins then
        assert_eq!(judge(1, &fresh(1), &VOTERS, &said(&[(2, second), (3, fresh(3))])), Verdict::Wait(vec![]));
        let grown = Hello { quorum: alone.clone(), ..lone(1, "c") };
        let joins = Verdict::Join { cluster_id: "c".into(), quorum: alone };
        assert_eq!(judge(3, &fresh(3), &[1], &said(&[(1, grown)])), joins);
    }

    #[test]
    fn data_of_two_clusters_never_come_together() {
        let said = |id: i32, hello: Hello| BTreeMap::from([(id, hello)]);
        let refused = |verdict: Verdict| match verdict {
            Verdict::Refuse(why) => why,
            other => panic!("{other:?}"),
        };
        let other = refused(judge(1, &lone(1, "mine"), &VOTERS, &said(2, lone(2, "theirs"))));
        assert!(other.contains("cluster mine") && other.contains("broker 2 belongs to cluster theirs"), "{other}");
        let joins = refused(judge(4, &lone(4, "mine"), &VOTERS, &said(1, formed(1))));
        assert!(joins.contains("cluster mine") && joins.contains("cluster c"), "{joins}");
        assert!(refused(judge(4, &lone(4, "mine"), &VOTERS, &said(1, fresh(1)))).contains("does not name broker 4"));
        assert!(refused(judge(1, &lone(1, "c"), &VOTERS, &said(2, formed(2)))).contains("older copy"));
    }

    #[test]
    fn who_is_formed_is_only_asked_whatever_its_list_says() {
        let other_list = Hello { voters: "other".into(), ..formed(2) };
        let verdict = judge(9, &fresh(9), &VOTERS, &BTreeMap::from([(2, other_list)]));
        assert!(matches!(verdict, Verdict::Join { .. }), "{verdict:?}");
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
