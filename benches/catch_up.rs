//! What does it cost to read a log from its start, from the page cache?
//!
//! Budget: server CPU ≤ 1.15 × the floor in the same run, at ≥ 90 % of its MB/s.
#![allow(clippy::disallowed_methods, reason = "a bench reads the real clock and the real disk")]

mod floor;
mod rig;

use std::process::ExitCode;

use rig::{Durability, Failure, Kind, Meter, Options, Series, Server, Shape, Topics, Unit};

const SHAPE: Shape = Shape { name: "", value_bytes: 1024, batch_bytes: 1_000_000, partitions: 1, mb: 1000 };
const NAME: &str = "catch-up read, page-cached";
const TOPIC: &str = "history";
const WARM_UPS: usize = 3;
/// Reads in one repetition: one alone takes about a second, and the scheduler's moods show.
const READS: usize = 3;

fn main() -> ExitCode {
    rig::bench("catch_up: server CPU per gigabyte read from the start, librdkafka", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    Series::take(|series| rounds(options, series))
}

fn rounds(options: &Options, series: &mut Series) -> Result<(), Failure> {
    let shape = Shape { mb: options.mb.unwrap_or(SHAPE.mb), ..SHAPE };
    let kinds = [Kind::Floor, Kind::Tidemark, Kind::Kafka];
    let kinds = kinds.into_iter().filter(|kind| options.kafka || *kind != Kind::Kafka);
    let mut servers = Vec::new();
    for kind in kinds {
        let server = Server::start(kind, options)?;
        Topics::of(&server)?.create(TOPIC, shape.partitions, Durability::PageCache, &[])?;
        let bytes = rig::produce(&server, TOPIC, &shape)?;
        rig::settle(!options.no_touch)?;
        for _ in 0..if kind == Kind::Kafka { WARM_UPS } else { 1 } {
            rig::consume(&server, TOPIC, shape.partitions, bytes)?;
        }
        servers.push((server, bytes));
    }
    for _ in 0..options.rounds {
        for (server, bytes) in &servers {
            let meter = Meter::start(server)?;
            for _ in 0..READS {
                rig::consume(server, TOPIC, shape.partitions, *bytes)?;
            }
            let (used, gigabytes) = (meter.used()?, (READS as u64 * *bytes) as f64 / 1e9);
            let mut add = |unit, value| series.add(NAME, None, server.kind, unit, value);
            add(Unit::MB_PER_S, gigabytes * 1e3 / used.wall_s);
            add(Unit::CPU_S_PER_GB, used.server_s / gigabytes);
            add(Unit { name: "client CPU s/GB", digits: 2, ratio: false }, used.own_s / gigabytes);
            add(Unit::OTHERS, used.others_share());
        }
    }
    Ok(())
}
