//! The end of a run: no fault, nobody writes, and a fresh process of every kind reads all keys from their starts to the
//! highest offset that anybody was told.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    client::{Factory, Key, Start},
    recorder::Recorder,
    workload::{latest, poll},
};
use crate::checker::{Event, Function, Kind, State};

const POLL_WAIT: Duration = Duration::from_millis(200);
/// Between attempts of a process that cannot connect or assign.
const PAUSE: Duration = Duration::from_millis(200);

/// Reads everything with each kind of client. The history says that the phase ended only if all came to the end before
/// `limit`; the checker judges one that did not.
pub fn final_phase(recorder: &Recorder, factories: &[Arc<dyn Factory>], keys: &[Key], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    recorder.event(Event::Final(State::Begin));
    let all = factories.iter().all(|factory| read_all(recorder, &**factory, keys, deadline));
    if all {
        recorder.event(Event::Final(State::End));
    }
    all
}

fn read_all(recorder: &Recorder, factory: &dyn Factory, keys: &[Key], deadline: Instant) -> bool {
    let process = recorder.new_process();
    let client = factory.name();
    let mut session = loop {
        match factory.connect() {
            Ok(session) => break session,
            Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Err(_) => return false,
        }
    };
    let reader = &mut *session.reader;
    // what was acknowledged without an offset lies below LATEST too
    let mut wanted: HashMap<Key, i64> = HashMap::new();
    for key in keys {
        let known = recorder.highest(&key.to_string()).unwrap_or(-1);
        let end = loop {
            match latest(recorder, (process, client), reader, key) {
                Some(end) => break end,
                None if Instant::now() < deadline => std::thread::sleep(PAUSE),
                None => return false,
            }
        };
        if known.max(end - 1) >= 0 {
            wanted.insert(key.clone(), known.max(end - 1));
        }
    }
    let starts: Vec<_> = keys.iter().map(|key| (key.clone(), Start::Earliest)).collect();
    let mut assigned = false;
    while !wanted.is_empty() {
        if Instant::now() >= deadline {
            return false;
        }
        if !assigned {
            let invoke = recorder.invoke(process, client, Function::Assign, Vec::new());
            let outcome = reader.assign(&starts);
            assigned = outcome.is_ok();
            let kind = if assigned { Kind::Ok } else { Kind::Fail };
            recorder.end((process, Function::Assign, invoke), kind, Vec::new(), outcome.err());
        }
        match poll(recorder, (process, client), reader, POLL_WAIT) {
            Ok(ends) => {
                for (key, last) in ends {
                    if wanted.get(&key).is_some_and(|end| last >= *end) {
                        wanted.remove(&key);
                    }
                }
            }
            Err(_) => {
                assigned = false;
                std::thread::sleep(PAUSE);
            }
        }
    }
    true
}
