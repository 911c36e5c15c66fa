//! The command, as one calls it: what it prints and its exit codes.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test stands outside the seams")]

use std::process::{Command, Output};

const CLEAN: &str = r#"{"index":0,"time_ns":0,"type":"run","acks":-1,"idempotent":true,"read_committed":true}
{"index":1,"time_ns":1,"process":0,"client":"own 0.1.0","type":"invoke","f":"send","ops":[["s","a-0",17]]}
{"index":2,"time_ns":2,"process":0,"type":"ok","f":"send","ops":[["s","a-0",17,0]]}
{"index":3,"time_ns":3,"type":"final","state":"begin"}
{"index":4,"time_ns":4,"process":1,"type":"invoke","f":"poll"}
{"index":5,"time_ns":5,"process":1,"type":"ok","f":"poll","ops":[["p",{"a-0":[[0,17]]}]]}
{"index":6,"time_ns":6,"type":"final","state":"end"}
"#;

fn check(histories: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_check"));
    for (number, history) in histories.iter().enumerate() {
        let path = dir.path().join(format!("{number}.jsonl"));
        std::fs::write(&path, history).unwrap();
        command.arg(path);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

#[test]
fn exit_codes_say_valid_violated_void_and_no_history() {
    let (code, said) = check(&[CLEAN]);
    assert!(code == Some(0) && said.contains("VALID"), "{said}");
    let lost = CLEAN.replace("[[0,17]]", "[]");
    let (code, said) = check(&[&lost]);
    assert!(code == Some(1) && said.contains("VIOLATED") && said.contains("unseen: 1"), "{said}");
    let unfinished: String = CLEAN.lines().take(3).map(|line| format!("{line}\n")).collect();
    let (code, said) = check(&[&unfinished]);
    assert!(code == Some(3) && said.contains("VOID"), "{said}");
    let broken = CLEAN.replace("\"f\":\"poll\"}", "\"f\":");
    let (code, said) = check(&[&broken]);
    assert!(code == Some(2) && said.contains("0.jsonl: line 5: "), "{said}");
    let (code, _) = check(&[CLEAN, &unfinished, &lost]);
    assert_eq!(code, Some(1), "the worst of them");
    assert_eq!(check(&[]).0, Some(2));
}
