//! HTTP in, Kafka client calls out: writes and replays records for devices that cannot speak the protocol. Works with any
//! Kafka-compatible cluster; keeps no state of its own. Not here: groups, devices' identities, other bridges' dialects.
//!
//! # Routes
//!
//! | method and path | |
//! | --- | --- |
//! | `POST /v1/streams/{topic}/records` | writes one record; answers when it is safe on the cluster |
//! | `GET /v1/streams/{topic}/partitions/{partition}/records` | records from an offset, a time, or the tail on |
//! | `GET /v1/streams/{topic}/partitions/{partition}` | `earliest`, `latest`; with `?timestamp=` the offset `at` a time |
//! | `GET /v1/streams/{topic}`, `GET /v1/streams` | partitions of a topic; all topics |
//! | `GET /healthy`, `/ready`, `/metrics`, `/` | the process answers; a broker answers; Prometheus; name, version, links |
//!
//! An unknown query parameter is an error. Times are milliseconds since 1970 or RFC 3339.
//!
//! # Writing
//!
//! The body is the value, byte for byte (after `Content-Encoding: gzip` or `zstd`, if any). `?partition=` chooses the
//! partition, else the key does.
//!
//! | request header | becomes |
//! | --- | --- |
//! | `Content-Type` | record header `content-type`. A body called JSON must be JSON that all readers understand alike |
//! | `Record-Key` | the key, percent-decoded: `%00` to `%FF` are bytes, `%25` is a percent sign |
//! | `Record-Key-Base64` | the key, for those who have Base64 at hand |
//! | `Record-Timestamp` | the timestamp; without it, now |
//! | `Record-Header-NAME` | record header NAME, both percent-decoded. HTTP has no case: NAME is lower case, `%41` is an A |
//! | `Record-Tombstone: true` | no value at all (Kafka's null); the body is empty |
//!
//! 201 answers `{"topic","partition","offset","timestamp"}` with `Record-Position: PARTITION:OFFSET` and `Location`;
//! 204 has only the headers, for `Prefer: return=minimal`. After a 503 with `"maybe_written":true` the record may be there.
//!
//! # Replay
//!
//! `offset=N|earliest|latest`, or `timestamp=`, or `tail=N` (the last N offsets); without any, from the first record.
//! `limit` (100), `max_bytes` (1 MiB; the first record is always whole), `max_wait` in ms (0) or `Prefer: wait=SECONDS`,
//! `isolation=read_uncommitted|read_committed`. Larger numbers than are allowed count as the largest.
//!
//! Each answer has `Next-Offset` (go on there), `High-Watermark`, `Log-Start-Offset` and `Up-To-Date`. 204: nothing came
//! in time. 410: the offset is gone, `earliest` says what is left. 416: it is beyond the end.
//!
//! `Accept` chooses the form: `application/json`, one object with `records` and the same numbers; `application/x-ndjson`,
//! one record a line; `application/octet-stream`, the value of one record as it is, the rest of it in the same `Record-`
//! headers that write it: sent back, they write it again (only a null value of a header becomes an empty one).
//!
//! A record in JSON is `{"offset","timestamp","key","key_encoding","value","value_encoding","headers":[{"name","value",
//! "value_encoding"}]}`. The encoding says how to have the bytes back: `"text"`, the string's UTF-8; `"base64"`; null, there
//! are none; `"json"`, the value stands there as it was sent, spaces and digits included. `format=` chooses: `json` (the
//! default) embeds values whose `content-type` is JSON; `text` never does, so that a parser cannot lose a byte; `base64`
//! writes all as Base64. A name that is no UTF-8 has `"name_encoding":"base64"`.
//!
//! # Errors
//!
//! `application/problem+json`: `type` (stable, `/problems/NAME`), `title`, `status`, `detail`, `retryable`, `kafka_error`;
//! `Retry-After` where waiting helps. What is no sound HTTP, too large or too slow ends its connection with the answer.
//! Requests with an `Origin` of another host, which browsers make for other sites' pages, are refused with 403.

mod body;
mod bridge;
mod config;
mod error;
mod format;
mod guard;
mod headers;
mod health;
mod media_type;
mod metrics;
mod origin;
mod path;
mod percent;
mod preferences;
mod produce;
mod query;
mod replay;
mod room;
mod router;
mod server;
mod streams;
mod strict_json;
mod timestamp;

use std::sync::Arc;

pub use config::BridgeConfig;
pub use server::serve;

/// Writes the process's counters in Prometheus' text format, each line ended.
pub type MetricsPage = Arc<dyn Fn() -> String + Send + Sync>;
