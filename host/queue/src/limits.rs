//! What every queue refuses before it asks anybody, and how durations become whole seconds.

use std::time::Duration;

use crate::error::QueueError;

/// The most messages that one receive may ask for ([Get
/// Messages](https://learn.microsoft.com/rest/api/storageservices/get-messages), `numofmessages`).
pub const MAX_RECEIVE: u32 = 32;

/// The longest visibility timeout and the longest delay: seven days, as on Azure Storage ([Update
/// Message](https://learn.microsoft.com/rest/api/storageservices/update-message),
/// `visibilitytimeout`).
pub const MAX_VISIBILITY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Checks how many messages a receive asks for.
///
/// # Errors
/// [`QueueError::Fault`] unless it is 1 to [`MAX_RECEIVE`].
pub fn check_max(max: u32) -> Result<(), QueueError> {
    if (1..=MAX_RECEIVE).contains(&max) {
        return Ok(());
    }
    Err(out_of_range(&format!("{max} messages at once"), &format!("ask for 1 to {MAX_RECEIVE}")))
}

/// Checks a visibility timeout, or a delay.
///
/// # Errors
/// [`QueueError::Fault`] when it is longer than [`MAX_VISIBILITY`].
pub fn check_visibility(visibility: Duration) -> Result<(), QueueError> {
    if visibility <= MAX_VISIBILITY {
        return Ok(());
    }
    let asked = format!("a visibility timeout or delay of {} s", visibility.as_secs());
    Err(out_of_range(&asked, &format!("stay within {} s", MAX_VISIBILITY.as_secs())))
}

/// Checks the length of a lease, on queues where a lease can have none.
///
/// # Errors
/// [`QueueError::Fault`] when it is zero, or longer than [`MAX_VISIBILITY`].
pub fn check_lease(visibility: Duration) -> Result<(), QueueError> {
    if visibility.is_zero() {
        return Err(out_of_range("a lease of no length", "ask for a visibility timeout above zero"));
    }
    check_visibility(visibility)
}

/// Checks that a message is visible before it expires, as *Put Message* demands: "visibilitytimeout
/// should be set to a value smaller than the time-to-live value".
///
/// # Errors
/// [`QueueError::Fault`] when it would expire at the end of its delay, or before.
pub fn check_life(time_to_live: Option<Duration>, delay: Duration) -> Result<(), QueueError> {
    match time_to_live {
        Some(life) if life <= delay => Err(out_of_range(
            "a message that expires before it is visible",
            "give it a time to live above its delay",
        )),
        _ => Ok(()),
    }
}

/// What the service answers with 400 `OutOfRangeQueryParameterValue`.
pub fn out_of_range(asked: &str, mend: &str) -> QueueError {
    QueueError::Fault { cause: format!("the queue does not take {asked}"), mend: mend.into() }
}

/// A duration in whole seconds, rounded up.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_to_32_messages_may_be_asked_for() {
        for (max, allowed) in [(0, false), (1, true), (32, true), (33, false)] {
            assert_eq!(check_max(max).is_ok(), allowed, "{max}");
        }
        let refused = check_max(33).unwrap_err().to_string();
        assert_eq!(refused, "the queue does not take 33 messages at once; ask for 1 to 32");
    }

    #[test]
    fn a_delay_is_seven_days_at_most_and_a_lease_has_some_length() {
        for (visibility, delay, lease) in [
            (Duration::ZERO, true, false),
            (Duration::from_nanos(1), true, true),
            (MAX_VISIBILITY, true, true),
            (MAX_VISIBILITY + Duration::from_nanos(1), false, false),
        ] {
            assert_eq!(check_visibility(visibility).is_ok(), delay, "{visibility:?}");
            assert_eq!(check_lease(visibility).is_ok(), lease, "{visibility:?}");
        }
        let refused = check_visibility(MAX_VISIBILITY + SECOND).unwrap_err().to_string();
        assert!(refused.contains("604801 s; stay within 604800 s"), "{refused}");
    }

    #[test]
    fn a_message_lives_longer_than_its_delay() {
        for (life, delay, allowed) in [
            (None, SECOND, true),
            (Some(2 * SECOND), SECOND, true),
            (Some(SECOND), SECOND, false),
            (Some(Duration::ZERO), Duration::ZERO, false),
        ] {
            assert_eq!(check_life(life, delay).is_ok(), allowed, "{life:?} {delay:?}");
        }
    }

    #[test]
    fn durations_are_rounded_up_to_whole_seconds() {
        let ms = Duration::from_millis;
        assert_eq!([ms(0), ms(1), ms(300), ms(1000), ms(1001)].map(whole_seconds), [0, 1, 1, 1, 2]);
        assert_eq!(whole_seconds(MAX_VISIBILITY), 604_800);
    }
}
