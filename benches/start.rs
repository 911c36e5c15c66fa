//! How long from the start of the process to the first acknowledged record?
//!
//! Budget: ≤ 20 ms with no data, ≤ 100 ms over 1,000 partitions that hold data.
#![allow(clippy::disallowed_methods, reason = "a bench reads the real clock and the real disk")]

mod floor;
mod rig;

use std::{process::ExitCode, time::Instant};

use rig::{Durability, Failure, Kind, Options, Raw, Series, Server, Shape, Topics, Unit};

const PARTITIONS: i32 = 1000;
const TOPIC: &str = "many";

fn main() -> ExitCode {
    rig::bench("start: from the start of the process to the first acknowledged record", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    Series::take(|series| {
        for kind in [Kind::Floor, Kind::Tidemark, Kind::Kafka] {
            if kind != Kind::Kafka || options.kafka {
                (0..options.rounds).try_for_each(|_| empty(options, kind, series))?;
            }
        }
        over_data(options, series)
    })
}

fn add(series: &mut Series, name: &str, kind: Kind, port_ms: f64, ack_ms: f64) {
    series.add(name, None, kind, Unit { name: "port open ms", digits: 1, ratio: false }, port_ms);
    series.add(name, None, kind, Unit { name: "first ack ms", digits: 1, ratio: false }, ack_ms);
}

/// A new directory; the topic is made by asking for it, the floor's by a request.
fn empty(options: &Options, kind: Kind, series: &mut Series) -> Result<(), Failure> {
    let server = Server::start(kind, options)?;
    let since = Instant::now();
    let mut connection = Raw::connect(&server)?;
    if kind == Kind::Floor {
        connection.create_topic("first")?;
    }
    connection.first_ack("first")?;
    let (port, ack) = (server.started_in, server.started_in + since.elapsed());
    add(series, "no data", kind, port.as_secs_f64() * 1e3, ack.as_secs_f64() * 1e3);
    Ok(())
}

fn over_data(options: &Options, series: &mut Series) -> Result<(), Failure> {
    let mb = options.mb.unwrap_or(100);
    let shape = Shape { name: "", value_bytes: 1024, batch_bytes: 16_384, partitions: PARTITIONS, mb };
    let mut server = Server::start(Kind::Tidemark, options)?;
    Topics::of(&server)?.create(TOPIC, PARTITIONS, Durability::PageCache, &[])?;
    rig::produce(&server, TOPIC, &shape)?;
    server.stop()?;
    let name = format!("1,000 partitions, {mb} MB");
    for _ in 0..options.rounds {
        let since = Instant::now();
        server.launch()?;
        Raw::connect(&server)?.first_ack(TOPIC)?;
        let ack = since.elapsed();
        add(series, &name, Kind::Tidemark, server.started_in.as_secs_f64() * 1e3, ack.as_secs_f64() * 1e3);
        server.stop()?;
    }
    Ok(())
}
