//! One small history per anomaly, both ways: the anomalous one is found and named, its nearest clean twin is not.

mod anomalies;
mod history;
mod property;
mod text;
mod timeline;
mod transactions;
