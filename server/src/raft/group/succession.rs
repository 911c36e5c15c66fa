//! Groups whose leader's broker is gone: they elect another as soon as nobody has to keep to the old one any more, one member
//! after the other, instead of waiting for election timeouts that may coincide. What is begun is a pre-vote: if the leader is
//! there after all, nothing happens. Not here: who notices that a broker is gone.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    super::{replica::Replica, role::Role, storage::ReplicaKey},
    groups::{Group, Groups},
    status::metrics,
};

/// How long after one member of a group the next one tries: longer than most elections.
const TURN: Duration = Duration::from_millis(150);
/// Groups begin within so long of each other: many at once would stand in each other's way.
const SPREAD_MS: u64 = 50;
/// Until all members may try again.
const ROUND: Duration = Duration::from_millis(400);
/// After these, election timeouts decide.
const ROUNDS: u32 = 5;

/// A member of a group that lost its leader.
struct Heir {
    group: Arc<Group>,
    replica: Arc<Replica>,
    /// How long it lets others go first.
    wait: Duration,
    /// In which it lost it.
    epoch: i32,
}

impl Groups {
    /// The connections of a broker broke: finds new leaders for the groups that it led. Resolves when they have one, as far as this
    /// broker can see to it.
    pub async fn succeed(&self, broker: i32) {
        let mut heirs: Vec<Heir> = self.heirs(broker);
        heirs.sort_unstable_by_key(|heir| heir.wait);
        let mut begin = Instant::now() + self.timing().lease();
        for _ in 0..ROUNDS {
            if heirs.is_empty() {
                return;
            }
            for heir in &heirs {
                sleep_until(begin + heir.wait).await;
                heir.try_to_lead(broker).await;
            }
            begin += ROUND;
            sleep_until(begin).await;
            heirs.retain_mut(|heir| heir.is_still_needed(broker));
        }
    }

    fn heirs(&self, broker: i32) -> Vec<Heir> {
        let led = self.all_running().into_iter().filter(|(_, (_, replica))| follows(replica.role(), broker));
        let heir = |(key, (group, replica)): (ReplicaKey, (Arc<Group>, Arc<Replica>))| {
            let (wait, epoch) = (wait(&key, &group, broker)?, replica.role().epoch());
            Some(Heir { group, replica, wait, epoch })
        };
        led.filter_map(heir).collect()
    }
}

fn follows(role: Role, broker: i32) -> bool {
    matches!(role, Role::Follower { leader: Some(leader), .. } if leader.broker() == broker)
}

fn is_leaderless(role: Role, gone: i32) -> bool {
    follows(role, gone) || matches!(role, Role::Follower { leader: None, .. })
}

/// When it is a member's turn; `None`: it has no vote. Another member begins in each partition, so that not one gets them all.
fn wait(key: &ReplicaKey, group: &Group, gone: i32) -> Option<Duration> {
    let known = metrics(&group.raft);
    let mut others: Vec<_> = known.membership_config.voter_ids().filter(|voter| voter.broker() != gone).collect();
    others.sort_unstable();
    let place = others.iter().position(|voter| *voter == group.node)?;
    let (topic_id, partition) = key;
    let number = topic_id.as_u64_pair().1.wrapping_add(u64::from(partition.unsigned_abs()));
    let first = usize::try_from(number % others.len() as u64).unwrap_or(0);
    let turn = (place + others.len() - first) % others.len();
    let spread = Duration::from_millis(number.wrapping_mul(7) % SPREAD_MS);
    Some(TURN * u32::try_from(turn).unwrap_or(u32::MAX) + spread)
}

impl Heir {
    fn is_still_needed(&mut self, gone: i32) -> bool {
        let role = self.replica.role();
        self.epoch = role.epoch();
        is_leaderless(role, gone)
    }

    /// Begins a pre-vote, unless an election is under way.
    async fn try_to_lead(&self, gone: i32) {
        let role = self.replica.role();
        if role.epoch() == self.epoch
            && is_leaderless(role, gone)
            && let Err(error) = self.group.raft.trigger().elect(true).await
        {
            tracing::debug!(%error, "no election: the group stopped");
        }
    }
}
