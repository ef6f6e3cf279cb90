//! Why a message was not handled, and how errors become that.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::bindings::exports::longshore::handler::handler as contract;

pub use contract::Retry;

/// Why a message was not handled.
///
/// Each error becomes a retry by `?`, with its whole chain of causes as the reason. It is another
/// attempt that shows whether the error stays: a handler that knows better says [`Failure::reject`].
///
/// Reasons are logged. Some errors quote what they choke on, those of `serde_json` and of parsers
/// above all: give those that read a body a reason of your own, with [`OrFail::or_reject`] or
/// `map_err`.
///
/// ```
/// use longshore_guest::{Failure, Message};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Order {
///     placed: String,
/// }
///
/// fn handle(order: Order, _: &Message) -> Result<(), Failure> {
///     let year: i32 = order.placed[..4].parse()?;
///     assert!(year > 2000);
///     Ok(())
/// }
///
/// let order = Order { placed: "soon".to_owned() };
/// let reason = "invalid digit found in string";
/// assert_eq!(handle(order, &Message::test("")), Err(Failure::retry(reason)));
/// ```
///
/// `Failure` is no `Error` itself, since then `?` could not take every other error. For the same
/// cause it does not take `Box<dyn Error>` or `anyhow::Error`, which are none either:
/// `map_err(|error| Failure::retry(format!("{error:#}")))` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Something in the way may pass: try again.
    Retry(Retry),
    /// The message itself is at fault, and always will be. The cause, for people.
    Reject(String),
}

impl Failure {
    /// Another attempt may succeed; the host chooses the delay. The reason is logged: no secret,
    /// nothing of the body.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry(Retry { reason: reason.into(), after_ms: None })
    }

    /// Another attempt may succeed, no sooner than after this delay (in whole milliseconds; the host
    /// shortens delays that are longer than its operator allows).
    pub fn retry_after(reason: impl Into<String>, delay: Duration) -> Self {
        let after_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        Self::Retry(Retry { reason: reason.into(), after_ms: Some(after_ms) })
    }

    /// No attempt will ever succeed: the message is at fault. The reason is logged and goes into the
    /// poison queue beside the message: no secret, nothing of the body.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// The cause, for people.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry(retry) => &retry.reason,
            Self::Reject(reason) => reason,
        }
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retry(chain(&error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl PartialEq for Retry {
    fn eq(&self, other: &Self) -> bool {
        self.reason == other.reason && self.after_ms == other.after_ms
    }
}

impl Eq for Retry {}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Says what failed, where an error alone would not.
///
/// ```
/// use longshore_guest::{Failure, OrFail};
///
/// fn price(answer: &str) -> Result<u32, Failure> {
///     answer.parse::<u32>().or_retry("the price service's answer")
/// }
///
/// let reason = "the price service's answer: invalid digit found in string";
/// assert_eq!(price("12 EUR"), Err(Failure::retry(reason)));
/// assert_eq!(None::<u32>.or_reject("currency: not one of ours"), Err(Failure::reject("currency: not one of ours")));
/// ```
pub trait OrFail<T> {
    /// A retry: `what`, and the chain of causes if there is one.
    ///
    /// # Errors
    /// When there is no value.
    fn or_retry(self, what: &str) -> Result<T, Failure>;

    /// A rejection: `what` alone, since errors about a body may quote it.
    ///
    /// # Errors
    /// When there is no value.
    fn or_reject(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: Error> OrFail<T> for Result<T, E> {
    fn or_retry(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::retry(format!("{what}: {}", chain(&error))))
    }

    fn or_reject(self, what: &str) -> Result<T, Failure> {
        self.map_err(|_| Failure::reject(what))
    }
}

impl<T> OrFail<T> for Option<T> {
    fn or_retry(self, what: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::retry(what))
    }

    fn or_reject(self, what: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::reject(what))
    }
}

/// An error and its causes, outermost first. Some errors already repeat their cause.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !words.ends_with(&next) {
            words.push_str(": ");
            words.push_str(&next);
        }
        cause = error.source();
    }
    words
}

/// What the macro hands to the host.
#[doc(hidden)]
pub fn for_the_host(handled: Result<(), Failure>) -> Result<(), contract::Failure> {
    handled.map_err(|failure| match failure {
        Failure::Retry(retry) => contract::Failure::Retry(retry),
        Failure::Reject(reason) => contract::Failure::Reject(reason),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|it| it as _)
        }
    }

    #[test]
    fn a_question_mark_makes_a_retry_of_the_whole_chain_of_causes() {
        fn handle() -> Result<(), Failure> {
            let inner = Link("connection refused", None);
            Err(Link("the price service", Some(Box::new(Link("the request failed", Some(Box::new(inner)))))))?
        }
        let reason = "the price service: the request failed: connection refused";
        assert_eq!(handle(), Err(Failure::retry(reason)));
    }

    #[test]
    fn a_cause_that_an_error_repeats_itself_is_said_once() {
        let error = Link("reading: no such file", Some(Box::new(Link("no such file", None))));
        assert_eq!(Failure::from(error), Failure::retry("reading: no such file"));
    }
}
