//! The one mapping from what went wrong to a status: `application/problem+json` (RFC 9457). Not here: the wrong things.
//!
//! `type` is stable and relative, `/problems/NAME`; `title` and `status` follow from it, and so does `retryable`: whether
//! the same request may succeed later. `kafka_error` is the broker's code where it gave one. No text of ours or of a broker
//! above 499 is passed on: it goes to the log.

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};
use tidemark_client::{ClientError, KafkaError, ProduceError, ReadError, error::Subject};

use crate::guard::Refusal;

/// Kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MalformedRequest,
    InvalidPath,
    InvalidTopic,
    InvalidParameter,
    InvalidHeader,
    InvalidBody,
    Forbidden,
    UnknownPath,
    UnknownTopic,
    UnknownPartition,
    MethodNotAllowed,
    NotAcceptable,
    SlowRequest,
    OffsetGone,
    TooLarge,
    TargetTooLong,
    UnsupportedMediaType,
    UnsupportedEncoding,
    OffsetBeyondTail,
    Unprocessable,
    RecordRefused,
    Throttled,
    HeadersTooLarge,
    RecordDamaged,
    Internal,
    BrokerUnavailable,
    Overloaded,
    HttpVersion,
    StorageUnavailable,
}

impl Kind {
    /// Name of the type, status, title.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::MalformedRequest => ("malformed-request", 400, "the request is no sound HTTP"),
            Self::InvalidPath => ("invalid-path", 400, "the path is not valid"),
            Self::InvalidTopic => ("invalid-topic", 400, "the topic's name is not valid"),
            Self::InvalidParameter => ("invalid-parameter", 400, "a query parameter is not valid"),
            Self::InvalidHeader => ("invalid-header", 400, "a header is not valid"),
            Self::InvalidBody => ("invalid-body", 400, "the body is not what its headers say"),
            Self::Forbidden => ("forbidden", 403, "this is not allowed"),
            Self::UnknownPath => ("unknown-path", 404, "there is nothing at this path"),
            Self::UnknownTopic => ("unknown-topic", 404, "there is no such topic"),
            Self::UnknownPartition => ("unknown-partition", 404, "the topic has no such partition"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "the method is not served here"),
            Self::NotAcceptable => ("not-acceptable", 406, "no format that is served was asked for"),
            Self::SlowRequest => ("slow-request", 408, "the request did not come in time"),
            Self::OffsetGone => ("offset-gone", 410, "the offset is below the first that is kept"),
            Self::TooLarge => ("too-large", 413, "the body is too large"),
            Self::TargetTooLong => ("target-too-long", 414, "the request target is too long"),
            Self::UnsupportedMediaType => ("unsupported-media-type", 415, "the content type is not understood"),
            Self::UnsupportedEncoding => ("unsupported-encoding", 415, "the content encoding is not understood"),
            Self::OffsetBeyondTail => ("offset-beyond-tail", 416, "the offset is beyond the end of the partition"),
            Self::Unprocessable => ("unprocessable", 422, "a value cannot be decoded"),
            Self::RecordRefused => ("record-refused", 422, "the record breaks a rule of the topic"),
            Self::Throttled => ("throttled", 429, "a quota is used up"),
            Self::HeadersTooLarge => ("headers-too-large", 431, "the headers are too many or too large"),
            Self::RecordDamaged => ("record-damaged", 500, "a stored record is damaged"),
            Self::Internal => ("internal", 500, "the request failed"),
            Self::BrokerUnavailable => ("broker-unavailable", 503, "no broker can do this at the moment"),
            Self::Overloaded => ("overloaded", 503, "too much is asked of the bridge at the moment"),
            Self::HttpVersion => ("http-version", 505, "the version of HTTP is not spoken"),
            Self::StorageUnavailable => ("storage-unavailable", 507, "the broker cannot store more at the moment"),
        }
    }

    fn retryable(self) -> bool {
        self.retry_after_s().is_some() || self == Self::SlowRequest
    }

    fn retry_after_s(self) -> Option<u16> {
        match self {
            Self::Overloaded | Self::Throttled | Self::BrokerUnavailable => Some(1),
            Self::StorageUnavailable => Some(10),
            _ => None,
        }
    }
}

