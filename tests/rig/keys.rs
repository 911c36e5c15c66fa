//! The keys of a run: all that were made, and the few that live at the moment. Topics rotate: the oldest goes when the next
//! comes.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{client::Key, random::Random};

/// Topics that live at once.
const LIVE_TOPICS: usize = 3;

/// Keys, shared by all processes.
#[derive(Debug)]
pub struct LiveKeys {
    topics: Vec<String>,
    partitions: i32,
    oldest: AtomicUsize,
}

impl LiveKeys {
    /// Topics that exist, each with so many partitions.
    pub fn new(topics: Vec<String>, partitions: i32) -> Self {
        Self { topics, partitions, oldest: AtomicUsize::new(0) }
    }

    /// The next topic replaces the oldest, round and round.
    pub fn rotate(&self) {
        self.oldest.fetch_add(1, Ordering::Relaxed);
    }

    /// Keys that are written to now.
    pub fn live(&self) -> Vec<Key> {
        let oldest = self.oldest.load(Ordering::Relaxed);
        let live = LIVE_TOPICS.min(self.topics.len());
        self.of((0..live).map(|place| &self.topics[(oldest + place) % self.topics.len()]))
    }

    /// One of them.
    pub fn any_live(&self, random: &mut Random) -> Key {
        let mut live = self.live();
        live.swap_remove(random.below(live.len() as u64) as usize)
    }

    /// Every key of the run.
    pub fn all(&self) -> Vec<Key> {
        self.of(self.topics.iter())
    }

    /// Their topics.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    fn of<'a>(&self, topics: impl Iterator<Item = &'a String>) -> Vec<Key> {
        topics.flat_map(|topic| (0..self.partitions).map(|partition| Key { topic: topic.clone(), partition })).collect()
    }
}
