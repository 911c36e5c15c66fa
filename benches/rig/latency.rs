//! Latency at a fixed rate. Times run from the moment a record was due, not from the moment it was sent: a stall counts for
//! every record that it held up.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset,
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

use super::{Failure, Server, load::reader};

/// Times of one kind, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Latency(Vec<f64>);

impl Latency {
    /// The share `q` lies at or below it.
    pub fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = ((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }
}

struct Answers {
    origin: Instant,
    times: Mutex<Latency>,
    failed: AtomicBool,
}

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let due = result.as_ref().ok().and_then(|message| due_of(message.payload()?));
        match due {
            Some(due) => {
                let ms = (self.origin.elapsed().saturating_sub(due)).as_secs_f64() * 1e3;
                self.times.lock().unwrap_or_else(PoisonError::into_inner).0.push(ms);
            }
            None => self.failed.store(true, Ordering::Relaxed),
        }
    }
}

fn due_of(payload: &[u8]) -> Option<Duration> {
    payload.first_chunk().map(|nanos| Duration::from_nanos(u64::from_be_bytes(*nanos)))
}

/// Writes `per_s` records a second for `seconds` and reads them at the same time: (ack, end to end). The first second counts
/// for nothing.
pub fn at_fixed_rate(server: &Server, topic: &str, per_s: u32, seconds: u64) -> Result<(Latency, Latency), Failure> {
    const WARM_UP: u64 = 1;
    const VALUE_BYTES: usize = 100;
    let origin = Instant::now() + Duration::from_millis(500);
    let skipped = Duration::from_secs(WARM_UP);
    let count = u64::from(per_s) * (seconds + WARM_UP);
    let consumer = reader(server, topic, 1, Offset::Beginning)?;
    let producer: ThreadedProducer<Answers> = ClientConfig::new()
        .set("bootstrap.servers", server.address())
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("socket.nagle.disable", "true")
        .create_with_context(Answers { origin, times: Mutex::default(), failed: AtomicBool::new(false) })?;
    let end_to_end = thread::scope(|scope| {
        let reading = scope.spawn(|| -> Result<Latency, Failure> {
            let (mut times, mut seen) = (Latency::default(), 0);
            let deadline = origin + Duration::from_secs(seconds + WARM_UP + 60);
            while seen < count {
                let Some(message) = consumer.poll(Duration::from_millis(100)) else {
                    if Instant::now() > deadline {
                        return Err(format!("{}: {seen} of {count} records read", server.kind.name()).into());
                    }
                    continue;
                };
                let message = message?;
                let due = message.payload().and_then(due_of).ok_or("a record that is not ours")?;
                seen += 1;
                if due >= skipped {
                    times.0.push((origin.elapsed().saturating_sub(due)).as_secs_f64() * 1e3);
                }
            }
            Ok(times)
        });
        let mut value = [0; VALUE_BYTES];
        for number in 0..count {
            let due = Duration::from_nanos(number * 1_000_000_000 / u64::from(per_s));
            thread::sleep((origin + due).saturating_duration_since(Instant::now()));
            value[..8].copy_from_slice(&(due.as_nanos() as u64).to_be_bytes());
            let record = BaseRecord::<(), [u8]>::to(topic).payload(&value).partition(0);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(Duration::from_secs(60))?;
        reading.join().map_err(|_| "the reader panicked")?
    })?;
    let answers = producer.context();
    if answers.failed.load(Ordering::Relaxed) {
        return Err(format!("{}: a record was not acknowledged", server.kind.name()).into());
    }
    let mut acks = answers.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
    acks.0.drain(..acks.0.len().min((u64::from(per_s) * WARM_UP) as usize));
    Ok((acks, end_to_end))
}
