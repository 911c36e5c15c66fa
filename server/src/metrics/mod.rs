//! Counters, gauges and histograms, and their text exposition for Prometheus. Each room declares its own names.
//!
//! Not here: what is measured, and the page that serves the text.

mod log_limit;
mod registry;

pub use log_limit::LogLimit;
pub use registry::{Counter, Gauge, Histogram, Registry};
