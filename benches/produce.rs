//! How much server CPU does a produced gigabyte cost, and how near is that to the least there is?
//!
//! Budget (server CPU against the floor in the same run): 1 KiB values in batches of 1 MB ≤ 1.4 ×; in batches of 16 KiB
//! ≤ 1.5 ×; 100 B values over 6 partitions ≤ 1.5 ×; each with a sync before the answer ≤ 2.0 × the floor that syncs; three
//! nodes with a sync on two of them ≤ 1.5 × three floors.
#![allow(clippy::disallowed_methods, reason = "a bench reads the real clock and the real disk")]

mod floor;
mod rig;

use std::process::ExitCode;

use rig::{Durability, Failure, Kind, Meter, Options, Series, Server, Shape, Topics, Unit};

const SHAPES: [Shape; 3] = [
    Shape { name: "1 KiB, batches of 1 MB", value_bytes: 1024, batch_bytes: 1_000_000, partitions: 1, mb: 1000 },
    Shape { name: "1 KiB, batches of 16 KiB", value_bytes: 1024, batch_bytes: 16_384, partitions: 1, mb: 400 },
    Shape { name: "100 B, 6 partitions", value_bytes: 100, batch_bytes: 1_000_000, partitions: 6, mb: 300 },
];
/// Repetitions that a virtual machine of Java needs before it is itself.
const WARM_UPS: usize = 3;

fn main() -> ExitCode {
    rig::bench("produce: server CPU per gigabyte, librdkafka, acks=all", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    for durability in [Durability::PageCache, Durability::Synced, Durability::Majority] {
        for shape in SHAPES {
            if !options.wants(&format!("{}, {}", shape.name, durability.name())) {
                continue;
            }
            let shape = Shape { mb: options.mb.unwrap_or(shape.mb), ..shape };
            Series::take(|series| rounds(options, &shape, durability, series))?;
        }
    }
    Ok(())
}

fn rounds(options: &Options, shape: &Shape, durability: Durability, series: &mut Series) -> Result<(), Failure> {
    let kinds = [durability.floor(), Kind::Tidemark, Kind::Kafka];
    let kinds = kinds.into_iter().filter(|kind| options.kafka || *kind != Kind::Kafka);
    let servers =
        kinds.map(|kind| Server::start_nodes(kind, durability.nodes(), options)).collect::<Result<Vec<_>, _>>()?;
    for server in &servers {
        let warm_ups = if server.kind == Kind::Kafka { WARM_UPS } else { 1 };
        for _ in 0..warm_ups {
            once(options, server, shape, durability)?;
        }
    }
    for _ in 0..options.rounds {
        for server in &servers {
            let (bytes, used) = once(options, server, shape, durability)?;
            let gigabytes = bytes as f64 / 1e9;
            let mut add = |unit, value| series.add(shape.name, Some(durability), server.kind, unit, value);
            add(Unit::MB_PER_S, gigabytes * 1e3 / used.wall_s);
            add(Unit::CPU_S_PER_GB, used.server_s / gigabytes);
            add(Unit { name: "client CPU s/GB", digits: 2, ratio: false }, used.own_s / gigabytes);
            add(Unit { name: "peak RSS MB", digits: 0, ratio: false }, rig::status_mb(&server.pids(), "VmHWM")?);
            add(Unit::OTHERS, used.others_share());
        }
    }
    Ok(())
}

fn once(
    options: &Options,
    server: &Server,
    shape: &Shape,
    durability: Durability,
) -> Result<(u64, rig::Used), Failure> {
    let topics = Topics::of(server)?;
    let topic = rig::fresh_name("produce");
    topics.create(&topic, shape.partitions, durability, &[])?;
    rig::settle(!options.no_touch)?;
    let meter = Meter::start(server)?;
    let bytes = rig::produce(server, &topic, shape)?;
    let used = meter.used()?;
    topics.delete(&topic)?;
    Ok((bytes, used))
}
