//! A group's members as a frame says them. Not here: who decides them.
//!
//! ```text
//! 1 u8, configs u8, each: voters u16, ids u64…; members u16, ids u64…          big endian; two configs while they change
//! ```

use std::collections::{BTreeMap, BTreeSet};

use openraft::EmptyNode;

use super::{super::node_id::NodeId, config::GroupMembership};

const VERSION: u8 = 1;

/// The words of a membership frame behind its kind.
pub fn encode(membership: &GroupMembership) -> Vec<u8> {
    let configs = membership.get_joint_config();
    let mut out = vec![VERSION, configs.len() as u8];
    let put = |out: &mut Vec<u8>, ids: &mut dyn Iterator<Item = NodeId>| {
        let ids: Vec<NodeId> = ids.collect();
        out.extend_from_slice(&(ids.len() as u16).to_be_bytes());
        ids.iter().for_each(|id| out.extend_from_slice(&id.as_u64().to_be_bytes()));
    };
    configs.iter().for_each(|config| put(&mut out, &mut config.iter().copied()));
    put(&mut out, &mut membership.nodes().map(|(id, _)| *id));
    out
}

/// Reads such words; `None` for others, as those of a log that was alone.
pub fn decode(words: &[u8]) -> Option<GroupMembership> {
    let ([version, configs], mut rest) = words.split_first_chunk::<2>()?;
    if *version != VERSION {
        return None;
    }
    let configs: Option<Vec<BTreeSet<NodeId>>> = (0..*configs).map(|_| ids(&mut rest)).collect();
    let nodes: BTreeMap<NodeId, EmptyNode> = ids(&mut rest)?.into_iter().map(|id| (id, EmptyNode {})).collect();
    rest.is_empty().then_some(())?;
    GroupMembership::new(configs?, nodes).ok()
}

fn ids(rest: &mut &[u8]) -> Option<BTreeSet<NodeId>> {
    let (count, after) = rest.split_first_chunk::<2>()?;
    let (ids, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*count)) * 8)?;
    *rest = after;
    ids.chunks_exact(8).map(|id| Some(NodeId::from(u64::from_be_bytes(id.try_into().ok()?)))).collect()
}

/// A membership of voters only.
pub fn of_voters(voters: &[NodeId]) -> GroupMembership {
    GroupMembership::new_with_defaults(vec![voters.iter().copied().collect()], [])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_read_back_and_bad_words_do_not() {
        let id = |broker| NodeId::new(broker, 7);
        let joint = GroupMembership::new_with_defaults(
            vec![[id(1), id(2)].into(), [id(2), id(3), id(-1)].into()],
            [id(1), id(4)],
        );
        let words = encode(&joint);
        assert_eq!(decode(&words), Some(joint));
        for len in 0..words.len() {
            assert_eq!(decode(&words[..len]), None);
        }
        assert_eq!(decode(&[&words[..], b"x"].concat()), None);
        assert_eq!(decode(&1_u32.to_be_bytes()), None);
        assert_eq!(decode(&[1, 1, 0, 0, 0, 0]), None, "a config without voters");
    }
}
