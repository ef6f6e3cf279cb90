//! Faults by chance, from a seed, and those that tests name.

use std::time::Duration;

use longshore_queue::QueueError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::model::{Fault, MemoryQueue, busy};

/// Faults by chance: each call is delayed. Now and then one is lost on its way there or back, or
/// refused.
pub fn weather(seed: u64, rate: f64) -> impl FnMut(&'static str, &str) -> Fault + Send {
    let mut rng = StdRng::seed_from_u64(seed);
    move |_, _| {
        let mut fault = Fault {
            delay_before: Duration::from_millis(rng.random_range(0..200)),
            delay_after: Duration::from_millis(rng.random_range(0..200)),
            ..Fault::default()
        };
        if rng.random_bool(rate) {
            match rng.random_range(0..5) {
                0 => fault.lost_before = true,
                1 => fault.lost_after = true,
                2 => fault.error = Some(busy(None)),
                3 => fault.delay_before = Duration::from_secs(rng.random_range(1..70)),
                _ => fault.delay_after = Duration::from_secs(rng.random_range(1..70)),
            }
        }
        fault
    }
}

/// What a queue says that does not let its messages be updated.
pub fn denied() -> QueueError {
    QueueError::Denied {
        queue: "orders".into(),
        operation: "update",
        cause: "403".into(),
        mend: "role".into(),
    }
}

/// What is known of a call whose answer was lost.
pub fn unclear() -> QueueError {
    QueueError::unclear("orders", "cut")
}

/// Has a queue refuse every update.
pub fn refuses_updates(queue: &MemoryQueue) {
    queue.set_faults(|what, _| Fault { error: (what == "update").then(denied), ..Fault::default() });
}
