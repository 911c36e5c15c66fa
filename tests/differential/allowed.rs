//! The differences from Apache Kafka 4.3 that are meant, each with its reason. At most 15, and none in an error code.

use crate::compare::Allowed;

/// All of them.
pub const ALLOWED: &[Allowed] = &[
    Allowed {
        case: "ApiVersions*",
        path: "api_keys*",
        reason: "only what is served is listed: groups, transactions, security come later, Kafka's internal APIs never",
    },
    Allowed { case: "ApiVersions*", path: "*features*", reason: "features are listed with the APIs that they gate" },
];
