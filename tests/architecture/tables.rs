//! The tables: arrows between rooms and packages, confinement of third parties, and the exceptions with their reasons.

/// Room of `server/src` → what it may import, as path prefixes. Rooms that hold no row are not allowed at all.
/// `metrics` may be imported by all: each room declares its own counters.
pub const ROOMS: &[(&str, &[&str])] = &[
    ("os", &[]),
    ("metrics", &[]),
    ("tasks", &["metrics"]),
    ("metadata", &[]),
    ("auth", &["metadata"]),
    ("log", &["os", "metrics"]),
    ("journal", &["os", "metrics"]),
    ("raft", &["os", "log", "journal", "metadata", "tasks", "metrics"]),
    ("transport", &["os", "metrics", "tasks"]),
    ("partition", &["os", "log", "raft", "metadata", "metrics", "tasks"]),
    ("controller", &["os", "raft", "metadata", "metrics", "tasks"]),
    ("group", &["os", "partition", "metadata", "metrics", "tasks"]),
    ("txn", &["os", "partition", "metadata", "metrics", "tasks"]),
    (
        "api",
        &["os::clock", "os::random", "auth", "controller", "group", "txn", "partition", "metadata", "metrics", "tasks"],
    ),
    ("net", &["os", "api", "auth", "metrics", "tasks"]),
    ("config", EVERY_ROOM),
    ("node", EVERY_ROOM),
    ("lib", EVERY_ROOM),
];

const EVERY_ROOM: &[&str] = &[
    "os",
    "metrics",
    "tasks",
    "metadata",
    "auth",
    "log",
    "journal",
    "raft",
    "transport",
    "partition",
    "controller",
    "group",
    "txn",
    "api",
    "net",
    "config",
    "node",
];

/// File, path it may name all the same, why.
pub const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "server/src/log/mod.rs",
        "journal::LogEnd",
        "what a checkpoint says about a log's end is one type, and the journal writes it",
    ),
    (
        "server/src/api/reply.rs",
        "os::disk::SharedFile",
        "an answer carries ranges of segments, so that they are sent and never copied",
    ),
];

/// Package folder → packages of ours that it may depend on.
pub const PACKAGES: &[(&str, &[&str])] = &[
    ("client/record", &[]),
    ("client", &["tidemark-record"]),
    ("server", &["tidemark-record", "tidemark-client"]),
    ("bridge-http", &["tidemark-client", "tidemark-record"]),
    ("mirror", &["tidemark-client", "tidemark-record"]),
    ("tests", &["tidemark-client", "tidemark-record"]),
];

/// Of `tidemark_client`, the server may know these: the broker must not become a client of itself.
pub const CLIENT_FOR_SERVER: &[&str] = &["wire", "connection"];

/// Third party → where it may be known, as path prefixes.
pub const CONFINED: &[(&str, &[&str])] = &[
    ("kafka_protocol", &["client/", "server/src/api/", "tests/", "benches/"]),
    ("openraft", &["server/src/raft/"]),
    ("memmap2", &["server/src/os/"]),
    ("crc32c", &["server/src/os/checksum.rs", "client/record/src/batch.rs"]),
    ("axum", &["bridge-http/"]),
];

/// Third party → where it must not be known.
pub const BANNED: &[(&str, &[&str])] =
    &[("tokio", &["server/src/log/", "server/src/journal/", "server/src/metadata/"])];

/// Words that say nothing about what lives there, whole or as the last part of a name.
pub const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "types", "misc"];

/// Longest file, without tests.
pub const PRODUCTION_LINES_MAX: usize = 600;
