//! What every queue refuses before it asks anybody.

use std::time::Duration;

use super::{MAX_RECEIVE, MAX_VISIBILITY, QueueError, Result};

/// Checks how many messages a receive or a peek asks for.
///
/// # Errors
/// [`QueueError::Fault`] unless it is 1 to [`MAX_RECEIVE`].
pub fn check_max(max: u32) -> Result<()> {
    if (1..=MAX_RECEIVE).contains(&max) {
        return Ok(());
    }
    Err(out_of_range(&format!("{max} messages at once"), &format!("ask for 1 to {MAX_RECEIVE}")))
}

/// Checks a visibility timeout, or a delay.
///
/// # Errors
/// [`QueueError::Fault`] when it is longer than [`MAX_VISIBILITY`].
pub fn check_visibility(visibility: Duration) -> Result<()> {
    if visibility <= MAX_VISIBILITY {
        return Ok(());
    }
    let asked = format!("a visibility timeout or delay of {} s", visibility.as_secs());
    Err(out_of_range(&asked, &format!("stay within {} s", MAX_VISIBILITY.as_secs())))
}

/// What the service answers with 400 `OutOfRangeQueryParameterValue`.
pub fn out_of_range(asked: &str, mend: &str) -> QueueError {
    QueueError::Fault { cause: format!("the queue does not take {asked}"), mend: mend.into() }
}
