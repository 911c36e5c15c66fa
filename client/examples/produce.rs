//! Writes numbered records and says where the last one lies and how fast it went.
//!
//! `cargo run -p tidemark-client --example produce -- 127.0.0.1:9092 sensors 10000`

use std::time::Duration;

use tidemark_client::{Client, ClientConfig, Producer, ProducerConfig, ProducerRecord};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let bootstrap = args.next().unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    let topic = args.next().unwrap_or_else(|| "sensors".to_owned());
    let count: u64 = args.next().map_or(Ok(1000), |count| count.parse())?;

    let client = Client::connect(ClientConfig::new([bootstrap])).await?;
    let producer = Producer::new(client, ProducerConfig::default());
    let begun = tokio::time::Instant::now();
    let mut last = None;
    for number in 0..count {
        let record = ProducerRecord::new(topic.as_str()).key(format!("device-{}", number % 100)).value(format!(
            "{{\"number\":{number},\"temperature\":21.5,\"humidity\":40,\"note\":\"a reading of the roof\"}}"
        ));
        // queueing waits only for room; the position comes later
        last = Some(producer.queue(record).await?);
    }
    producer.flush().await;
    let took = begun.elapsed().max(Duration::from_micros(1));
    if let Some(last) = last {
        println!("the last one lies at {:?}", last.await?);
    }
    println!("{count} records in {took:.1?}: {:.0} a second", count as f64 / took.as_secs_f64());
    Ok(())
}
