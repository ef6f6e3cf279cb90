//! Why one try to fetch a token failed.

use azure_core::error::Error;

use crate::cause::cause;
use crate::no_answer::NoAnswer;

/// How much of what a credential says is repeated, in characters.
pub(crate) const MAX_WORDS: usize = 600;

/// Why one try failed.
#[derive(Debug)]
pub(crate) struct FailedTry {
    pub(crate) cause: String,
    /// What to do about it, where it is not what this credential usually wants.
    pub(crate) mend: Option<&'static str>,
    /// No other try will mend it.
    pub(crate) lasting: bool,
}

impl FailedTry {
    /// Another try may give a token. That holds for refusals as well: an identity that was just
    /// assigned, or whose endpoint just started, is unknown for some seconds.
    pub(crate) fn passing(cause: String) -> Self {
        Self { cause, mend: None, lasting: false }
    }

    /// There is nothing that could be asked.
    pub(crate) fn lasting(error: &Error) -> Self {
        Self { lasting: true, ..Self::of(error) }
    }

    /// What an error of a credential says.
    pub(crate) fn of(error: &Error) -> Self {
        if let Some(ours) = error.get_ref().and_then(|inner| inner.downcast_ref::<NoAnswer>()) {
            return Self { mend: ours.mend, ..Self::passing(ours.cause.clone()) };
        }
        // The SDK's errors repeat their causes and link to pages.
        let text = error.to_string();
        let lines = text.lines().map(|line| line.split("To troubleshoot,").next().unwrap_or_default());
        let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        let (mut said, inner) = (words.join(" "), cause(error));
        let inner = inner.split_whitespace().collect::<Vec<_>>().join(" ");
        if !said.contains(&inner) && !inner.contains("To troubleshoot,") {
            said = format!("{said} ({inner})");
        }
        Self::passing(said.chars().take(MAX_WORDS).collect())
    }
}
