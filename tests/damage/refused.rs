//! Starts that are refused: the message names the thing, the cause and the next step, and nothing on disk is changed, so
//! that the next start finds all of it.

use std::{fs, path::Path};

use harness::copy_dir;

use crate::{
    broker,
    records::{check_whole, files, flip, write},
};

const RECORDS: i64 = 20;

/// What is done to the directory, what the message must hold, and how it is mended.
struct Case {
    name: &'static str,
    spoil: fn(&Path),
    said: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "both checkpoints are damaged",
        spoil: |data| {
            ["checkpoint-a", "checkpoint-b"]
                .map(|name| data.join("journal").join(name))
                .iter()
                .filter(|path| path.exists())
                .for_each(|path| flip(path, 40))
        },
        said: &["checkpoint", "journal", "tidemark log verify"],
    },
    Case {
        name: "the journal is gone",
        spoil: |data| files(&data.join("journal"), ".journal").iter().for_each(|path| fs::remove_file(path).unwrap()),
        said: &["journal", "lacks", "restore"],
    },
    Case {
        name: "meta.properties is cut short",
        spoil: |data| fs::write(data.join("meta.properties"), "version=1\n").unwrap(),
        said: &["meta.properties", "damaged", "restore"],
    },
    Case {
        name: "the directory is of a newer version",
        spoil: |data| {
            let path = data.join("meta.properties");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("tidemark.format=2", "tidemark.format=7")).unwrap();
        },
        said: &["meta.properties", "format 7", "start the version that wrote it"],
    },
    Case {
        name: "the directory is of a version before the first release",
        spoil: |data| {
            let path = data.join("meta.properties");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("tidemark.format=2", "tidemark.format=1")).unwrap();
        },
        said: &["meta.properties", "format 1", "unreleased", "move the directory away"],
    },
    Case {
        name: "the directory is of another node",
        spoil: |data| {
            let path = data.join("meta.properties");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("node.id=1", "node.id=9")).unwrap();
        },
        said: &["node 9", "node 1", "--node-id"],
    },
    Case {
        name: "the metadata log is damaged",
        spoil: |data| {
            let segment = files(&data.join("__cluster_metadata-0"), ".log").remove(0);
            let len = fs::metadata(&segment).unwrap().len() as usize;
            flip(&segment, len - 10);
        },
        said: &["metadata log"],
    },
];

#[test]
fn each_says_why_and_changes_nothing() {
    for case in CASES {
        let mut first = broker().start();
        write(&first, 0, RECORDS);
        assert!(first.terminate().success());
        let copy = tempfile::tempdir().unwrap();
        copy_dir(first.data(), copy.path());
        (case.spoil)(first.data());
        let before = listing(first.data());
        let said = broker().data(first.data()).try_start().expect_err(case.name);
        for words in case.said {
            assert!(said.contains(words), "{}: {words:?} is not in:\n{said}", case.name);
        }
        assert!(!said.contains("panicked"), "{}:\n{said}", case.name);
        assert_eq!(listing(first.data()), before, "{}: files changed", case.name);
        let mended = broker().data(copy.path()).start();
        check_whole(&mended, RECORDS);
    }
}

/// Names and sizes, all the way down; not of the file that says whether a broker runs, or ended without saying so.
fn listing(dir: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(listing(&entry.path()));
        } else if entry.file_name() != "boot.properties" {
            found.push((entry.path().display().to_string(), entry.metadata().unwrap().len()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_directory_in_use_and_ones_that_cannot_be_written() {
    let running = broker().start();
    write(&running, 0, 3);
    let said = broker().data(running.data()).try_start().expect_err("in use");
    assert!(said.contains("in use") && said.contains("--data"), "{said}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let said = broker().data(file.path().join("data")).try_start().expect_err("below a file");
    assert!(said.contains("data directory") && said.contains("check that"), "{said}");
    let said = broker().data("/proc/tidemark").try_start().expect_err("in /proc");
    assert!(said.contains("/proc/tidemark"), "{said}");
    check_whole(&running, 3);
}
