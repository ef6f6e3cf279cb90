//! Feeds arbitrary bytes to whatever reads bytes from outside.
//!
//! A target is a test in a module called `fuzz`, beside what it feeds. Its test runs itself once
//! more, as a process of its own with little memory: so a stack that overflows, memory that runs
//! away and a loop without an end are failures like a panic, and the input that made them is there.
//! Inputs are made from seeds and from the corpus, by changes that are seeded. What ended in a way
//! of its own is changed further.
//!
//! A target runs for a second, always from the same start. `make fuzz TIME=600` shares its time
//! among all of them, starts somewhere else, and adds to the corpora in `host/testkit/corpus`.

mod change;
mod corpus;
mod feeding;
mod limits;
mod target;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::Command;

pub use self::change::change;
pub use self::corpus::{Corpus, MAX_CORPORA};
pub use self::feeding::number;
use self::limits::Watch;
pub use self::target::FuzzTarget;

/// Names the target that a process is to feed: it was started for that one alone.
const TARGET: &str = "LONGSHORE_FUZZ_TARGET";
/// Where that process leaves its input and its report.
const SCRATCH: &str = "LONGSHORE_FUZZ_SCRATCH";
/// Names the one target that is wanted.
const ONLY: &str = "LONGSHORE_FUZZ_ONLY";
/// How much of what the process said is shown, in bytes.
const SHOWN: usize = 3000;

/// Feeds a target: `judge` reads the bytes, panics if something is wrong with that, and says in
/// words how it ended. Words tell ways to end apart, and numbers do not.
///
/// # Panics
/// If `judge` panicked, took too long or took too much memory. The message names the input.
pub fn feed(target: &FuzzTarget, judge: impl FnMut(&[u8]) -> String) {
    if is_wanted(target.name)
        && let Some(said) = fed(target, judge).unwrap_or_else(|failed| {
            let kept = Corpus::of(target.name).keep(&failed.input);
            panic!("{}; its {} bytes are in {}", failed.cause, failed.input.len(), kept.display());
        })
    {
        assert!(Corpus::of(target.name).is_there(), "`make fuzz ONLY={}` makes its corpus", target.name);
        println!("\n{said}");
    }
}

/// Whether a target is to be fed: all are, unless one is named.
pub fn is_wanted(name: &str) -> bool {
    std::env::var(ONLY).ok().filter(|only| !only.is_empty()).is_none_or(|only| only == name)
}

/// An input that failed, and how.
#[derive(Debug)]
struct FailedInput {
    input: Vec<u8>,
    cause: String,
}

/// What a process of its own said of a target; `None` in that process itself.
fn fed(target: &FuzzTarget, judge: impl FnMut(&[u8]) -> String) -> Result<Option<String>, FailedInput> {
    let FuzzTarget { name, module, .. } = target;
    if let Ok(wanted) = std::env::var(TARGET) {
        if wanted == *name {
            let scratch = std::env::var(SCRATCH).expect("it stands beside the target's name");
            feeding::run(target, judge, Path::new(&scratch));
        }
        return Ok(None);
    }
    let scratch = tempfile::tempdir().unwrap();
    let (_, module) = module.split_once("::").expect("a module of a crate");
    let ran = Command::new(std::env::current_exe().unwrap())
        .args([&format!("{module}::"), "--nocapture", "--test-threads=1"])
        .env(TARGET, name)
        .env(SCRATCH, scratch.path())
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let report = std::fs::read_to_string(scratch.path().join(feeding::REPORT));
    match report {
        Ok(report) if ran.status.success() => Ok(Some(report)),
        _ => {
            let said = String::from_utf8_lossy(&ran.stderr);
            let said = &said[said.ceil_char_boundary(said.len().saturating_sub(SHOWN))..];
            Err(FailedInput {
                input: Watch::last(scratch.path()),
                cause: format!("{name}: an input ended the process ({}): {}", ran.status, said.trim()),
            })
        }
    }
}
