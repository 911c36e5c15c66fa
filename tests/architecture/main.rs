//! Holds the house in order: who may import whom, which third party is known where, how files look.
//!
//! The tables are the point; `lexer` reads the sources. A finding names file, line, rule and what to do.
#![allow(clippy::disallowed_methods, clippy::expect_used, reason = "a test reads the sources from the real disk")]

mod lexer;
mod rules;
mod tables;

use std::path::{Path, PathBuf};

/// Every source file of the repository, relative to its root, with `/`.
fn sources(root: &Path) -> Vec<(String, String)> {
    let (mut out, mut dirs) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(root.join(&dir)).expect("a folder of the repository").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = dir.join(&name);
            if entry.path().is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    dirs.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(entry.path()).expect("UTF-8");
                out.push((path.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    out.sort();
    out
}

#[test]
fn the_house_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = sources(root);
    assert!(files.len() > 50, "only {} source files found under {}", files.len(), root.display());
    let findings: Vec<_> = files.iter().flat_map(|(path, text)| rules::judge(path, text)).collect();
    assert!(findings.is_empty(), "{} findings\n{}\n", findings.len(), findings.join("\n"));
}

#[test]
fn manifests_keep_the_arrows_between_packages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, allowed) in tables::PACKAGES {
        let text = std::fs::read_to_string(root.join(folder).join("Cargo.toml")).expect("a package's manifest");
        let findings = rules::judge_manifest(folder, &text, allowed);
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}

#[test]
fn every_exception_is_still_needed() {
    let files = sources(Path::new(env!("CARGO_MANIFEST_DIR")));
    for (file, path, _) in tables::EXCEPTIONS {
        let text = files.iter().find(|(name, _)| name == file).map(|(_, text)| text.as_str());
        let used =
            text.is_some_and(|text| rules::resolved_paths(file, text).iter().any(|found| rules::covers(path, found)));
        assert!(
            used,
            "tests/architecture/tables.rs excepts {file} → {path}, which is not there any more: remove the row"
        );
    }
}

/// Each rule must be able to fail: a source that breaks it, and the words that the finding must have.
#[test]
fn each_rule_finds_what_it_forbids() {
    let broken: &[(&str, &str, &str)] = &[
        (
            "server/src/log/x.rs",
            "//! x\nuse crate::{os::clock, partition::Partition};",
            "x.rs:2: `log` must not import `partition`",
        ),
        (
            "server/src/log/x.rs",
            "//! x\nfn f() {\n    crate::api::dispatch();\n}",
            "x.rs:3: `log` must not import `api`",
        ),
        ("server/src/os/x.rs", "//! x\nuse super::super::journal::Lsn;", "`os` must not import `journal`"),
        ("server/src/api/x.rs", "//! x\nuse crate::os::disk::SharedDisk;", "`api` must not import `os::disk`"),
        ("server/src/net/x.rs", "//! x\nuse crate::log::Log;", "`net` must not import `log`"),
        ("server/src/attic/x.rs", "//! x\nuse crate::os::clock;", "`attic` is not in the table"),
        (
            "server/src/api/x.rs",
            "//! x\nuse tidemark_client::Producer;",
            "the server must not import `tidemark_client::Producer`",
        ),
        ("bridge-http/src/x.rs", "//! x\nuse tidemark_server::node;", "must not import `tidemark_server`"),
        ("client/record/src/x.rs", "//! x\nuse tidemark_client::wire;", "must not import `tidemark_client`"),
        ("server/src/log/x.rs", "//! x\nuse kafka_protocol::messages;", "`kafka_protocol` is confined"),
        ("server/src/partition/x.rs", "//! x\nuse openraft as raft;", "`openraft` is confined"),
        ("server/src/log/x.rs", "//! x\nfn f() { memmap2::Mmap::map(); }", "`memmap2` is confined"),
        ("server/src/log/x.rs", "//! x\nfn f() { crc32c::crc32c(b\"\"); }", "`crc32c` is confined"),
        ("server/src/net/x.rs", "//! x\nuse axum::Router;", "`axum` is confined"),
        ("server/src/journal/x.rs", "//! x\nuse tokio::sync::mpsc;", "`tokio` must not be known"),
        ("server/src/log/x.rs", "// x\nfn f() {}", "x.rs:1: the first line must be `//!`"),
        ("server/src/log/mod.rs", "//! x\nmod a;\npub struct B;", "mod.rs:3: a `mod.rs` is a door"),
        ("server/src/log/mod.rs", "//! x\n#[derive(Debug)]\nenum B { C }", "mod.rs:3: a `mod.rs` is a door"),
        ("server/src/log/util.rs", "//! x", "the name `util` says nothing"),
        ("server/src/common/x.rs", "//! x", "the name `common` says nothing"),
        ("server/src/log/x.rs", "//! x\nmod type_manager {}", "the name `type_manager` says nothing"),
    ];
    for (path, text, expected) in broken {
        let findings = rules::judge(path, text);
        assert!(findings.iter().any(|finding| finding.contains(expected)), "{path}: {text}\nfound {findings:?}");
    }
    let long = format!("//! x\n{}", "fn f() {}\n".repeat(600));
    assert!(rules::judge("server/src/log/x.rs", &long)[0].contains("601 production lines"));
    let manifest = "[dependencies]\ntidemark-server.workspace = true\n[dev-dependencies]\ntempfile = \"3\"\n";
    assert!(rules::judge_manifest("mirror", manifest, &["tidemark-client"])[0].contains("tidemark-server"));
}

#[test]
fn what_is_allowed_is_left_alone() {
    let long_tests = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(700));
    let fine: &[(&str, &str)] = &[
        (
            "server/src/log/x.rs",
            "//! crate::api\n// use crate::api;\nconst A: &str = \"crate::api\";\nconst B: &str = r#\"crate::\"api\"#;",
        ),
        ("server/src/log/x.rs", "//! x\nfn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' }\nuse crate::os::disk;"),
        ("server/src/log/x.rs", "//! x\n#[cfg(test)]\nmod tests {\n    use crate::partition::Partition;\n}"),
        ("server/src/log/tests.rs", "//! x\nuse crate::partition::Partition;"),
        (
            "server/src/log/mod.rs",
            "//! x\n#![allow(x)]\n#[cfg(test)]\nmod tests;\npub(crate) mod a;\npub use a::{B, c::D};",
        ),
        ("server/src/raft/x.rs", "//! x\nuse openraft::Raft;\nuse super::super::log::Log;"),
        ("server/src/api/x.rs", "//! x\nuse tidemark_client::wire::shape;\nuse tidemark_record::BatchHeader;"),
        ("mirror/src/x.rs", "//! x\nuse tidemark_client::Producer;"),
        ("server/src/log/x.rs", &long_tests),
    ];
    for (path, text) in fine {
        assert_eq!(rules::judge(path, text), Vec::<String>::new(), "{text}");
    }
}
