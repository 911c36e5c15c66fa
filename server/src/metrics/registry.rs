//! The registry: asked for a metric once, at start; updating one is a single atomic add.

use std::{
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// Upper bounds of a histogram's buckets, in microseconds: from 50 µs to 10 s.
const BOUNDS_US: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000];

/// Durations by bucket.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Counter {
    /// Adds `by`.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }
    /// Brings it up to a number that is counted elsewhere.
    pub fn raise_to(&self, count: u64) {
        self.0.fetch_max(count, Relaxed);
    }
    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Gauge {
    /// Adds `by`, which may be negative.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Relaxed);
    }
    /// Replaces the number.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }
    /// The number now.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: std::time::Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(BOUNDS_US.len());
        self.0.counts[bucket].fetch_add(1, Relaxed);
        self.0.sum_us.fetch_add(us, Relaxed);
    }
}

#[derive(Debug, Clone)]
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

#[derive(Debug)]
struct Entry {
    name: &'static str,
    help: &'static str,
    labels: String,
    metric: Metric,
}

/// All metrics of a broker; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<Vec<Entry>>>);

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    fn add(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)], metric: Metric) -> Metric {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = labels.join(",");
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = entries.iter().find(|entry| entry.name == name && entry.labels == labels) {
            return known.metric.clone();
        }
        entries.push(Entry { name, help, labels, metric: metric.clone() });
        metric
    }

    /// A counter; the same name and labels give the same one.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Counter {
        match self.add(name, help, labels, Metric::Counter(Counter::default())) {
            Metric::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// A gauge; the same name and labels give the same one.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        match self.add(name, help, labels, Metric::Gauge(Gauge::default())) {
            Metric::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// A histogram of durations; the same name and labels give the same one.
    pub fn histogram(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Histogram {
        match self.add(name, help, labels, Metric::Histogram(Histogram::default())) {
            Metric::Histogram(histogram) => histogram,
            _ => Histogram::default(),
        }
    }

    /// Prometheus text, format 0.0.4, sorted by name.
    pub fn render(&self) -> String {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_by(|a, b| (a.name, &a.labels).cmp(&(b.name, &b.labels)));
        let mut out = String::new();
        let mut last = "";
        for entry in sorted {
            if entry.name != last {
                let kind = match entry.metric {
                    Metric::Counter(_) => "counter",
                    Metric::Gauge(_) => "gauge",
                    Metric::Histogram(_) => "histogram",
                };
                let _ = writeln!(out, "# HELP {} {}\n# TYPE {} {kind}", entry.name, entry.help, entry.name);
                last = entry.name;
            }
            entry.render(&mut out);
        }
        out
    }
}

impl Entry {
    fn render(&self, out: &mut String) {
        let Self { name, labels, .. } = self;
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        // writing to a String cannot fail
        let _ = match &self.metric {
            Metric::Counter(counter) => writeln!(out, "{name}{braced} {}", counter.get()),
            Metric::Gauge(gauge) => writeln!(out, "{name}{braced} {}", gauge.get()),
            Metric::Histogram(histogram) => {
                let comma = if labels.is_empty() { "" } else { "," };
                let mut total = 0;
                for (place, count) in histogram.0.counts.iter().enumerate() {
                    total += count.load(Relaxed);
                    let bound = BOUNDS_US.get(place).map_or("+Inf".to_owned(), |us| format!("{}", *us as f64 / 1e6));
                    let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}");
                }
                let sum = histogram.0.sum_us.load(Relaxed) as f64 / 1e6;
                writeln!(out, "{name}_sum{braced} {sum}\n{name}_count{braced} {total}")
            }
        };
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_each_kind_once_under_its_name() {
        let registry = Registry::new();
        registry.counter("a_total", "how many", &[("api", "x\"y")]).add(3);
        registry.counter("a_total", "how many", &[("api", "x\"y")]).increment();
        registry.gauge("b", "level", &[]).set(-2);
        registry.histogram("c_seconds", "time", &[]).observe(std::time::Duration::from_micros(60));
        let text = registry.render();
        assert!(text.contains("# TYPE a_total counter\na_total{api=\"x\\\"y\"} 4\n"), "{text}");
        assert!(text.contains("b -2\n"));
        assert!(text.contains("c_seconds_bucket{le=\"0.00005\"} 0\nc_seconds_bucket{le=\"0.0001\"} 1\n"));
        assert!(text.contains("c_seconds_count 1\n"));
    }
}
