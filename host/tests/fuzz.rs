//! Arbitrary bytes as components: a load works or ends with an error, and what was loaded answers; never a panic.
//!
//! Seeded, so that a failure can be repeated: its seed is in the message. A few seconds by default; longer by hand with
//! `LONGSHORE_FUZZ_SECONDS=3600 cargo test --release --test fuzz`, from another start with `LONGSHORE_FUZZ_SEED`.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use common::{guest, wat};
use jiff::Timestamp;
use longshore::sandbox::{Grants, Invocation, Limits, Sandbox, Settings, describe};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

/// A component-like thing: noise, noise behind a header, a component of `wasm-smith`, or a good one with some bytes changed.
fn candidate(rng: &mut StdRng, good: &[Vec<u8>]) -> Vec<u8> {
    let mut noise = vec![0; rng.random_range(0..4096)];
    rng.fill_bytes(&mut noise);
    match rng.random_range(0..5) {
        0 => noise,
        1 => [&b"\0asm\x0d\0\x01\0"[..], &noise].concat(),
        2 => {
            let made = wasm_smith::Component::arbitrary(&mut Unstructured::new(&noise));
            made.map_or(noise, |component| component.to_bytes())
        }
        3 => {
            let mut bytes = good[rng.random_range(0..good.len())].clone();
            for _ in 0..rng.random_range(1..8) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            bytes
        }
        // A good one, cut short.
        _ => {
            let bytes = good[rng.random_range(0..good.len())].clone();
            let cut = rng.random_range(0..=bytes.len());
            bytes[..cut].to_vec()
        }
    }
}

#[test]
fn whatever_is_loaded_there_is_no_panic() {
    let until = Instant::now() + Duration::from_secs(number("LONGSHORE_FUZZ_SECONDS", 10));
    let first = number("LONGSHORE_FUZZ_SEED", 1);
    let limits = Limits { memory: 8 << 20, ..Limits::default() };
    let grants = Grants { outputs: vec!["invoices".into()], ..Grants::default() };
    let cache = tempfile::tempdir().unwrap();
    let settings =
        Settings { concurrency: 1, limits, grants, cache: Some(cache.path().into()), ..Settings::default() };
    let sandbox = Sandbox::new(&settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let small =
        wat::handler("", "(drop (memory.grow (i32.const 1))) (i32.store (i32.const 9) (local.get 1))");
    // A real handler now and then only: to compile one takes a thousand times as long.
    let order = std::fs::read(guest::order()).unwrap();
    let good: Vec<_> = std::iter::repeat_n(small, 200).chain([order]).collect();
    let (mut tried, mut loaded) = (0_u64, 0_u64);
    for seed in first.. {
        if Instant::now() > until {
            break;
        }
        let bytes = candidate(&mut StdRng::seed_from_u64(seed), &good);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let described = describe(&bytes, &Grants::default());
            let component = sandbox.load(&bytes).ok()?;
            assert!(described.is_ok(), "loaded and not described");
            let invocation = Invocation {
                id: "fuzz".into(),
                queue: "orders".into(),
                body: r#"{"order_id": "o-1", "msg": "ok"}"#.into(),
                dequeue_count: 1,
                inserted: Timestamp::UNIX_EPOCH,
                deadline: Duration::from_millis(100),
                properties: Vec::new(),
            };
            Some(runtime.block_on(component.invoke(invocation)))
        }));
        tried += 1;
        match outcome {
            Ok(answer) => loaded += u64::from(answer.is_some()),
            Err(_) => panic!("seed {seed}: a panic; the {} bytes are made from it", bytes.len()),
        }
    }
    println!("{tried} components, of which {loaded} were loaded and called");
    assert!(tried > 10 && loaded > 0, "{tried} components, {loaded} loaded");
}
