//! How long after kill -9 until the first ack, with 1 GiB in the active segment? Is every acknowledged record there?
//!
//! Budget: ≤ 100 ms with a checkpoint (first gate: 1 s), no acknowledged record lost.
#![allow(clippy::disallowed_methods, reason = "a bench reads the real clock and the real disk")]

mod floor;
mod rig;

use std::{process::ExitCode, time::Instant};

use rig::{Durability, Failure, Kind, Options, Raw, Series, Server, Shape, Topics, Unit};

const TOPIC: &str = "long";
const SHAPE: Shape = Shape { name: "", value_bytes: 1024, batch_bytes: 1_000_000, partitions: 1, mb: 1074 };
/// Keeps it all in one segment.
const SEGMENT: (&str, &str) = ("segment.bytes", "2000000000");

fn main() -> ExitCode {
    rig::bench("recovery: kill -9 with 1 GiB in the active segment", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    Series::take(|series| {
        for durability in [Durability::Synced, Durability::PageCache] {
            if options.wants(durability.name()) {
                (0..options.rounds).try_for_each(|_| measure(options, durability, series))?;
            }
        }
        Ok(())
    })
}

fn measure(options: &Options, durability: Durability, series: &mut Series) -> Result<(), Failure> {
    const NAME: &str = "kill -9 with 1 GiB in the active segment";
    let shape = Shape { mb: options.mb.unwrap_or(SHAPE.mb), ..SHAPE };
    let mut server = Server::start(Kind::Tidemark, options)?;
    Topics::of(&server)?.create(TOPIC, 1, durability, &[SEGMENT])?;
    rig::settle(!options.no_touch)?;
    let acknowledged = rig::produce(&server, TOPIC, &shape)? / shape.value_bytes as u64;
    server.kill()?;
    let since = Instant::now();
    server.spawn()?;
    let mut connection = Raw::connect(&server)?;
    let port_ms = since.elapsed().as_secs_f64() * 1e3;
    connection.first_ack(TOPIC)?;
    let ack_ms = since.elapsed().as_secs_f64() * 1e3;
    // the first ack is of a record behind them
    let lost = acknowledged as i64 + 1 - connection.end_offset(TOPIC)?;
    let mut add = |name, digits, value| {
        series.add(NAME, Some(durability), Kind::Tidemark, Unit { name, digits, ratio: false }, value);
    };
    add("port open ms", 1, port_ms);
    add("first ack ms", 1, ack_ms);
    add("acknowledged and lost", 0, lost as f64);
    Ok(())
}
