//! `GET /v1/streams/{topic}/partitions/{partition}/records`: records from an offset, a time or the tail on. Nothing is kept
//! between two requests: the position is the caller's, and the answer says where to go on.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::CACHE_CONTROL, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use tidemark_client::{FetchLimits, Fetched, Isolation, Record, admin::OffsetSpec};
use tokio::time::{Instant, sleep};

use crate::{
    bridge::Bridge,
    error::Problem,
    format::{self, Encoding},
    headers::{HIGH_WATERMARK, LOG_START_OFFSET, NEXT_OFFSET, PREFERENCE_APPLIED, UP_TO_DATE},
    metrics::{Held, add},
    path,
    preferences::{self, Format},
    query::{Query, invalid},
    room::{FREE_BYTES, Share},
};

const PARAMETERS: [&str; 8] = ["offset", "timestamp", "tail", "limit", "max_bytes", "max_wait", "isolation", "format"];
const LIMIT_DEFAULT: usize = 100;
const BYTES_DEFAULT: usize = 1024 * 1024;
/// A broker that answers a waiting fetch early with nothing is not asked again before this.
const EARLY_PAUSE: Duration = Duration::from_millis(100);

/// Where a read starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Earliest,
    Latest,
    Offset(i64),
    Timestamp(i64),
    /// This many offsets before the end.
    Tail(i64),
}

/// What is asked for.
#[derive(Debug)]
struct Question {
    topic: String,
    partition: i32,
    start: Start,
    limit: usize,
    bytes_max: usize,
    wait: Duration,
    /// What `Prefer` asked for, if that was followed.
    preferred_wait_s: Option<u64>,
    isolation: Isolation,
    encoding: Encoding,
    format: Format,
}