/// An answer that says what went wrong.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    kind: Kind,
    detail: String,
    kafka_error: Option<i16>,
    members: Vec<(&'static str, Value)>,
    headers: HeaderMap,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (members, headers) = (Vec::new(), HeaderMap::new());
        Self(Box::new(Parts { kind, detail: detail.into(), kafka_error: None, members, headers }))
    }

    /// The connection ends with the answer.
    pub(crate) fn closing(self) -> Self {
        self.header(CONNECTION, HeaderValue::from_static("close"))
    }

    /// Adds a member to the body.
    pub(crate) fn member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.push((name, value.into()));
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: axum::http::HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    fn kafka(mut self, code: i16) -> Self {
        self.0.kafka_error = Some(code);
        self
    }

    /// What a broker refused; `partition` where the request was about one.
    fn from_kafka(error: &KafkaError, partition: Option<i32>) -> Self {
        let kind = match error.code {
            KafkaError::UNKNOWN_TOPIC_OR_PARTITION if partition.is_some() => Kind::UnknownPartition,
            KafkaError::UNKNOWN_TOPIC_OR_PARTITION => Kind::UnknownTopic,
            17 => Kind::InvalidTopic,
            10 | 18 => Kind::TooLarge,
            29 | 31 => Kind::Forbidden,
            32 | 42 | 44 | 76 | 87 => Kind::RecordRefused,
            56 => Kind::StorageUnavailable,
            89 => Kind::Throttled,
            _ if error.retryable => Kind::BrokerUnavailable,
            _ => Kind::Internal,
        };
        let detail = if kind.row().1 < 500 {
            error.message.to_string()
        } else {
            tracing::warn!(%error, "a broker failed a request");
            error.name.to_string()
        };
        Self::new(kind, detail).kafka(error.code)
    }
}

impl From<&ClientError> for Problem {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::Kafka { subject, error } => {
                let partition = if let Subject::Partition(_, partition) = subject { Some(*partition) } else { None };
                Self::from_kafka(error, partition)
            }
            ClientError::Connect { .. } | ClientError::Disconnected { .. } | ClientError::Timeout { .. } => {
                tracing::warn!(%error, "no broker answered");
                Self::new(Kind::BrokerUnavailable, "no broker answered")
            }
            ClientError::Malformed { .. } | ClientError::UnsupportedVersion { .. } | ClientError::Invalid(_) => {
                tracing::error!(%error, "a request to a broker failed");
                Self::new(Kind::Internal, "a request to a broker failed")
            }
        }
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        Self::from(&error)
    }
}

