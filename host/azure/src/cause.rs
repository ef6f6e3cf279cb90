//! What is at the bottom of an error: the layers above it repeat the URL, and with it receipts and
//! signatures.

use std::error::Error as _;
use std::io;

use azure_core::error::Error;
use tokio::time::error::Elapsed;

/// What is at the bottom of an error of a call, in words that repeat no URL.
pub fn cause(error: &Error) -> String {
    match error.source() {
        Some(_) => innermost(error),
        None => error.to_string(),
    }
}

/// The words of the error that no other error stands behind.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let elapsed = |error: &io::Error| error.get_ref().is_some_and(|it| it.is::<Elapsed>());
    match inner.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => "timed out".into(),
        Some(_) => "the call could not be carried out".into(),
        None if inner.downcast_ref().is_some_and(elapsed) => "timed out".into(),
        None => inner.to_string(),
    }
}
