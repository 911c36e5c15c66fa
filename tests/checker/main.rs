//! `cargo run -p tests --bin check -- history.jsonl…`: judges histories. Exit code 0: valid; 1: violated; 2: not a history;
//! 3: void. The worst of them, where there are several.
#![allow(clippy::disallowed_methods, reason = "a tool of the tests reads real files")]

use std::{fs::File, io::BufReader, process::ExitCode};

use tests::checker;

fn judge(path: &str) -> Result<checker::Report, String> {
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    checker::check(BufReader::with_capacity(1 << 20, file)).map_err(|bad| format!("{path}: {bad}"))
}

fn main() -> ExitCode {
    let paths: Vec<_> = std::env::args().skip(1).collect();
    if paths.is_empty() || paths.iter().any(|path| path.starts_with('-')) {
        eprintln!("check history.jsonl…");
        return ExitCode::from(2);
    }
    let mut codes = Vec::new();
    for path in paths {
        match judge(&path) {
            Ok(report) => {
                print!("{path}: {report}");
                codes.push(report.verdict.exit_code());
            }
            Err(cause) => {
                eprintln!("{cause}");
                codes.push(2);
            }
        }
    }
    // a violation weighs more than a bad file, and that more than a void run
    let worst = [1, 2, 3].into_iter().find(|code| codes.contains(code)).unwrap_or(0);
    ExitCode::from(worst)
}