impl From<ProduceError> for Problem {
    fn from(error: ProduceError) -> Self {
        let problem = match &error {
            ProduceError::Refused { error, .. } => Self::from_kafka(error, None),
            ProduceError::Timeout { after, .. } => {
                tracing::warn!(%error, "a record was not acknowledged");
                Self::new(Kind::BrokerUnavailable, format!("the record was not acknowledged in {after:?}"))
            }
            ProduceError::RecordTooLarge { bytes, bytes_max, .. } => {
                Self::new(Kind::TooLarge, format!("the record has {bytes} bytes, at most {bytes_max} are allowed"))
            }
            ProduceError::NoSuchPartition { partition, partitions, .. } => {
                let detail = format!("there is no partition {partition}: the topic has {partitions}");
                Self::new(Kind::UnknownPartition, detail).kafka(KafkaError::UNKNOWN_TOPIC_OR_PARTITION)
            }
            ProduceError::Client(error) => Self::from(error),
            ProduceError::Closed => Self::new(Kind::BrokerUnavailable, "the bridge is stopping"),
        };
        // a device must know that sending again could store the record twice
        if error.maybe_written() { problem.member("maybe_written", true) } else { problem }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::OffsetOutOfRange { offset, earliest, latest, .. } => {
                let problem = if offset < earliest {
                    Self::new(Kind::OffsetGone, format!("offset {offset} is gone: the first one kept is {earliest}"))
                } else {
                    let detail = format!("offset {offset} is beyond the end: the next record gets {latest}");
                    Self::new(Kind::OffsetBeyondTail, detail)
                };
                let problem = problem.member("earliest", *earliest).member("latest", *latest);
                let problem = problem.header(crate::headers::LOG_START_OFFSET, HeaderValue::from(*earliest));
                let problem = problem.header(crate::headers::HIGH_WATERMARK, HeaderValue::from(*latest));
                problem.kafka(KafkaError::OFFSET_OUT_OF_RANGE)
            }
            ReadError::Damaged { offset, .. } => {
                tracing::error!(%error, "a stored batch is damaged");
                Self::new(Kind::RecordDamaged, format!("the batch at offset {offset} cannot be read"))
                    .member("offset", *offset)
            }
            ReadError::Client(error) => Self::from(error),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = match refusal {
            Refusal::Malformed(cause) => Self::new(Kind::MalformedRequest, cause),
            Refusal::Method => Self::new(Kind::MethodNotAllowed, "this method is never served")
                .header(ALLOW, HeaderValue::from_static("GET, HEAD, POST")),
            Refusal::Slow => Self::new(Kind::SlowRequest, "the head of the request took too long"),
            Refusal::TargetTooLong => Self::new(Kind::TargetTooLong, "shorten the path or the query"),
            Refusal::HeadersTooLarge => Self::new(Kind::HeadersTooLarge, "send fewer or shorter headers"),
            Refusal::Version => Self::new(Kind::HttpVersion, "HTTP/1.1 and HTTP/1.0 are spoken"),
        };
        problem.closing()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Parts { kind, detail, kafka_error, members, mut headers } = *self.0;
        let (name, status, title) = kind.row();
        let mut body = Map::new();
        body.insert("type".to_owned(), format!("/problems/{name}").into());
        body.insert("title".to_owned(), title.into());
        body.insert("status".to_owned(), status.into());
        body.insert("detail".to_owned(), detail.into());
        body.insert("retryable".to_owned(), kind.retryable().into());
        body.insert("kafka_error".to_owned(), kafka_error.into());
        for (member, value) in members {
            body.insert(member.to_owned(), value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = kind.retry_after_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, headers, Value::Object(body).to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn answered(problem: Problem) -> (u16, HeaderMap, Value) {
        let response = problem.into_response();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, headers, serde_json::from_slice(&body).unwrap())
    }

    fn refused(code: i16) -> ProduceError {
        let error = KafkaError::new(code).with_message(Some("cannot write /var/lib/secret"));
        ProduceError::Refused { topic: "t".to_owned(), partition: 0, error, maybe_written: false }
    }

    #[tokio::test]
    async fn what_a_broker_refuses_has_its_status() {
        let rows = [
            (3, 404, "unknown-topic", None),
            (5, 503, "broker-unavailable", Some("1")),
            (6, 503, "broker-unavailable", Some("1")),
            (10, 413, "too-large", None),
            (17, 400, "invalid-topic", None),
            (19, 503, "broker-unavailable", Some("1")),
            (29, 403, "forbidden", None),
            (32, 422, "record-refused", None),
            (56, 507, "storage-unavailable", Some("10")),
            (87, 422, "record-refused", None),
            (89, 429, "throttled", Some("1")),
            (47, 500, "internal", None),
            (-1, 500, "internal", None),
        ];
        for (code, status, name, retry_after) in rows {
            let (answered, headers, body) = answered(refused(code).into()).await;
            assert_eq!(
                (answered, body["type"].as_str()),
                (status, Some(format!("/problems/{name}").as_str())),
                "{code}"
            );
            assert_eq!(body["kafka_error"], code);
            assert_eq!(body["retryable"], retry_after.is_some());
            assert_eq!(headers.get(RETRY_AFTER).map(|value| value.to_str().unwrap()), retry_after, "{code}");
            // above 499 nothing of the machine behind is told
            assert_eq!(body["detail"].as_str().unwrap().contains("secret"), status < 500, "{code}");
        }
    }

    #[tokio::test]
    async fn a_record_that_may_be_there_is_called_so() {
        let (topic, cause) = ("t".to_owned(), "10.0.0.1:9092 is silent".to_owned());
        let after = Duration::from_secs(15);
        let error = ProduceError::Timeout { topic, partition: 0, after, cause, maybe_written: true };
        let (status, _, body) = answered(error.into()).await;
        assert_eq!((status, &body["maybe_written"], &body["retryable"]), (503, &true.into(), &true.into()));
        assert!(!body.to_string().contains("10.0.0.1"), "{body}");
        let (status, _, body) = answered(ProduceError::Closed.into()).await;
        assert_eq!((status, &body["maybe_written"]), (503, &true.into()));
        let error = ProduceError::NoSuchPartition { topic: "t".to_owned(), partition: 7, partitions: 2 };
        assert_eq!(answered(error.into()).await.0, 404);
    }

    #[tokio::test]
    async fn a_place_outside_the_log_says_what_there_is() {
        for (offset, status) in [(4, 410), (11, 416)] {
            let (topic, partition) = ("t".to_owned(), 0);
            let error = ReadError::OffsetOutOfRange { topic, partition, offset, earliest: 5, latest: 10 };
            let (answered, headers, body) = answered(error.into()).await;
            assert_eq!((answered, &body["earliest"], &body["latest"]), (status, &5.into(), &10.into()));
            assert_eq!(
                (headers["log-start-offset"].as_bytes(), headers["high-watermark"].as_bytes()),
                (&b"5"[..], &b"10"[..])
            );
        }
    }
}
