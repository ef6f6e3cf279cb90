//! Tests that need nothing of Azurite's own: they run on Azurite, or on the account that `make
//! verify-azure` names, with the caller's login and with whatever of their own environment it
//! takes.

mod bodies;
mod lease;
mod permissions;
mod promises;
mod replicas;
pub mod whole_loop;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use longshore_queue::Queue;

use crate::storage::azurite::{fresh, open, plain};

/// What the caller's queues are called: the URL of each begins so, and goes on with a dash.
pub const VERIFY: &str = "LONGSHORE_VERIFY_QUEUE";

/// The beginning of the queues' URLs, where the caller named an account.
pub fn named() -> Option<&'static str> {
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    NAMED.get_or_init(|| std::env::var(VERIFY).ok()).as_deref()
}

/// The URL of a queue that no test has had before.
pub fn url() -> String {
    match named() {
        Some(start) => format!("{start}-{}", fresh()),
        None => plain().signed(&fresh()),
    }
}

/// A queue that no test has had before, and which does not exist yet.
pub fn queue() -> Arc<dyn Queue> {
    open(&url(), Duration::from_secs(20))
}
