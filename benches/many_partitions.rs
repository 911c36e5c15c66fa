//! What do 1,000 partitions cost that hold data and are left alone, after a restart? And with three replicas each, idle and
//! with 200 of them under load?
//!
//! Budget: ≤ 4 KiB each above the empty broker, fewer than 5 wake-ups a second, and syncs whose number does not grow with
//! the partitions: the first ack of each of them within the time that one needs. Replicated: ≤ 0.25 core and ≤ 400 MB for a
//! broker.
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
const ALONE: &str = "1,000 partitions, restarted";
const REPLICATED: &str = "1,000 partitions, three replicas each";
/// Of them under load.
const BUSY: i32 = 200;

fn main() -> ExitCode {
    rig::bench("many_partitions: 1,000 partitions that hold data, idle after a restart", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    for (name, measure) in
        [(ALONE, alone as fn(&Options, &mut Series) -> Result<(), Failure>), (REPLICATED, replicated)]
    {
        if options.wants(name) {
            Series::take(|series| (0..options.rounds).try_for_each(|_| measure(options, series)))?;
        }
    }
    Ok(())
}

fn shape(options: &Options, partitions: i32) -> Shape {
    Shape { name: "", value_bytes: 100, batch_bytes: 16_384, partitions, mb: options.mb.unwrap_or(10) }
}

fn alone(options: &Options, series: &mut Series) -> Result<(), Failure> {
    let mut server = Server::start(Kind::Tidemark, options)?;
    thread::sleep(Duration::from_secs(1));
    let empty_mb = rig::status_mb(&server.pids(), "VmRSS")?;
    let since = Instant::now();
    Topics::of(&server)?.create(TOPIC, PARTITIONS, Durability::Synced, &[])?;
    let created_ms = since.elapsed().as_secs_f64() * 1e3;
    rig::produce(&server, TOPIC, &shape(options, PARTITIONS))?;
    server.stop()?;
    let since = Instant::now();
    server.launch()?;
    Raw::connect(&server)?.end_offset(TOPIC)?;
    let restarted_ms = since.elapsed().as_secs_f64() * 1e3;
    thread::sleep(Duration::from_secs(3));
    let meter = Meter::start(&server)?;
    thread::sleep(Duration::from_secs(options.seconds.min(5)));
    let used = meter.used()?;
    let more_mb = rig::status_mb(&server.pids(), "VmRSS")? - empty_mb;
    let mut add =
        |name, digits, value| series.add(ALONE, None, Kind::Tidemark, Unit { name, digits, ratio: false }, value);
    add("created in ms", 0, created_ms);
    add("restarted in ms", 1, restarted_ms);
    add("empty RSS MB", 1, empty_mb);
    add("RSS MB more", 1, more_mb);
    add("KiB each", 1, more_mb * 1e6 / 1024.0 / f64::from(PARTITIONS));
    add("CPU %", 2, used.server_s * 100.0 / used.wall_s);
    add("wake-ups/s", 1, used.wakeups as f64 / used.wall_s);
    Ok(())
}

fn replicated(options: &Options, series: &mut Series) -> Result<(), Failure> {
    const NODES: usize = 3;
    let server = Server::start_nodes(Kind::Tidemark, NODES, options)?;
    let topics = Topics::of(&server)?;
    // a first topic waits until the brokers know each other
    topics.create("first", 1, Durability::Majority, &[])?;
    let empty_mb = rig::status_mb(&server.pids(), "VmRSS")?;
    let since = Instant::now();
    topics.create(TOPIC, PARTITIONS, Durability::Majority, &[])?;
    rig::produce(&server, TOPIC, &shape(options, PARTITIONS))?;
    let written_ms = since.elapsed().as_secs_f64() * 1e3;
    thread::sleep(Duration::from_secs(5));
    let meter = Meter::start(&server)?;
    thread::sleep(Duration::from_secs(options.seconds));
    let (idle, idle_mb) = (meter.used()?, rig::status_mb(&server.pids(), "VmRSS")?);
    let meter = Meter::start(&server)?;
    let bytes = rig::produce(&server, TOPIC, &shape(options, BUSY))?;
    let busy = meter.used()?;
    let mut add =
        |name, digits, value| series.add(REPLICATED, None, Kind::Tidemark, Unit { name, digits, ratio: false }, value);
    add("created and written once in ms", 0, written_ms);
    add("empty RSS MB", 1, empty_mb);
    add("idle RSS MB, the largest", 0, idle_mb);
    add("idle cores a broker", 2, idle.server_s / idle.wall_s / NODES as f64);
    add("wake-ups/s a broker", 0, idle.wakeups as f64 / idle.wall_s / NODES as f64);
    add("others' CPU %", 0, idle.others_share());
    add("200 busy: MB/s", 1, bytes as f64 / 1e6 / busy.wall_s);
    add("200 busy: CPU s/GB", 1, busy.server_s / (bytes as f64 / 1e9));
    add("RSS MB after it", 0, rig::status_mb(&server.pids(), "VmRSS")?);
    Ok(())
}
