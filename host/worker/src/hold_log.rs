//! What is said while nothing is received but to try whether that is over (rule 10).

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::hold::{HoldCause, OnHold};

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct HoldLog {
    said: Option<OnHold>,
}

impl HoldLog {
    /// Says what has changed, if anything has. Returns whether it has.
    pub(crate) fn note(
        &mut self,
        on_hold: Option<OnHold>,
        now: Instant,
        reasons: impl FnOnce() -> BTreeMap<&'static str, usize>,
    ) -> bool {
        if self.said == on_hold {
            return false;
        }
        let before = std::mem::replace(&mut self.said, on_hold);
        match (before, on_hold) {
            (Some(OnHold { cause: before, .. }), Some(OnHold { cause, try_at, ends, .. }))
                if before == cause =>
            {
                if let Some(at) = try_at {
                    tracing::warn!(
                        next_try_s = seconds(now, at),
                        hold_ends_s = left(now, ends),
                        "still on hold"
                    );
                }
            }
            (_, Some(OnHold { cause: HoldCause::Breaker, try_at, ends, .. })) => tracing::error!(
                reasons = list(&reasons()),
                next_try_s = left(now, try_at),
                hold_ends_s = left(now, ends),
                "too many different messages failed in a row, and the circuit breaker is open: nothing is received, and one message is tried now and then"
            ),
            (_, Some(OnHold { cause: HoldCause::NoHandler, try_at, ends, .. })) => tracing::error!(
                next_try_s = left(now, try_at),
                hold_ends_s = left(now, ends),
                "there is no component to call, or no token for what it calls: nothing is received, and it is looked for now and then"
            ),
            (Some(OnHold { cause, since, .. }), None) => {
                let held_s = seconds(since, now);
                match cause {
                    HoldCause::Breaker => {
                        tracing::warn!(
                            held_s,
                            "a message was handled, and the circuit breaker is closed: receiving goes on"
                        );
                    }
                    HoldCause::NoHandler => {
                        tracing::warn!(held_s, "the component can be called: receiving goes on");
                    }
                }
            }
            (None, None) => {}
        }
        true
    }
}

/// The reasons with how often each was given, the most frequent first: `trap 12, deadline 8`.
fn list(reasons: &BTreeMap<&'static str, usize>) -> String {
    let mut reasons: Vec<_> = reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}

fn left(now: Instant, at: Option<Instant>) -> Option<u64> {
    at.map(|at| seconds(now, at))
}

fn seconds(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_secs()
}
