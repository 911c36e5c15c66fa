//! One map of properties from a file and flags: defaults, then the file, then `--set`, then flags of their own.
//!
//! Not here: what a property means (`tidemark_server::config`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{command::Server, properties};
use crate::failure::Failure;

/// Puts together what the broker is told.
pub(super) fn gather(server: &Server) -> Result<BTreeMap<String, String>, Failure> {
    let mut settings = BTreeMap::new();
    if let Some(path) = &server.config {
        settings.extend(read_file(path)?);
    }
    settings.extend(server.set.iter().cloned());
    let mut flag = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            settings.insert(key.to_owned(), value);
        }
    };
    flag("listeners", server.listen.clone());
    flag("advertised.listeners", server.advertise.clone());
    flag("log.dirs", server.data.as_ref().map(|dir: &PathBuf| dir.to_string_lossy().into_owned()));
    flag("node.id", server.node_id.map(|id| id.to_string()));
    flag("tidemark.raft.listener", server.raft.clone());
    flag("controller.quorum.voters", server.voters.clone());
    flag("tidemark.http.listener", server.http.clone());
    flag("tidemark.http.listener", server.no_http.then(|| "none".to_owned()));
    flag("tidemark.allow.plaintext", server.allow_plaintext.then(|| "true".to_owned()));
    Ok(settings)
}

fn read_file(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    #[allow(clippy::disallowed_methods, reason = "a file of the user's, not of the broker's data")]
    let bytes = std::fs::read(path).map_err(|cause| {
        Failure::new(format!("--config {}: {cause}", path.display())).next("name a file that can be read")
    })?;
    let wrong = |cause: String| {
        Failure::new(format!("--config {}: {cause}", path.display()))
            .next("the file holds lines of key=value, in the form of Kafka's server.properties")
    };
    let text = String::from_utf8(bytes).map_err(|cause| wrong(cause.to_string()))?;
    properties::parse(&text).map_err(wrong)
}

/// `key=value` of `--set` and `--config`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("`{text}` is no key=value")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        server: Server,
    }

    fn gathered(arguments: &[&str]) -> BTreeMap<String, String> {
        gather(&Line::parse_from([&["server"], arguments].concat()).server).unwrap()
    }

    #[test]
    fn flags_win_over_set_and_set_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"node.id=1\nnum.partitions=2\nlog.dirs=/file\nbroker.rack=r\n").unwrap();
        let path = file.path().to_str().unwrap();
        let settings = gathered(&[
            "--config",
            path,
            "--set",
            "node.id=2",
            "--set",
            "num.partitions=3",
            "--node-id",
            "4",
            "--no-http",
        ]);
        let found = |key: &str| settings.get(key).map(String::as_str);
        assert_eq!((found("node.id"), found("num.partitions")), (Some("4"), Some("3")));
        assert_eq!((found("log.dirs"), found("broker.rack")), (Some("/file"), Some("r")));
        assert_eq!(found("tidemark.http.listener"), Some("none"));
    }

    #[test]
    fn nothing_said_sets_nothing() {
        assert_eq!(gathered(&[]), BTreeMap::new());
    }

    #[test]
    fn a_setting_needs_a_key() {
        assert_eq!(key_value("a = b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(key_value("a="), Ok(("a".to_owned(), String::new())));
        assert!(key_value("=b").is_err() && key_value("a").is_err());
    }
}