/// Reads records.
pub(crate) async fn replay(
    State(bridge): State<Bridge>,
    Path((topic, partition)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let question = Question::parse(&bridge, topic, &partition, &request)?;
    let mut offset = question.offset(&bridge).await?;
    let deadline = Instant::now() + question.wait;
    loop {
        let share = bridge.answers.share(question.bytes_max).await?;
        let fetched = question.fetch(&bridge, offset, question.bytes_max, Duration::ZERO).await?;
        let page = Page::render(&question, &fetched)?;
        if page.records > 0 {
            return question.answer(&bridge, &fetched, page, share);
        }
        if fetched.next_offset > offset {
            // control records only: what follows them may be there already
            offset = fetched.next_offset;
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || *bridge.stopping.borrow() {
            return question.answer(&bridge, &fetched, page, share);
        }
        drop((share, fetched));
        if let Some(all) = question.wait_for_more(&bridge, offset, left).await? {
            let page = Page::render(&question, &all)?;
            if page.records > 0 {
                return question.answer(&bridge, &all, page, Share::default());
            }
        }
    }
}

impl Question {
    fn parse(bridge: &Bridge, topic: String, partition: &str, request: &Request) -> Result<Self, Problem> {
        path::topic(&topic)?;
        let partition = path::partition(partition)?;
        let query = Query::parse(request.uri().query(), &PARAMETERS)?;
        let config = &bridge.config;
        let preferred = preferences::wait(request.headers()).filter(|_| query.text("max_wait").is_none());
        let wait = query.number("max_wait", u64::MAX)?.map(Duration::from_millis);
        let wait = wait.or(preferred).unwrap_or_default().min(config.wait_max);
        let isolation = match query.text("isolation") {
            None | Some("read_uncommitted") => Isolation::ReadUncommitted,
            Some("read_committed") => Isolation::ReadCommitted,
            Some(_) => return Err(invalid("isolation is read_uncommitted or read_committed".to_owned())),
        };
        let encoding = query.text("format").map_or(Some(Encoding::Json), Encoding::from_name);
        let limit = query.number("limit", config.read_records_max)?.unwrap_or(LIMIT_DEFAULT);
        let bytes_max = query.number("max_bytes", config.read_bytes_max)?.unwrap_or(BYTES_DEFAULT);
        if limit == 0 || bytes_max == 0 {
            return Err(invalid("limit and max_bytes are at least 1".to_owned()));
        }
        let format = Format::accepted(request.headers())?;
        Ok(Self {
            topic,
            partition,
            start: start(&query)?,
            limit: if format == Format::Raw { 1 } else { limit },
            bytes_max: bytes_max.min(config.read_bytes_max),
            wait,
            preferred_wait_s: preferred.map(|_| wait.as_secs()),
            isolation,
            encoding: encoding.ok_or_else(|| invalid("format is json, text or base64".to_owned()))?,
            format,
        })
    }

    /// The offset to start at.
    async fn offset(&self, bridge: &Bridge) -> Result<i64, Problem> {
        match self.start {
            Start::Offset(offset) => Ok(offset),
            Start::Earliest => self.lookup(bridge, OffsetSpec::Earliest).await.map(Option::unwrap_or_default),
            Start::Latest => self.latest(bridge).await,
            Start::Timestamp(timestamp_ms) => match self.lookup(bridge, OffsetSpec::Timestamp(timestamp_ms)).await? {
                Some(offset) => Ok(offset),
                None => self.latest(bridge).await,
            },
            Start::Tail(count) => {
                let latest = self.latest(bridge).await?;
                let earliest = self.lookup(bridge, OffsetSpec::Earliest).await?.unwrap_or_default();
                Ok(latest.saturating_sub(count).max(earliest))
            }
        }
    }

    async fn latest(&self, bridge: &Bridge) -> Result<i64, Problem> {
        self.lookup(bridge, OffsetSpec::Latest).await.map(Option::unwrap_or_default)
    }

    async fn lookup(&self, bridge: &Bridge, spec: OffsetSpec) -> Result<Option<i64>, Problem> {
        Ok(bridge.client.list_offset(&self.topic, self.partition, spec).await?.offset)
    }

    async fn fetch(
        &self,
        bridge: &Bridge,
        offset: i64,
        bytes_max: usize,
        wait_max: Duration,
    ) -> Result<Fetched, Problem> {
        let limits = FetchLimits {
            bytes_max: i32::try_from(bytes_max).unwrap_or(i32::MAX),
            wait_max,
            isolation: self.isolation,
            ..FetchLimits::default()
        };
        Ok(bridge.client.fetch_once(&self.topic, self.partition, offset, &limits).await?)
    }

    /// Waits at the broker until there is more, and holds nothing meanwhile. What came is given only if it is small and
    /// all there is; else it is fetched anew, with a share of the room.
    async fn wait_for_more(&self, bridge: &Bridge, offset: i64, left: Duration) -> Result<Option<Fetched>, Problem> {
        let asked = Instant::now();
        let _waiting = Held::new(&bridge.counters.readers_waiting);
        let fetched = tokio::select! {
            fetched = self.fetch(bridge, offset, 1, left) => fetched?,
            () = bridge.stopped() => return Ok(None),
        };
        if fetched.is_empty() {
            let pause = EARLY_PAUSE.saturating_sub(asked.elapsed()).min(left);
            sleep(pause).await;
            return Ok(None);
        }
        let bytes: usize = fetched.batches().iter().map(|batch| batch.bytes.len()).sum();
        Ok((bytes <= FREE_BYTES && fetched.next_offset >= self.end(&fetched)).then_some(fetched))
    }

    fn answer(&self, bridge: &Bridge, fetched: &Fetched, page: Page, share: Share) -> Result<Response, Problem> {
        let end = self.end(fetched);
        let mut headers = page.headers;
        headers.insert(NEXT_OFFSET, HeaderValue::from(page.next_offset));
        headers.insert(HIGH_WATERMARK, HeaderValue::from(fetched.high_watermark));
        headers.insert(LOG_START_OFFSET, HeaderValue::from(fetched.log_start_offset));
        headers.insert(UP_TO_DATE, HeaderValue::from_static(if page.next_offset >= end { "true" } else { "false" }));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let applied = self.preferred_wait_s.map(|seconds| HeaderValue::try_from(format!("wait={seconds}")));
        if let Some(Ok(applied)) = applied {
            headers.insert(PREFERENCE_APPLIED, applied);
        }
        if page.records == 0 {
            headers.remove(CONTENT_TYPE);
            return Ok((StatusCode::NO_CONTENT, headers).into_response());
        }
        add(&bridge.counters.records_read, page.records as u64);
        add(&bridge.counters.bytes_read, page.body.len() as u64);
        let body = share.hold(&bridge.answers, page.body)?;
        Ok((StatusCode::OK, headers, Body::from(body)).into_response())
    }

    /// Where this reader's records end for now.
    fn end(&self, fetched: &Fetched) -> i64 {
        match self.isolation {
            Isolation::ReadCommitted if fetched.last_stable_offset >= 0 => fetched.last_stable_offset,
            _ => fetched.high_watermark,
        }
    }
}

fn start(query: &Query) -> Result<Start, Problem> {
    let offset = match query.text("offset") {
        Some("earliest") => Some(Start::Earliest),
        Some("latest") => Some(Start::Latest),
        _ => query.number("offset", i64::MAX)?.map(Start::Offset),
    };
    let timestamp = query.timestamp_ms("timestamp")?.map(Start::Timestamp);
    let tail = query.number("tail", i64::MAX)?.map(Start::Tail);
    let mut given = [offset, timestamp, tail].into_iter().flatten();
    match (given.next(), given.next()) {
        (start, None) => Ok(start.unwrap_or(Start::Earliest)),
        _ => Err(invalid("one of offset, timestamp and tail says where to start".to_owned())),
    }
}

/// Records as they go out.
#[derive(Debug)]
struct Page {
    records: usize,
    next_offset: i64,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Page {
    /// Writes records up to the limits; the first one always.
    fn render(question: &Question, fetched: &Fetched) -> Result<Self, Problem> {
        let mut page =
            Self { records: 0, next_offset: fetched.next_offset, headers: HeaderMap::new(), body: Vec::new() };
        if question.format == Format::Json {
            page.open(question);
        }
        for record in fetched.records() {
            let record = match record {
                Ok(record) => record,
                // the next read starts with the damage and says so
                Err(_) if page.records > 0 => {
                    return Ok(page.close(question, fetched));
                }
                Err(error) => return Err(error.into()),
            };
            if page.records >= question.limit || (page.records > 0 && page.body.len() >= question.bytes_max) {
                page.next_offset = record.offset;
                return Ok(page.close(question, fetched));
            }
            page.add(question, &record)?;
        }
        page.next_offset = fetched.next_offset;
        Ok(page.close(question, fetched))
    }

    fn add(&mut self, question: &Question, record: &Record) -> Result<(), Problem> {
        match question.format {
            Format::Json => {
                if self.records > 0 {
                    self.body.push(b',');
                }
                format::write_record(&mut self.body, record, question.encoding, false);
            }
            Format::Lines => {
                format::write_record(&mut self.body, record, question.encoding, true);
                self.body.push(b'\n');
            }
            Format::Raw => {
                self.headers = format::raw_headers(question.partition, record)?;
                self.body = record.value.as_deref().unwrap_or_default().to_vec();
            }
        }
        self.records += 1;
        self.next_offset = record.offset + 1;
        Ok(())
    }

    fn open(&mut self, question: &Question) {
        self.body.extend_from_slice(b"{\"topic\":");
        format::write_text(&mut self.body, &question.topic);
        self.body.extend_from_slice(b",\"partition\":");
        format::write_number(&mut self.body, question.partition.into());
        self.body.extend_from_slice(b",\"records\":[");
    }

    fn close(mut self, question: &Question, fetched: &Fetched) -> Self {
        let content_type = match question.format {
            Format::Json => {
                let rows: [(&[u8], i64); 3] = [
                    (b"],\"next_offset\":", self.next_offset),
                    (b",\"high_watermark\":", fetched.high_watermark),
                    (b",\"log_start_offset\":", fetched.log_start_offset),
                ];
                for (name, value) in rows {
                    self.body.extend_from_slice(name);
                    format::write_number(&mut self.body, value);
                }
                let up_to_date = self.next_offset >= question.end(fetched);
                self.body.extend_from_slice(if up_to_date {
                    b",\"up_to_date\":true}\n"
                } else {
                    b",\"up_to_date\":false}\n"
                });
                "application/json"
            }
            Format::Lines => "application/x-ndjson",
            Format::Raw => return self,
        };
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_start_is_given_or_none() {
        let begin = |text| start(&Query::parse(Some(text), &PARAMETERS).unwrap()).ok();
        assert_eq!(begin(""), Some(Start::Earliest));
        assert_eq!(begin("offset=7"), Some(Start::Offset(7)));
        assert_eq!(begin("offset=latest"), Some(Start::Latest));
        assert_eq!(begin("timestamp=9"), Some(Start::Timestamp(9)));
        assert_eq!(begin("tail=3"), Some(Start::Tail(3)));
        for text in ["offset=7&tail=1", "offset=7&timestamp=1", "offset=-1", "offset=soon", "tail=-1", "timestamp=x"] {
            assert_eq!(begin(text), None, "{text}");
        }
    }
}
