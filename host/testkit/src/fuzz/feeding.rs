//! The process that feeds a target.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::change::{change, noise};
use super::corpus::Corpus;
use super::limits::{Watch, limit_memory, peak_memory};
use super::target::FuzzTarget;

/// How long a target is fed, in seconds, unless `LONGSHORE_FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 1;
/// The file with what came of it.
pub(super) const REPORT: &str = "report";

/// A number that a variable may set.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

/// Feeds the corpus, and then what is made of it, and writes what came of it into the scratch
/// directory.
pub(super) fn run(target: &FuzzTarget, mut judge: impl FnMut(&[u8]) -> String, scratch: &Path) {
    let time = Duration::from_secs(number("LONGSHORE_FUZZ_SECONDS", SECONDS));
    let first = number("LONGSHORE_FUZZ_SEED", 1);
    let mut corpus = Corpus::of(target.name).with(&target.seeds);
    assert!(!corpus.inputs().is_empty(), "a target has seeds");
    let mut watch = Watch::start(scratch);
    let before = peak_memory();
    limit_memory();
    corpus.begin();
    for bytes in corpus.inputs().to_vec() {
        corpus.knows(&watch.over(&bytes, &mut judge));
    }
    let (started, mut tried) = (Instant::now(), 0_u64);
    for seed in first.. {
        if started.elapsed() > time {
            break;
        }
        let rng = &mut StdRng::seed_from_u64(seed);
        let bytes = made(rng, corpus.inputs(), target.words);
        let how = watch.over(&bytes, &mut judge);
        corpus.learn(&how, bytes);
        tried += 1;
    }
    let (slowest, length) = watch.slowest;
    let report = format!(
        "fuzz {:<16} {tried:>9} inputs in {:.0} s from seed {first}; {corpus}; the slowest took {:.1} ms of a processor ({length} bytes); memory grew by {:.1} MB",
        target.name,
        started.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1e3,
        peak_memory().saturating_sub(before) as f64 / 1e6,
    );
    std::fs::write(scratch.join(REPORT), report).unwrap();
}

/// An input of a few that are there, and now and then of none.
fn made(rng: &mut StdRng, inputs: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    if rng.random_ratio(1, 64) {
        return noise(rng);
    }
    let [one, other] = [(); 2].map(|()| &inputs[rng.random_range(0..inputs.len())]);
    change(rng, one.clone(), other, words)
}
