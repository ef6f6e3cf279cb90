//! Settings that the operator granted (`--config KEY=VALUE`).
//!
//! Natively (in tests) the process's environment stands for them.

/// The setting of that name, if it was granted.
#[must_use]
pub fn get(key: &str) -> Option<String> {
    #[cfg(target_family = "wasm")]
    // This host reads settings from memory, and never fails to.
    return crate::bindings::wasi::config::store::get(key).ok().flatten();
    #[cfg(not(target_family = "wasm"))]
    std::env::var(key).ok()
}
