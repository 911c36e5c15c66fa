//! The bridge's own counters and their text for Prometheus. Not here: the page of the process that they are added to.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Statuses that are answered; others count as the last.
const STATUSES: [u16; 24] = [
    200, 201, 204, 400, 403, 404, 405, 406, 408, 410, 413, 414, 415, 416, 422, 429, 431, 500, 503, 505, 507, 304, 202,
    0,
];
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "other"];
/// Upper bounds of the buckets for acknowledgements.
const BOUNDS_S: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

/// Counts since the start; no lock, no allocation.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: [[AtomicU64; STATUSES.len()]; METHODS.len()],
    pub(crate) connections: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) records_written: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
    pub(crate) records_read: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) readers_waiting: AtomicU64,
    acknowledged: [AtomicU64; BOUNDS_S.len() + 1],
    acknowledged_us: AtomicU64,
}

impl Counters {
    /// A request was answered.
    pub(crate) fn request(&self, method: &str, status: u16) {
        let method = METHODS.iter().position(|name| *name == method).unwrap_or(METHODS.len() - 1);
        let status = STATUSES.iter().position(|other| *other == status).unwrap_or(STATUSES.len() - 1);
        add(&self.requests[method][status], 1);
    }

    /// A record was acknowledged.
    pub(crate) fn written(&self, bytes: usize, took: Duration) {
        add(&self.records_written, 1);
        add(&self.bytes_written, bytes as u64);
        let bucket = BOUNDS_S.iter().position(|bound| took.as_secs_f64() <= *bound).unwrap_or(BOUNDS_S.len());
        add(&self.acknowledged[bucket], 1);
        add(&self.acknowledged_us, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds all in the text format.
    pub(crate) fn expose(&self, page: &mut String) {
        head(page, "requests_total", "counter", "requests answered");
        for (row, method) in self.requests.iter().zip(METHODS) {
            for (count, status) in row.iter().zip(STATUSES).filter(|(count, _)| get(count) > 0) {
                let status = if status == 0 { "other".to_owned() } else { status.to_string() };
                line(page, &format!("requests_total{{method=\"{method}\",status=\"{status}\"}}"), get(count));
            }
        }
        let rows = [
            ("connections", "gauge", "open connections", &self.connections),
            ("connections_refused_total", "counter", "connections beyond the limit", &self.connections_refused),
            ("records_written_total", "counter", "records acknowledged", &self.records_written),
            ("bytes_written_total", "counter", "bytes of their values", &self.bytes_written),
            ("records_read_total", "counter", "records given to readers", &self.records_read),
            ("bytes_read_total", "counter", "bytes of the bodies they were given in", &self.bytes_read),
            ("readers_waiting", "gauge", "readers that wait for records", &self.readers_waiting),
        ];
        for (name, kind, help, count) in rows {
            head(page, name, kind, help);
            line(page, name, get(count));
        }
        self.expose_acknowledged(page);
    }

    fn expose_acknowledged(&self, page: &mut String) {
        head(page, "acknowledged_seconds", "histogram", "from a record's last byte to its acknowledgement");
        let mut below = 0;
        for (count, bound) in self.acknowledged.iter().zip(BOUNDS_S) {
            below += get(count);
            line(page, &format!("acknowledged_seconds_bucket{{le=\"{bound}\"}}"), below);
        }
        below += get(&self.acknowledged[BOUNDS_S.len()]);
        line(page, "acknowledged_seconds_bucket{le=\"+Inf\"}", below);
        line(page, "acknowledged_seconds_sum", get(&self.acknowledged_us) as f64 / 1e6);
        line(page, "acknowledged_seconds_count", below);
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Counts as long as it lives.
pub(crate) struct Held<'a>(&'a AtomicU64);

impl<'a> Held<'a> {
    pub(crate) fn new(gauge: &'a AtomicU64) -> Self {
        add(gauge, 1);
        Self(gauge)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    // writing to a String cannot fail
    let _ = writeln!(page, "# HELP tidemark_http_{name} {help}\n# TYPE tidemark_http_{name} {kind}");
}

fn line(page: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(page, "tidemark_http_{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_exposed() {
        let counters = Counters::default();
        counters.request("POST", 201);
        counters.request("PATCH", 405);
        counters.request("GET", 599);
        counters.written(10, Duration::from_millis(2));
        counters.written(30, Duration::from_secs(9));
        let held = Held::new(&counters.connections);
        let mut page = String::new();
        counters.expose(&mut page);
        for line in [
            "tidemark_http_requests_total{method=\"POST\",status=\"201\"} 1\n",
            "tidemark_http_requests_total{method=\"other\",status=\"405\"} 1\n",
            "tidemark_http_requests_total{method=\"GET\",status=\"other\"} 1\n",
            "tidemark_http_bytes_written_total 40\n",
            "tidemark_http_connections 1\n",
            "tidemark_http_acknowledged_seconds_bucket{le=\"0.001\"} 0\n",
            "tidemark_http_acknowledged_seconds_bucket{le=\"0.0025\"} 1\n",
            "tidemark_http_acknowledged_seconds_bucket{le=\"+Inf\"} 2\n",
            "tidemark_http_acknowledged_seconds_sum 9.002\n",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        drop(held);
        assert_eq!(get(&counters.connections), 0);
    }
}
