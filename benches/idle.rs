//! What does a broker cost that nobody uses?
//!
//! Budget: RSS ≤ 10 MB, 0 % CPU; fewer than 5 wake-ups a second with 1,000 partitions.
#![allow(clippy::disallowed_methods, reason = "a bench reads the real clock and the real disk")]

mod floor;
mod rig;

use std::{process::ExitCode, thread, time::Duration};

use rig::{Durability, Failure, Kind, Meter, Options, Series, Server, Topics, Unit};

const PARTITIONS: i32 = 1000;

fn main() -> ExitCode {
    rig::bench("idle: memory, CPU and wake-ups of a broker that nobody uses", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    Series::take(|series| {
        for (name, partitions) in [("empty", 0), ("1,000 partitions", PARTITIONS)] {
            for kind in [Kind::Floor, Kind::Tidemark, Kind::Kafka] {
                // a floor has no duty to partitions, and a JVM needs no thousand of them to be seen
                let wanted = match kind {
                    Kind::Floor => partitions == 0,
                    Kind::Kafka => partitions == 0 && options.kafka,
                    _ => true,
                };
                if wanted && options.wants(name) {
                    measure(options, kind, name, partitions, series)?;
                }
            }
        }
        Ok(())
    })
}

fn measure(options: &Options, kind: Kind, name: &str, partitions: i32, series: &mut Series) -> Result<(), Failure> {
    let server = Server::start(kind, options)?;
    if partitions > 0 {
        Topics::of(&server)?.create("many", partitions, Durability::Synced, &[])?;
    }
    // what follows a start (a checkpoint, a JVM's compiler) is not idleness
    thread::sleep(Duration::from_secs(if kind == Kind::Kafka { 20 } else { 3 }));
    for _ in 0..options.rounds {
        let meter = Meter::start(&server)?;
        thread::sleep(Duration::from_secs(options.seconds));
        let used = meter.used()?;
        let mut add = |unit, value| series.add(name, None, kind, unit, value);
        add(Unit { name: "RSS MB", digits: 1, ratio: false }, rig::status_mb(&server.pids(), "VmRSS")?);
        add(Unit { name: "of it anonymous MB", digits: 1, ratio: false }, rig::status_mb(&server.pids(), "RssAnon")?);
        add(Unit { name: "CPU %", digits: 2, ratio: false }, used.server_s * 100.0 / used.wall_s);
        add(Unit { name: "wake-ups/s", digits: 1, ratio: false }, used.wakeups as f64 / used.wall_s);
    }
    Ok(())
}
