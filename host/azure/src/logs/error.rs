//! Why the log was not read, in words ([Errors of the
//! API](https://learn.microsoft.com/azure/azure-monitor/logs/api/errors)).

use std::error::Error as _;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use serde::Deserialize;

use super::endpoint::{LogsEndpoint, WorkspaceId};
use crate::cause::cause;
use crate::http::TooLongAnswer;
use crate::token::NoToken;

/// How much of the service's own words is repeated, in characters.
const WORDS: usize = 500;
/// What makes an answer shorter.
const SHORTER: &str = "ask for a shorter time with --since, or for one execution";
/// How deep a refusal nests its causes at most.
const DEPTH: usize = 8;

/// Why the log was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the job's log: {cause}; {mend}")]
pub struct LogsError {
    /// What went wrong.
    pub cause: String,
    /// What to do about it.
    pub mend: String,
    /// Whether it may be otherwise when it is asked again.
    pub is_passing: bool,
    /// When the service wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// What the service says: a code, words, and a nearer cause inside
/// ([OneAPI errors](https://learn.microsoft.com/azure/azure-monitor/logs/api/response-format)).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    code: String,
    message: String,
    innererror: Option<Box<Said>>,
    details: Vec<Said>,
}

impl Said {
    /// Its words, with those of the innermost cause.
    pub(super) fn words(&self) -> String {
        let mut innermost = self;
        for _ in 0..DEPTH {
            match innermost.innererror.as_deref().or(innermost.details.first()) {
                Some(inner) => innermost = inner,
                None => break,
            }
        }
        let one = |said: &Self| match (said.code.as_str(), said.message.as_str()) {
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        let words = match std::ptr::eq(innermost, self) {
            true => one(self),
            false => format!("{} ({})", one(self), one(innermost)),
        };
        let words = words.chars().take(WORDS).map(|c| if c.is_control() { ' ' } else { c });
        words.collect::<String>().trim_end_matches(['.', ' ']).to_owned()
    }

    /// Proxies answer with anything.
    fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Refusal {
            error: Said,
        }
        serde_json::from_slice(body).map(|Refusal { error }| error).unwrap_or_default()
    }
}

impl LogsError {
    fn new(cause: String, mend: impl Into<String>) -> Self {
        Self { cause, mend: mend.into(), is_passing: false, retry_after: None }
    }

    fn passing(cause: String, mend: impl Into<String>) -> Self {
        Self { is_passing: true, ..Self::new(cause, mend) }
    }

    /// An answer that says something else than it should.
    pub(super) fn unreadable(endpoint: &LogsEndpoint, cause: &str) -> Self {
        let cause = format!("the answer of {endpoint} cannot be read: {cause}");
        Self::new(cause, "is that the endpoint of Log Analytics, and no proxy's?")
    }

    pub(super) fn silent(endpoint: &LogsEndpoint, limit: Duration) -> Self {
        let cause = format!("no answer from {endpoint} within {} s", limit.as_secs());
        Self::new(cause, SHORTER)
    }

    pub(super) fn failed(endpoint: &LogsEndpoint, error: &Error) -> Self {
        if let Some(error) = error.source().and_then(|source| source.downcast_ref::<NoToken>()) {
            return Self::new(error.cause.clone(), error.mend.clone());
        }
        let cause = cause(error);
        if TooLongAnswer::is_behind(error) {
            return Self::new(format!("{endpoint}: {cause}"), SHORTER);
        }
        match error.kind() {
            ErrorKind::Connection => Self::passing(
                format!("no connection to {endpoint}: {cause}"),
                "is there a way to it from here? HTTPS_PROXY names a proxy, --logs-endpoint another cloud",
            ),
            _ => Self::passing(
                format!("{endpoint}: {cause}"),
                "try again; if it stays so, ask for a shorter time with --since",
            ),
        }
    }

    pub(super) fn refused(
        workspace: &WorkspaceId,
        status: u16,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Self {
        let words = match Said::read(body).words() {
            words if words.is_empty() => format!("HTTP {status}"),
            words => format!("HTTP {status} {words}"),
        };
        let error = match status {
            400 => Self::new(
                words,
                format!(
                    "did the job's environment ever log to the workspace {workspace}? --workspace names another"
                ),
            ),
            401 => Self::new(
                words,
                "are the identity and the workspace in one tenant, and is this host's clock right?",
            ),
            403 => Self::new(
                words,
                format!(
                    "assign the identity the role `Log Analytics Reader`, or another that allows Microsoft.OperationalInsights/workspaces/query/read, on the workspace {workspace}; that takes some minutes to work"
                ),
            ),
            404 => Self::new(
                words,
                format!(
                    "is there a workspace {workspace}? `az containerapp env show …` of the job's environment shows it as customerId"
                ),
            ),
            429 => Self::passing(words, "the service has no time: try again in a minute"),
            504 => Self::new(words, SHORTER),
            408 | 500..=599 => Self::passing(words, "try again; if it stays so, is the service well?"),
            _ => Self::new(words, "is that the endpoint of Log Analytics, and no proxy's?"),
        };
        Self { retry_after, ..error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_the_innermost_cause() {
        let body =
            br#"{"error":{"message":"The request had some invalid properties.","code":"BadArgumentError",
            "innererror":{"code":"SemanticError","message":"A semantic error occurred.",
            "innererror":{"code":"SEM0104","message":"No table\nwas found."}}}}"#;
        let workspace = "63613592-b6f7-4c3d-a390-22ba13102111".parse().unwrap();
        let error = LogsError::refused(&workspace, 400, body, None);
        assert_eq!(
            error.cause,
            "HTTP 400 BadArgumentError: The request had some invalid properties. (SEM0104: No table was found.)"
        );
        assert!(!error.is_passing && error.mend.contains("--workspace"), "{error}");
        let page = LogsError::refused(&workspace, 503, b"<html>", None);
        assert!(page.is_passing && page.cause == "HTTP 503", "{page}");
    }
}
