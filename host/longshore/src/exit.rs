//! How the process ends: the exit codes, and the failures that lead to them.

use std::fmt::Display;
use std::process::ExitCode;

use longshore_azure::arm::ArmError;
use longshore_azure::logs::LogsError;
use longshore_component::FetchError;
use longshore_component::registry::RegistryError;
use longshore_queue::QueueError;
use longshore_sandbox::{LoadError, SandboxError};

/// What `longshore --help` says about exit codes.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done; with `run` also when messages failed: they are settled
  1  anything that has no code of its own
  2  the command line is wrong
  3  a host or configuration fault: of the queue, the identity, its permissions, the registry or the component
  4  the circuit breaker was open when the run ended, or there was no component to call all the while";

/// What an exit code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The verb did what it was asked.
    Done = 0,
    /// Anything that has no code of its own.
    Other = 1,
    /// The command line is wrong. Clap ends with the same code.
    Usage = 2,
    /// The host, or what it was configured with, has to be mended: queue, identity, permission,
    /// registry, component.
    Fault = 3,
    /// The run was on hold when it ended: the circuit breaker was open, or there was no component.
    BreakerOpen = 4,
}

impl Exit {
    /// What an exit code means that another `longshore` ended with; `None` if it is none of ours.
    pub fn of_code(code: i32) -> Option<Self> {
        [Self::Done, Self::Other, Self::Usage, Self::Fault, Self::BreakerOpen]
            .into_iter()
            .find(|exit| *exit as i32 == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What to do where a queue had no time, or gave no clear answer.
const TRY_AGAIN: &str = "try again; if it stays so, is that the queue's URL, and is its service well?";

/// Why a verb did not do what it was asked.
///
/// Each error type converts to it in this file, by what it means. Nothing converts from errors of
/// all types. So an error of a new type does not compile before its exit code is decided.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    /// A failure that has no exit code of its own.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(Exit::Other, message)
    }

    /// The command line is wrong in a way that clap cannot see.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The host, or what it was configured with, has to be mended.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::new(Exit::Fault, message)
    }

    /// The circuit breaker was open when the run ended.
    pub fn breaker_open() -> Self {
        Self::new(
            Exit::BreakerOpen,
            "the circuit breaker was open at the end: too many different messages failed in a row; look at the log for their reasons, and at what the handler depends on",
        )
    }

    /// An execution that somebody started ended while its circuit breaker was open.
    pub fn execution_on_hold(message: impl Into<String>) -> Self {
        Self::new(Exit::BreakerOpen, message)
    }

    /// There was no component to call until the run ended.
    pub fn no_component(cause: &str) -> Self {
        Self::new(
            Exit::BreakerOpen,
            format!(
                "no message was received, since there was no component to call, or no token for what it calls, until the hold ended: {cause}"
            ),
        )
    }

    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, error: anyhow::Error::msg(message.into()) }
    }

    fn of(exit: Exit, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { exit, error: error.into() }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What was being done, what went wrong, and the mend, on one line.
    pub fn message(&self) -> String {
        let mut message = String::new();
        for part in self.error.chain().map(ToString::to_string) {
            // Many errors repeat their cause in their own words.
            if !message.contains(&part) {
                let separator = if message.is_empty() { "" } else { ": " };
                message = message + separator + &part;
            }
        }
        message
    }
}

/// Says what was being done when something failed. The exit code stays that of the failure.
pub trait Clause<T> {
    /// Puts a clause before the failure: `cannot read orders.jsonl`.
    ///
    /// # Errors
    /// The same as before, with the clause.
    fn during<C: Display + Send + Sync + 'static>(self, clause: impl FnOnce() -> C) -> Result<T, Failure>;
}

impl<T, E> Clause<T> for Result<T, E>
where
    Failure: From<E>,
{
    fn during<C: Display + Send + Sync + 'static>(self, clause: impl FnOnce() -> C) -> Result<T, Failure> {
        self.map_err(|error| {
            let Failure { exit, error } = Failure::from(error);
            Failure { exit, error: error.context(clause()) }
        })
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let exit = match &error {
            // The message is to blame, and not the queue.
            QueueError::TooLarge { .. } => Exit::Other,
            error if error.is_stale() => Exit::Other,
            _ => Exit::Fault,
        };
        // Some causes end with what to look at.
        if error.is_transient() && !error.to_string().ends_with('?') {
            return Self::new(exit, format!("{error}; {TRY_AGAIN}"));
        }
        Self::of(exit, error)
    }
}

impl From<ArmError> for Failure {
    fn from(error: ArmError) -> Self {
        Self::of(Exit::Fault, error)
    }
}

impl From<LogsError> for Failure {
    fn from(error: LogsError) -> Self {
        Self::of(Exit::Fault, error)
    }
}

#[cfg(feature = "dev")]
impl From<longshore_dev::HistoryError> for Failure {
    fn from(error: longshore_dev::HistoryError) -> Self {
        Self::of(Exit::Fault, error)
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::of(Exit::Fault, error)
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::of(Exit::Fault, error)
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        Self::of(Exit::Fault, error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let exit = match error {
            // `--target` names what this host cannot compile for; the component is as good as
            // before.
            LoadError::Target { .. } => Exit::Other,
            _ => Exit::Fault,
        };
        Self::of(exit, error)
    }
}

/// A file that the command line names, or one of the standard streams.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(Exit::Other, error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::of(Exit::Other, error)
    }
}

/// A task of this process panicked.
impl From<tokio::task::JoinError> for Failure {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::of(Exit::Other, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_explains_each_exit_code() {
        for exit in [Exit::Done, Exit::Other, Exit::Usage, Exit::Fault, Exit::BreakerOpen] {
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
            assert_eq!(Exit::of_code(exit as i32), Some(exit));
        }
        assert_eq!((Exit::of_code(5), Exit::of_code(-1), EXIT_CODES.lines().count()), (None, None, 6));
    }

    #[test]
    fn an_error_keeps_its_exit_code_and_gets_a_clause_before_it() {
        let denied = RegistryError::Denied { registry: "r.example".into(), who: "this login" };
        let failed: Result<(), _> = Err(FetchError::Registry {
            address: Box::new("oci://r.example/order:1".parse().unwrap()),
            cause: denied.clone(),
        });
        let failure = failed.during(|| "cannot look").unwrap_err();
        assert_eq!(failure.exit(), Exit::Fault);
        let message = failure.message();
        assert!(message.starts_with("cannot look: cannot fetch the component oci://r.example"), "{message}");
        assert_eq!(Failure::from(denied).exit(), Exit::Fault);
        for (passing, mends) in [
            (QueueError::unclear("q", "cut"), 1),
            (QueueError::busy("q", "HTTP 503"), 1),
            (QueueError::busy("q", "no connection to it: is there a queue?"), 0),
        ] {
            let failure = Failure::from(passing);
            assert_eq!(failure.exit(), Exit::Fault);
            assert_eq!(failure.message().matches(TRY_AGAIN).count(), mends, "{}", failure.message());
        }
        assert_eq!(Failure::from(LoadError::CoreModule).exit(), Exit::Fault);
        assert_eq!(Failure::from(std::io::Error::other("no")).exit(), Exit::Other);
        let missing = FetchError::File { path: "o.wasm".into(), cause: std::io::Error::other("on fire") };
        let message = Failure::from(missing).message();
        assert_eq!(message.matches("on fire").count(), 1, "a cause is said once: {message}");
    }
}
