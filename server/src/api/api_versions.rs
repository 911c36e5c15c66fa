//! ApiVersions: what this broker serves, read off the dispatch table.

use kafka_protocol::{
    error::ResponseError,
    messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, api_versions_response::ApiVersion},
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    dispatch::{APIS, Api},
    error_code::NONE,
    reply::Handling,
};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 3,
    fields: &[
        field("client_software_name", Kind::String).since(3),
        field("client_software_version", Kind::String).since(3),
    ],
};

pub(super) fn handle(context: &RequestContext, request: ApiVersionsRequest) -> Handling {
    let ApiVersionsRequest { client_software_name: name, client_software_version: version, .. } = request;
    if context.version >= 3 && !(is_name(&name) && is_name(&version)) {
        let code = ResponseError::InvalidRequest.code();
        return Handling::ready(&ApiVersionsResponse::default().with_error_code(code), context.version);
    }
    let answer = ApiVersionsResponse::default().with_error_code(NONE).with_api_keys(APIS.iter().map(row).collect());
    Handling::ready(&answer, context.version)
}

/// The answer to a version that is not served, in the form that every client reads: version 0, with the range of this
/// one API (KIP-511).
pub(super) fn unsupported() -> Handling {
    let own = APIS.iter().filter(|api| api.key == ApiKey::ApiVersions);
    let answer = ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(own.map(row).collect());
    Handling::ready(&answer, 0)
}

fn row(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key as i16)
        .with_min_version(api.advertised_since)
        .with_max_version(api.versions.1)
}

/// Letters and digits, with `-` and `.` inside (Kafka `ApiVersionsRequest.isValid`).
fn is_name(name: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn software_names_are_kafkas() {
        for good in ["a", "apache-kafka-java", "4.3.1", "0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a_b", ".", "é"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
