//! The last look: brokers end, and what they left on disk is compared, batch by batch. Findings become lines of the history.

use super::{client::Key, fleet::Fleet, recorder::Recorder};
use crate::checker::{Event, Replica, compare_directories};

/// Ends all brokers and compares every key over those that hold it, up to the highest offset that anybody was told. All
/// replicas must have caught up before. Gives the number of logs that were read.
pub fn compare_replicas(fleet: &mut Fleet, keys: &[Key], recorder: &Recorder) -> usize {
    fleet.terminate_all();
    let mut compared = 0;
    for key in keys {
        let name = key.to_string();
        let Some(highest) = recorder.highest(&name) else { continue };
        let replica = |node| Replica { name: format!("replica {node}"), data: fleet.data(node).clone() };
        let replicas: Vec<_> =
            (0..fleet.len()).map(replica).filter(|replica| replica.data.join(&name).is_dir()).collect();
        compared += replicas.len();
        let details = match compare_directories(&replicas, &key.topic, key.partition, highest + 1) {
            Ok(divergences) => divergences.iter().map(ToString::to_string).collect(),
            Err(unreadable) => vec![unreadable],
        };
        let none = replicas.is_empty().then(|| "nobody holds it".to_owned());
        for detail in details.into_iter().chain(none) {
            recorder.event(Event::Divergence { key: name.clone(), detail });
        }
    }
    compared
}
