//! Arbitrary bytes as components. A load works or ends with an error, and a loaded component
//! answers. There is never a panic.
//!
//! `wasm-smith` makes candidates, and others are made from earlier ones, which the [`Corpus`]
//! holds. A candidate that ended in a new way is changed further. A run is seeded, so that a
//! failure can be repeated: its seed is in the message. A run takes ten seconds. `make fuzz
//! TIME=3600 ONLY=component` goes on for longer, from a start of its own, and adds to the corpus.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod candidate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use candidate::Maker;
use longshore_handler::{Invocation, Verdict};
use longshore_sandbox::{Grants, Limits, Sandbox, Settings, describe};
use longshore_testkit::fuzz::{Corpus, is_wanted, number};
use longshore_testkit::sample;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;

/// The name of the corpus.
const COMPONENT_TARGET: &str = "component";

/// Where candidates are loaded and called.
struct Host {
    runtime: Runtime,
    sandbox: Sandbox,
    _cache: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let limits = Limits { memory: 8 << 20, ..Limits::default() };
        let grants = Grants { outbox: vec!["invoices".into()], ..Grants::default() };
        let cache = tempfile::tempdir().unwrap();
        let path = Some(cache.path().into());
        let settings = Settings { concurrency: 1, limits, grants, cache: path, ..Settings::default() };
        Self { runtime, sandbox: Sandbox::new(&settings).unwrap(), _cache: cache }
    }

    /// Loads a candidate, calls it if there is something to call, and says how it ended.
    fn judge(&self, bytes: &[u8]) -> Ended {
        let described = describe(bytes, &Grants::default());
        let component = match self.sandbox.load(bytes) {
            Ok(component) => component,
            Err(error) => return Ended { loaded: false, how: format!("{error:?}") },
        };
        assert!(described.is_ok(), "loaded and not described");
        let order = r#"{"order_id": "o-1", "msg": "ok"}"#;
        let deadline = Duration::from_millis(100);
        let invocation = Invocation { deadline, ..sample::invocation("fuzz", order) };
        let how = match self.runtime.block_on(component.invoke(invocation)).verdict {
            Verdict::Retry { reason, detail, .. } => format!("{reason:?} {detail}"),
            // The words are those of the candidate.
            Verdict::Reject { .. } => "rejected".to_owned(),
            Verdict::Completed => "completed".to_owned(),
        };
        Ended { loaded: true, how }
    }
}

/// How a candidate ended.
struct Ended {
    loaded: bool,
    how: String,
}

#[test]
fn whatever_is_loaded_there_is_no_panic() {
    if !is_wanted(COMPONENT_TARGET) {
        return;
    }
    let until = Instant::now() + Duration::from_secs(number("LONGSHORE_FUZZ_SECONDS", 10));
    let first = number("LONGSHORE_FUZZ_SEED", 1);
    let (host, maker, mut corpus) = (Host::new(), Maker::new(), Corpus::of(COMPONENT_TARGET));
    for bytes in corpus.inputs().to_vec() {
        corpus.knows(&host.judge(&bytes).how);
    }
    let (mut tried, mut loaded) = (0_u64, 0_u64);
    // What cannot be caught, a stack that overflows, leaves its candidate here.
    let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-last");
    for seed in first.. {
        if Instant::now() > until {
            break;
        }
        let bytes = maker.candidate(&mut StdRng::seed_from_u64(seed), corpus.inputs());
        std::fs::write(&last, &bytes).unwrap();
        let Ok(ended) = catch_unwind(AssertUnwindSafe(|| host.judge(&bytes))) else {
            let kept = corpus.keep(&bytes);
            panic!("seed {seed} from {first}: a panic; the {} bytes are in {}", bytes.len(), kept.display());
        };
        tried += 1;
        loaded += u64::from(ended.loaded);
        corpus.learn(&ended.how, bytes);
    }
    println!("{tried} components, of which {loaded} were loaded and called; {corpus}");
    assert!(tried > 10 && loaded > 0, "{tried} components, {loaded} loaded");
}

#[test]
fn everything_that_was_ever_kept_is_loaded_or_refused() {
    let (host, corpus) = (Host::new(), Corpus::of(COMPONENT_TARGET));
    assert!(!corpus.inputs().is_empty());
    for bytes in corpus.inputs() {
        host.judge(bytes);
    }
}
