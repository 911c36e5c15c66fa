//! Reads one partition from a place up to its end.
//!
//! `cargo run -p tidemark-client --example replay -- 127.0.0.1:9092 sensors 0 earliest`; the place may also be `latest`, an
//! offset, or `@` and milliseconds since 1970.

use std::time::Duration;

use tidemark_client::{Client, ClientConfig, Reader, ReaderConfig, Start};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let bootstrap = args.next().unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    let topic = args.next().unwrap_or_else(|| "sensors".to_owned());
    let partition: i32 = args.next().map_or(Ok(0), |partition| partition.parse())?;
    let start = match args.next().as_deref() {
        None | Some("earliest") => Start::Earliest,
        Some("latest") => Start::Latest,
        Some(place) => match place.strip_prefix('@') {
            Some(timestamp_ms) => Start::Timestamp(timestamp_ms.parse()?),
            None => Start::Offset(place.parse()?),
        },
    };

    let client = Client::connect(ClientConfig::new([bootstrap])).await?;
    let mut reader = Reader::open(client, &topic, partition, start, ReaderConfig::default()).await?;
    let (mut count, mut bytes) = (0_u64, 0_usize);
    loop {
        let fetched = reader.fetch(Duration::from_secs(1)).await?;
        for record in fetched.records() {
            let record = record?;
            if count < 5 {
                println!("{} {} {:?} {:?}", record.offset, record.timestamp_ms, record.key, record.value);
            }
            count += 1;
            bytes += record.value.map_or(0, |value| value.len());
        }
        if fetched.next_offset >= fetched.high_watermark {
            println!("{count} records, {bytes} bytes of values, up to offset {}", fetched.next_offset);
            return Ok(());
        }
    }
}
