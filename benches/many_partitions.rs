//! What do 1,000 partitions cost that hold data and are left alone, after a restart?
//!
//! Budget: ≤ 4 KiB each above the empty broker, fewer than 5 wake-ups a second, and syncs whose number does not grow with
//! the partitions: the first ack of each of them within the time that one needs.
#![allow(clippy::disallowed_methods, reason = "a bench reads the real clock and the real disk")]

mod floor;
mod rig;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use rig::{Durability, Failure, Kind, Meter, Options, Raw, Series, Server, Shape, Topics, Unit};

const PARTITIONS: i32 = 1000;
const TOPIC: &str = "many";

fn main() -> ExitCode {
    rig::bench("many_partitions: 1,000 partitions that hold data, idle after a restart", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    Series::take(|series| {
        for _ in 0..options.rounds {
            measure(options, series)?;
        }
        Ok(())
    })
}

fn measure(options: &Options, series: &mut Series) -> Result<(), Failure> {
    const NAME: &str = "1,000 partitions, restarted";
    let shape =
        Shape { name: "", value_bytes: 100, batch_bytes: 16_384, partitions: PARTITIONS, mb: options.mb.unwrap_or(10) };
    let mut server = Server::start(Kind::Tidemark, options)?;
    thread::sleep(Duration::from_secs(1));
    let empty_mb = rig::status_mb(server.pid(), "VmRSS")?;
    let since = Instant::now();
    Topics::of(&server)?.create(TOPIC, PARTITIONS, Durability::Synced, &[])?;
    let created_ms = since.elapsed().as_secs_f64() * 1e3;
    rig::produce(&server, TOPIC, &shape)?;
    server.stop()?;
    let since = Instant::now();
    server.launch()?;
    Raw::connect(&server)?.end_offset(TOPIC)?;
    let restarted_ms = since.elapsed().as_secs_f64() * 1e3;
    thread::sleep(Duration::from_secs(3));
    let meter = Meter::start(server.pid())?;
    thread::sleep(Duration::from_secs(options.seconds.min(5)));
    let used = meter.used()?;
    let more_mb = rig::status_mb(server.pid(), "VmRSS")? - empty_mb;
    let mut add =
        |name, digits, value| series.add(NAME, None, Kind::Tidemark, Unit { name, digits, ratio: false }, value);
    add("created in ms", 0, created_ms);
    add("restarted in ms", 1, restarted_ms);
    add("empty RSS MB", 1, empty_mb);
    add("RSS MB more", 1, more_mb);
    add("KiB each", 1, more_mb * 1e6 / 1024.0 / f64::from(PARTITIONS));
    add("CPU %", 2, used.server_s * 100.0 / used.wall_s);
    add("wake-ups/s", 1, used.wakeups as f64 / used.wall_s);
    Ok(())
}
