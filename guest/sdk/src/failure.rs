use std::fmt;
use std::time::Duration;

use crate::{Failure, Retry};

impl Failure {
    /// Another attempt may succeed; the host chooses the delay. The reason is logged: no secret, nothing of the body.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry(Retry { reason: reason.into(), after_ms: None })
    }

    /// Another attempt may succeed, no sooner than after this delay (in whole milliseconds; the host shortens delays
    /// that are longer than its operator allows).
    pub fn retry_after(reason: impl Into<String>, delay: Duration) -> Self {
        let after_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self::Retry(Retry { reason: reason.into(), after_ms: Some(after_ms) })
    }

    /// No attempt will ever succeed: the message is at fault. The reason is logged and goes into the poison queue
    /// beside the message: no secret, nothing of the body.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }
}

impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Retry(a), Self::Retry(b)) => a.reason == b.reason && a.after_ms == b.after_ms,
            (Self::Reject(a), Self::Reject(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
