//! Settings that the operator granted (`--config KEY=VALUE`).
//!
//! Natively a test sets them: [`testing::Attempt::setting`](crate::testing::Attempt::setting).

use crate::Failure;

/// The setting of that name, if it was granted.
#[must_use]
pub fn get(key: &str) -> Option<String> {
    #[cfg(target_family = "wasm")]
    // This host reads settings from memory, and never fails to.
    return crate::bindings::wasi::config::store::get(key).ok().flatten();
    #[cfg(not(target_family = "wasm"))]
    crate::testing::setting(key)
}

/// The setting of that name.
///
/// # Errors
/// When it was not granted: a retry that names it, since no message is at fault.
pub fn require(key: &str) -> Result<String, Failure> {
    get(key)
        .ok_or_else(|| Failure::retry(format!("the setting {key} is missing: --config {key}=… grants it")))
}
