//! How long from the moment a record is due to its ack, and to its reader, at a steady 1,000 records a second?
//!
//! Budget: end to end p50 ≤ 0.4 ms and p99 ≤ 2 ms from the page cache, p50 ≤ 1 ms synced, p50 ≤ 2 ms synced on two of three; server CPU for a record ≤ 1.4 ×
//! the floor in the same run. Times run from the scheduled moment: a stall counts for every record it held up.
#![allow(clippy::disallowed_methods, reason = "a bench reads the real clock and the real disk")]

mod floor;
mod rig;

use std::process::ExitCode;

use rig::{Durability, Failure, Kind, Meter, Options, Series, Server, Topics, Unit};

const NAME: &str = "1,000 records of 100 B a second";
const RECORDS_PER_S: u32 = 1000;

fn main() -> ExitCode {
    rig::bench("end_to_end_latency: ack and end to end, 1,000 records a second, librdkafka, acks=all", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    for durability in [Durability::PageCache, Durability::Synced, Durability::Majority] {
        if options.wants(durability.name()) {
            Series::take(|series| rounds(options, durability, series))?;
        }
    }
    Ok(())
}

fn rounds(options: &Options, durability: Durability, series: &mut Series) -> Result<(), Failure> {
    const MS: Unit = Unit { name: "", digits: 2, ratio: false };
    let kinds = [durability.floor(), Kind::Tidemark, Kind::Kafka];
    // with a sync for each message Kafka falls behind this rate by the second
    let kinds = kinds.into_iter().filter(|kind| *kind != Kind::Kafka || options.kafka);
    let servers =
        kinds.map(|kind| Server::start_nodes(kind, durability.nodes(), options)).collect::<Result<Vec<_>, _>>()?;
    for round in 0..=options.rounds {
        for server in &servers {
            let topic = rig::fresh_name("latency");
            let topics = Topics::of(server)?;
            topics.create(&topic, 1, durability, &[])?;
            rig::settle(false)?;
            let meter = Meter::start(server)?;
            let (ack, end_to_end) = rig::at_fixed_rate(server, &topic, RECORDS_PER_S, options.seconds)?;
            let used = meter.used()?;
            topics.delete(&topic)?;
            if round == 0 {
                continue;
            }
            let records = f64::from(RECORDS_PER_S) * (options.seconds + 1) as f64;
            let mut add = |unit, value| series.add(NAME, Some(durability), server.kind, unit, value);
            add(Unit { name: "ack p50 ms", ..MS }, ack.quantile(0.5));
            add(Unit { name: "ack p99 ms", ..MS }, ack.quantile(0.99));
            add(Unit { name: "end to end p50 ms", ..MS }, end_to_end.quantile(0.5));
            add(Unit { name: "end to end p99 ms", ..MS }, end_to_end.quantile(0.99));
            add(Unit { name: "CPU µs/record", digits: 0, ratio: true }, used.server_s * 1e6 / records);
            add(Unit::OTHERS, used.others_share());
        }
    }
    Ok(())
}
