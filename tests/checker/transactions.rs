//! Transactions: what reads say about who came before whom. Facts are gathered while lines come, judged at the end.

use super::{
    anomaly::Anomaly,
    cycle::{self, Graph},
    key_log::Keys,
    line::Kind,
    sends::{NO_TXN, NOWHERE, Sends, Sent},
    tally::Tally,
};

/// One transaction.
#[derive(Debug)]
pub(super) struct Txn {
    /// Index of the line that began it.
    pub(super) invoke: u64,
    pub(super) outcome: Kind,
    /// Its values in `Sends`: the first, and how many.
    pub(super) sends: (u32, u32),
    /// Transactions whose values it polled.
    pub(super) read_from: Vec<u32>,
}

impl Txn {
    fn sent<'a>(&self, sends: &'a Sends) -> &'a [Sent] {
        let (first, count) = (self.sends.0 as usize, self.sends.1 as usize);
        sends.all.get(first..first + count).unwrap_or_default()
    }

    /// Ok, or unknown with a value that was seen.
    pub(super) fn is_committed(&self, sends: &Sends) -> bool {
        match self.outcome {
            Kind::Ok => true,
            Kind::Info | Kind::Invoke => self.sent(sends).iter().any(|sent| sent.seen),
            Kind::Fail => false,
        }
    }
}

/// All the tests that are about transactions.
pub(super) fn judge(txns: &[Txn], sends: &Sends, keys: &Keys, read_to_the_end: bool, tally: &mut Tally) {
    if txns.is_empty() {
        return;
    }
    inside(txns, sends, keys, tally);
    if read_to_the_end {
        torn(txns, sends, keys, tally);
    }
    let committed: Vec<_> = txns.iter().map(|txn| txn.is_committed(sends)).collect();
    cycles(Anomaly::G1c, &reads(txns, &committed), txns, tally);
    cycles(Anomaly::G0, &writes(sends, keys, &committed), txns, tally);
}

/// A transaction of which a value was seen, and another was not although its key was read to the end.
fn torn(txns: &[Txn], sends: &Sends, keys: &Keys, tally: &mut Tally) {
    for txn in txns {
        let sent = txn.sent(sends);
        let Some(seen) = sent.iter().find(|sent| sent.seen) else { continue };
        let gone = |sent: &Sent| {
            let start = keys.logs[sent.key as usize].start;
            start > 0 && (sent.offset == NOWHERE || sends.last_offset(sent) < start)
        };
        for missing in sent.iter().filter(|sent| !sent.seen && !gone(sent)) {
            tally.found(Anomaly::TornTxn, Some(txn.invoke), place(seen), || {
                format!(
                    "value {} of a transaction was seen, {} to {} was not",
                    seen.value,
                    missing.value,
                    keys.name(missing.key)
                )
            });
        }
    }
}

pub(super) fn place(sent: &Sent) -> Option<(u32, i64)> {
    (sent.offset != NOWHERE).then_some((sent.key, sent.offset))
}

/// Order and neighbourhood of one transaction's own sends.
fn inside(txns: &[Txn], sends: &Sends, keys: &Keys, tally: &mut Tally) {
    for txn in txns.iter().filter(|txn| txn.is_committed(sends)) {
        let sent: Vec<_> = txn.sent(sends).iter().filter(|sent| sent.offset != NOWHERE).collect();
        for (place_later, later) in sent.iter().enumerate() {
            let Some(earlier) = sent[..place_later].iter().rfind(|earlier| earlier.key == later.key) else { continue };
            if later.offset <= earlier.offset {
                tally.found(Anomaly::IntNonmonotonicSend, Some(txn.invoke), place(later), || {
                    format!("value {} was sent behind {} and lies before it", later.value, earlier.value)
                });
            } else if let Some((offset, value)) = keys.logs[later.key as usize].between(earlier.offset, later.offset) {
                tally.found(Anomaly::IntSendSkip, Some(txn.invoke), Some((later.key, offset)), || {
                    format!("value {value} lies between {} and {}", earlier.value, later.value)
                });
            }
        }
    }
}

/// Writer → reader.
fn reads(txns: &[Txn], committed: &[bool]) -> Graph {
    let mut graph = Graph::new();
    let readers = txns.iter().enumerate().filter(|(reader, _)| committed[*reader]);
    for (reader, txn) in readers {
        for writer in txn.read_from.iter().copied().filter(|writer| committed[*writer as usize]) {
            graph.entry(writer).or_default().push(reader as u32);
        }
    }
    graph
}

/// Neighbours in a key's log.
fn writes(sends: &Sends, keys: &Keys, committed: &[bool]) -> Graph {
    let mut graph = Graph::new();
    for log in &keys.logs {
        let mut before = NO_TXN;
        for (_, value) in log.values() {
            let txn = sends.get(value).map_or(NO_TXN, |sent| sent.txn);
            if txn == NO_TXN || !committed[txn as usize] {
                continue;
            }
            if before != NO_TXN && before != txn {
                graph.entry(before).or_default().push(txn);
            }
            before = txn;
        }
    }
    graph
}

fn cycles(anomaly: Anomaly, graph: &Graph, txns: &[Txn], tally: &mut Tally) {
    for component in cycle::components(graph) {
        let cycle = cycle::shortest(graph, &component);
        let lines: Vec<_> = cycle.iter().map(|txn| txns[*txn as usize].invoke).collect();
        tally.found(anomaly, lines.first().copied(), None, || {
            format!("transactions begun at lines {lines:?}, in a ring")
        });
    }
}
