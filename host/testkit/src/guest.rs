//! The components of `guest/`, built by plain cargo once per test binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::needs;

/// Where the example handler lies, built.
pub fn order() -> PathBuf {
    built().join("order.wasm")
}

/// Where the handler lies that does what none should, built.
pub fn rogue() -> PathBuf {
    built().join("rogue.wasm")
}

/// Where the handler lies that was written for wasmCloud, built.
pub fn wasmcloud() -> PathBuf {
    built().join("wasmcloud.wasm")
}

/// Where the example handler in Python lies, if `make guest-python` has built it.
pub fn python() -> PathBuf {
    made("python/target/order-python.wasm")
}

/// Where the example handler in JavaScript lies, if `make guest-js` has built it.
pub fn javascript() -> PathBuf {
    made("js/target/order-js.wasm")
}

fn made(path: &str) -> PathBuf {
    needs::file(crate::root().join("guest").join(path), needs::GUESTS)
}

fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let workspace = crate::root().join("guest");
        let target = workspace.join("target");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--target", "wasm32-wasip2", "--target-dir"])
            .arg(&target)
            .current_dir(&workspace)
            // Set by the cargo that runs these tests, for the host.
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .status()
            .expect("cargo can be run, since it runs these tests");
        assert!(
            status.success(),
            "the guests do not build: `make guest` adds the target that they need, and builds them"
        );
        target.join("wasm32-wasip2/release")
    })
}
