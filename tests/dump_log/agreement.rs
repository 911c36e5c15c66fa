//! Both tools over one partition's directory. What ours says is put into the words of Kafka's, and then each line must
//! be the same.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use harness::apache;
use serde_json::Value;

/// Frames as `tidemark log dump --internal --records --json` shows them, after Kafka's tool has said the same of each.
///
/// # Panics
/// If they differ; the message holds both lines.
pub fn agreed(dir: &Path) -> Vec<Value> {
    let ours = dumped(dir);
    let theirs = dumped_by_kafka(dir);
    let mut their_lines = theirs.iter();
    for frame in &ours {
        for line in lines(frame) {
            let theirs = their_lines.next().unwrap_or_else(|| panic!("Kafka's tool ended before:\n{line}"));
            assert_eq!(theirs, &line, "Kafka's line, then ours, of {}", frame["segment"]);
        }
    }
    assert_eq!(their_lines.next(), None, "Kafka's tool goes on");
    ours
}

fn dumped(dir: &Path) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command.args(["log", "dump", "--internal", "--records", "--json"]).arg(dir).stdin(Stdio::null());
    let output = command.output().expect("the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Kafka's lines without the two heads of each segment.
fn dumped_by_kafka(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> =
        entries.map(|path| path.display().to_string()).filter(|path| path.ends_with(".log")).collect();
    segments.sort();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = segments.join(",");
    let arguments = ["kafka-dump-log", "--deep-iteration", "--print-data-log", "--files", &files];
    let output = apache::tool(repository, &arguments);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let heads = |line: &&str| line.starts_with("Dumping ") || line.starts_with("Log starting offset: ");
    text.lines().filter(|line| !heads(line)).map(str::to_owned).collect()
}

/// What Kafka's tool should print for a frame: the batch, then its records.
fn lines(frame: &Value) -> Vec<String> {
    let number = |name: &str| frame[name].as_i64().unwrap_or_else(|| panic!("{name} in {frame}"));
    let (base_offset, count, base_sequence) = (number("base_offset"), number("records_count"), number("base_sequence"));
    // a frame without records covers no offset
    let last_offset = frame["last_offset"].as_i64().unwrap_or(base_offset - 1);
    let last_sequence = if base_sequence < 0 { -1 } else { base_sequence + count - 1 };
    let time = frame["timestamp_type"].as_str().unwrap();
    let crc = u32::from_str_radix(frame["crc"].as_str().unwrap(), 16).unwrap();
    let batch = format!(
        "baseOffset: {base_offset} lastOffset: {last_offset} count: {count} baseSequence: {base_sequence} \
         lastSequence: {last_sequence} producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} \
         isControl: {} deleteHorizonMs: OptionalLong.empty position: {} {time}: {} size: {} magic: 2 compresscodec: {} \
         crc: {crc} isvalid: {}",
        number("producer_id"),
        number("producer_epoch"),
        number("leader_epoch"),
        frame["transactional"],
        frame["kind"] != "batch",
        number("position"),
        number("max_timestamp"),
        number("bytes"),
        frame["codec"].as_str().unwrap(),
        frame["crc_ok"],
    );
    let records = frame["records"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(records.len() as i64, count, "{frame}");
    let records = records.iter().zip(0..).map(|(record, at)| {
        let sequence = if base_sequence < 0 { -1 } else { base_sequence + at };
        line(record, time, sequence)
    });
    std::iter::once(batch).chain(records).collect()
}

fn line(record: &Value, time: &str, sequence: i64) -> String {
    let size = |name: &str| record[name].as_str().map_or(-1, |text| text.len() as i64);
    let shown =
        |word: &str, name: &str| record[name].as_str().map_or_else(String::new, |text| format!(" {word}: {text}"));
    let headers = record["headers"].as_array().unwrap().iter().map(|header| header["name"].as_str().unwrap());
    format!(
        "| offset: {} {time}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]{}{}",
        record["offset"],
        record["timestamp"],
        size("key"),
        size("value"),
        headers.collect::<Vec<_>>().join(","),
        shown("key", "key"),
        shown("payload", "value"),
    )
}
