//! Mistakes are planted, and each has to be found with the input that makes it.

use std::hint::black_box;

use super::limits::{MAX_CPU, cpu};
use super::{FuzzTarget, fed};

/// What a reader does at the word `bang` says; all other inputs are fine.
fn planted(name: &'static str, mistake: impl Fn(&[u8])) -> Option<(Vec<u8>, String)> {
    let target = FuzzTarget::of_texts(name, module_path!(), &["bang"], &["a seed"]);
    let judge = |bytes: &[u8]| {
        if bytes.windows(4).any(|it| it == b"bang") {
            mistake(bytes);
        }
        "read".to_owned()
    };
    match fed(&target, judge) {
        // In the process of the target itself, or in that of another one.
        Ok(None) => None,
        Ok(Some(report)) => Some((Vec::new(), report)),
        Err(failed) => Some((failed.input, failed.cause)),
    }
}

fn is_found(found: Option<(Vec<u8>, String)>, words: &str) {
    if let Some((input, cause)) = found {
        assert!(cause.contains(words), "{cause}");
        assert!(input.windows(4).any(|it| it == b"bang"), "{input:?}: {cause}");
    }
}

#[test]
fn a_reader_that_panics_is_found() {
    is_found(planted("planted-panic", |_| panic!("as planted")), "as planted");
}

#[test]
fn memory_that_runs_away_is_found() {
    let hoard = |_: &[u8]| drop(black_box(vec![1_u8; black_box(512 << 20)]));
    is_found(planted("planted-hoard", hoard), "memory allocation of");
}

#[test]
fn a_stack_that_overflows_is_found() {
    fn recurse(depth: u64) -> u64 {
        let here = black_box([depth; 64]);
        if depth == 0 { 0 } else { recurse(depth - 1) + here[1] }
    }
    is_found(planted("planted-depth", |_| assert!(black_box(recurse(u64::MAX)) > 0)), "overflow");
}

#[test]
fn an_input_that_takes_too_long_is_found() {
    let spin = |_: &[u8]| while cpu() < 4 * MAX_CPU {};
    is_found(planted("planted-spin", spin), "of a processor");
}

#[test]
fn a_reader_without_a_mistake_is_reported() {
    if let Some((input, report)) = planted("planted-none", |_| {}) {
        assert!(
            input.is_empty() && report.contains("planted-none") && report.contains("1 ways to end"),
            "{report}"
        );
    }
}
