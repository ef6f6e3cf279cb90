//! What is at the bottom of an error: the layers above it repeat the URL, and with it receipts and
//! signatures.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use azure_core::error::Error;
use tokio::time::error::Elapsed;

/// What a connection did that ended in the middle of an answer.
const CUT: &str = "the connection was cut";

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
    if let Some(error) = inner.downcast_ref::<reqwest::Error>() {
        return if error.is_timeout() { "timed out" } else { "the call could not be carried out" }.into();
    }
    match inner.downcast_ref::<io::Error>() {
        Some(error) if error.get_ref().is_some_and(|it| it.is::<Elapsed>()) => "timed out".into(),
        // Over TLS it comes with a link to a manual.
        Some(error) if error.kind() == ErrorKind::UnexpectedEof => CUT.into(),
        _ => inner.to_string(),
    }
}
