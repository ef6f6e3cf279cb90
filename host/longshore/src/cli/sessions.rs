//! How the sessions of a queue are worked off, as flags.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::some_time;
use longshore_queue::{QueueUrl, SessionOptions};

/// What these flags are about, as a heading of the help.
const SESSIONS: &str = "Sessions";

/// What becomes of a session when a message of it was poisoned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnPoison {
    /// It goes on with its next message.
    #[default]
    Continue,
    /// The rest of it stays in the queue, until a run with `continue` takes it up again.
    Stop,
}

/// How the sessions of a queue are worked off.
#[derive(Clone, Copy, Debug, Args)]
pub struct SessionArgs {
    /// How many sessions are worked off at once [default: as many as --concurrency, at most 16].
    ///
    /// The messages of one session are handled one after the other, in order. The flag says as well
    /// that the queue requires sessions; without it that is found out.
    #[arg(long, env = "LONGSHORE_SESSIONS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(SessionOptions::MAX_AT_ONCE)), help_heading = SESSIONS, hide_short_help = true)]
    pub sessions: Option<u16>,

    /// How long a session may give nothing before another one takes its place.
    #[arg(long, env = "LONGSHORE_SESSION_IDLE", value_name = "D", default_value = "1s", value_parser = some_time, help_heading = SESSIONS, hide_short_help = true)]
    pub session_idle: Duration,

    /// What becomes of a session when a message of it was poisoned.
    ///
    /// `continue` goes on with its next message, so that its order has a gap. `stop` leaves the
    /// rest in the queue; a later run with `continue` takes it up again.
    #[arg(long, env = "LONGSHORE_ON_POISON", value_enum, default_value_t, help_heading = SESSIONS, hide_short_help = true)]
    pub on_poison: OnPoison,
}

impl SessionArgs {
    /// What the flags make of a queue of which so many messages are handled at once.
    pub fn options(&self, concurrency: usize) -> SessionOptions {
        SessionOptions {
            are_required: self.sessions.is_some(),
            at_once: self
                .sessions
                .map_or(concurrency.min(SessionOptions::MAX_AT_ONCE_BY_DEFAULT), usize::from),
            idle: self.session_idle,
            stops_on_poison: self.on_poison == OnPoison::Stop,
        }
    }

    /// Refuses sessions of a queue that cannot have any.
    pub fn check(&self, url: &QueueUrl) -> Result<(), String> {
        if self.sessions.is_none() || url.kind().has_sessions {
            return Ok(());
        }
        Err(format!(
            "--sessions is for queues and subscriptions of Service Bus, and {url} is none; leave it out"
        ))
    }
}
