//! How the sessions of a queue are worked off, on the kinds of queue that have them.

use std::time::Duration;

use serde::Serialize;

/// What stands among a message's properties for the session that it belongs to. Sent, it puts the
/// message into that session.
pub const SESSION_ID: &str = "session-id";

/// The session that a message belongs to, by its properties.
pub fn session_of(properties: &[(String, String)]) -> Option<&str> {
    properties.iter().find(|(name, _)| name == SESSION_ID).map(|(_, id)| id.as_str())
}

/// A session as it is when somebody looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionLook {
    /// Its id.
    #[serde(rename = "session")]
    pub id: String,
    /// How many messages it has that are neither scheduled nor deferred. No more are counted than
    /// [`SessionLook::MOST_COUNTED`].
    pub messages: u64,
    /// What it is doing.
    pub standing: SessionStanding,
}

impl SessionLook {
    /// How many sessions of a queue are looked at.
    pub const MOST_LISTED: usize = 500;
    /// How many messages of a session are counted.
    pub const MOST_COUNTED: u32 = 100;
}

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionStanding {
    /// Nobody holds it.
    Free,
    /// Somebody holds it. What is noted of it is theirs to read.
    Taken,
    /// Nobody holds it, and runs with `--on-poison stop` leave its messages, since one of them was
    /// poisoned.
    StandsStill,
}

/// How the sessions of a queue are worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Whether the queue is known to require sessions. If not, it is found out.
    pub are_required: bool,
    /// How many sessions are worked off at once.
    pub at_once: usize,
    /// How long a session may give nothing before another one takes its place.
    pub idle: Duration,
    /// Whether a session gives no further message after one of it was poisoned.
    pub stops_on_poison: bool,
}

impl SessionOptions {
    /// The most sessions at once, unless somebody asks for more.
    pub const MAX_AT_ONCE_BY_DEFAULT: usize = 16;
    /// The most sessions at once that can be asked for: each is a link of its own.
    pub const MAX_AT_ONCE: u16 = 128;
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            are_required: false,
            at_once: Self::MAX_AT_ONCE_BY_DEFAULT,
            idle: Duration::from_secs(1),
            stops_on_poison: false,
        }
    }
}
