//! Why ARM did not do it, in words. ([Troubleshoot common Azure deployment
//! errors](https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors))

use std::error::Error as _;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::Method;
use serde::Deserialize;

use crate::arm::asked::Asked;
use crate::arm::endpoint::Endpoint;
use crate::cause::cause;
use crate::http::TooLongAnswer;
use crate::token::NoToken;

/// How much of ARM's own words is repeated.
const WORDS: usize = 500;

/// Why a call of ARM came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {verb}: {cause}; {mend}", .kind.beginning())]
pub struct ArmError {
    /// What a caller decides by.
    pub kind: ArmErrorKind,
    /// What was asked.
    pub verb: &'static str,
    /// What went wrong.
    pub cause: String,
    /// What to do about it.
    pub mend: String,
    /// When the service wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmErrorKind {
    /// There is no such resource.
    NotFound,
    /// The identity may not, or is not known.
    Denied,
    /// No answer for now, and nothing was done: the service has no time, or was asked for something
    /// to read.
    Busy,
    /// Somebody else is changing it, and nothing was done.
    Conflict,
    /// No clear answer: what was asked may have been done.
    Unclear,
    /// Anything that will be the same next time.
    Fault,
}

impl ArmErrorKind {
    /// "cannot start the job" would be wrong where it may have been started.
    fn beginning(self) -> &'static str {
        match self {
            Self::Unclear => "no clear answer when asked to",
            _ => "cannot",
        }
    }
}

/// What ARM says in the body of a refusal ([Common error
/// response](https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#handling-errors)).
#[derive(Default, Deserialize)]
#[serde(default)]
struct ArmRefusal {
    code: String,
    message: String,
}

impl ArmRefusal {
    /// Some providers leave the envelope out, and proxies answer with anything.
    fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Envelope {
            error: ArmRefusal,
        }
        match serde_json::from_slice(body) {
            Ok(Envelope { error }) => error,
            Err(_) => serde_json::from_slice(body).unwrap_or_default(),
        }
    }

    fn words(&self, status: u16) -> String {
        let said = match (self.code.as_str(), self.message.as_str()) {
            ("", "") => return format!("HTTP {status}"),
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        let line = said.chars().take(WORDS).map(|c| if c.is_control() { ' ' } else { c });
        format!("HTTP {status} {}", line.collect::<String>().trim_end_matches(['.', ' ']))
    }
}

impl ArmError {
    /// Whether a read may succeed when it is tried again.
    pub fn is_passing(&self) -> bool {
        self.kind == ArmErrorKind::Busy
    }
}

impl Asked<'_> {
    fn error(&self, kind: ArmErrorKind, cause: String, mend: String) -> ArmError {
        let cause = if cause.contains(self.of) { cause } else { format!("{}: {cause}", self.of) };
        ArmError { kind, verb: self.operation.verb, cause, mend, retry_after: None }
    }

    /// An answer that says something else than it should.
    pub(crate) fn unreadable(&self, cause: &str) -> ArmError {
        let mend = "is this the endpoint of Azure Resource Manager, and no proxy's?";
        self.error(ArmErrorKind::Fault, format!("{}: {cause}", self.of), mend.into())
    }

    /// It was accepted, and no answer says what became of it: that is no reason to ask for it
    /// again.
    pub(crate) fn unsettled(&self, cause: &str) -> ArmError {
        let cause = format!("it was accepted, and what became of it is not known ({cause})");
        self.error(ArmErrorKind::Unclear, cause, "`longshore job list` tells".into())
    }

    /// It was accepted and then given up, or undone.
    pub(crate) fn undone(&self, kind: ArmErrorKind, cause: &str, mend: &str) -> ArmError {
        self.error(kind, cause.into(), mend.into())
    }

    /// No answer, or half of one.
    pub(super) fn silent(&self, method: Method, cause: &str) -> ArmError {
        let (kind, mend) = match method {
            Method::Get => (
                ArmErrorKind::Busy,
                "try again; if it stays so, is that the endpoint of Azure Resource Manager, and no proxy's?",
            ),
            // The same patch twice is one change.
            Method::Patch => (ArmErrorKind::Unclear, "it may have been done all the same: do it again"),
            _ => (
                ArmErrorKind::Unclear,
                "it may have been done all the same: `longshore job list` tells; only then do it again",
            ),
        };
        self.error(kind, cause.into(), mend.into())
    }

    pub(super) fn failed(&self, method: Method, endpoint: &Endpoint, error: &Error) -> ArmError {
        if let Some(error) = error.source().and_then(|source| source.downcast_ref::<NoToken>()) {
            return self.error(ArmErrorKind::Denied, error.cause.clone(), error.mend.clone());
        }
        let cause = cause(error);
        match error.kind() {
            // The next answer to the same question is as long.
            _ if method == Method::Get && TooLongAnswer::is_behind(error) => {
                self.unreadable(&format!("{endpoint}: {cause}"))
            }
            // Nothing was sent, so that nothing was done.
            ErrorKind::Connection => self.error(
                ArmErrorKind::Busy,
                format!("no connection to {endpoint}: {cause}"),
                "is there a way to it from here? HTTPS_PROXY names a proxy, --arm-endpoint another cloud"
                    .into(),
            ),
            _ => self.silent(method, &format!("{endpoint}: {cause}")),
        }
    }

    pub(super) fn refused(
        &self,
        method: Method,
        status: u16,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> ArmError {
        let refusal = ArmRefusal::read(body);
        let words = refusal.words(status);
        let error = match (status, refusal.code.as_str()) {
            (401, _) => self.error(
                ArmErrorKind::Denied,
                words,
                "are the identity and the subscription in one tenant, and is this host's clock right?".into(),
            ),
            (403, _) => self.error(ArmErrorKind::Denied, words, self.role_wanted()),
            (404, _) => {
                let mend = format!("is {} right? {}", self.of, self.operation.there_is);
                self.error(ArmErrorKind::NotFound, words, mend)
            }
            (409, _) => {
                let mend = "somebody else is changing it: try again when that is done";
                self.error(ArmErrorKind::Conflict, words, mend.into())
            }
            (429, _) => {
                let mend = match retry_after {
                    Some(wait) => format!("nothing was done: try again in {} s", wait.as_secs()),
                    None => "nothing was done: try again in a minute".into(),
                };
                self.error(ArmErrorKind::Busy, words, mend)
            }
            (408 | 500..=599, _) => self.silent(method, &words),
            _ => self.error(
                ArmErrorKind::Fault,
                format!("{}: {words}", self.of),
                "change what it names, or look for its code in the activity log of the resource group".into(),
            ),
        };
        ArmError { retry_after, ..error }
    }

    fn role_wanted(&self) -> String {
        let (action, role) = (self.operation.action, self.operation.role);
        // A role on the job covers its executions.
        let job = self.of.split("/executions/").next().unwrap_or(self.of);
        format!(
            "assign the identity the role `{role}`, or another that allows {action}, on {job}; that takes some minutes to work"
        )
    }
}

#[cfg(test)]
mod fuzz;
