//! A seeded fuzz runner on stable Rust: damages good inputs and feeds them to plain functions that must return.
//!
//!     cargo test --test fuzz -- --seconds 60 --seed 7 --target segment
//!
//! The same seed gives the same inputs. An input that panics is printed with its seed and written to the temporary
//! directory; put it into `corpus/TARGET/` once the fault is mended. Without arguments each target runs for a moment, so
//! that a plain `cargo test` sees whether they work at all.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod mutation;
mod targets;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    mutation::Random,
    targets::{TARGETS, Target},
};

/// How long a target runs where nothing is said.
const A_MOMENT: Duration = Duration::from_millis(500);
/// An input that takes longer is a finding too; generous, for an unoptimised build on a loaded machine.
const INPUT_MAX: Duration = Duration::from_secs(10);

struct Options {
    each: Duration,
    seed: u64,
    target: Option<String>,
}

/// Arguments that cargo passes to every test binary are not ours.
fn options() -> Options {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value =
        |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
    let number = |name: &str| {
        value(name).map(|text| text.parse::<u64>().unwrap_or_else(|error| panic!("{name} {text}: {error}")))
    };
    Options {
        each: number("--seconds").map_or(A_MOMENT, Duration::from_secs),
        seed: number("--seed").unwrap_or(1),
        target: value("--target").cloned(),
    }
}

fn main() -> ExitCode {
    let options = options();
    let (mut passed, mut failed) = (0, 0);
    for target in TARGETS.iter().filter(|target| options.target.as_deref().is_none_or(|name| name == target.name)) {
        match run(target, &options) {
            Ok(inputs) => {
                println!("fuzz {:<14} seed {:<10} {inputs} inputs", target.name, options.seed);
                passed += 1;
            }
            Err(finding) => {
                println!("fuzz {:<14} seed {:<10} FAILED: {finding}", target.name, options.seed);
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The corpus and the good inputs as they are, then damaged ones until time is up.
fn run(target: &Target, options: &Options) -> Result<u64, String> {
    let mut good = corpus(target.name);
    good.extend((target.good)());
    let mut random = Random::new(options.seed);
    let end = Instant::now() + options.each;
    let mut inputs = 0;
    for input in &good {
        feed(target, input)?;
        inputs += 1;
    }
    while Instant::now() < end {
        let input = random.damaged(&good);
        feed(target, &input)?;
        inputs += 1;
    }
    Ok(inputs)
}

fn feed(target: &Target, input: &[u8]) -> Result<(), String> {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.feed)(input)));
    let took = began.elapsed();
    if outcome.is_ok() && took < INPUT_MAX {
        return Ok(());
    }
    let path = std::env::temp_dir().join(format!("tidemark-fuzz-{}-{}", target.name, std::process::id()));
    let kept = std::fs::write(&path, input).map_or_else(|error| error.to_string(), |()| path.display().to_string());
    let what = if outcome.is_err() { "a panic".to_owned() } else { format!("{took:?} for one input") };
    let shown = &input[..input.len().min(200)];
    Err(format!("{what}; {} bytes, kept in {kept}: {shown:02x?}", input.len()))
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let Ok(entries) = std::fs::read_dir(&dir) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a file of the corpus")).collect()
}
