//! The state of a message's session: as the guest finds it, and what it makes of it. That is kept
//! until it is known whether the handler succeeded.

use bytes::Bytes;
use longshore_handler::{Invocation, RetryReason, SessionChange, SessionState};

use crate::host_trap::HostTrap;

/// The largest state that a guest may set, in bytes: what every tier of Service Bus takes, 256 KiB,
/// less what the request carries beside it
/// ([quotas](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas)).
pub(crate) const MAX_SESSION_STATE: usize = 250 << 10;

/// The session of one message.
#[derive(Debug, Default)]
pub(crate) struct GuestSession {
    queue: String,
    given: SessionState,
    change: SessionChange,
}

impl GuestSession {
    /// The session of this message, if it belongs to one.
    pub(crate) fn of(invocation: &Invocation) -> Self {
        let (queue, given) = (invocation.queue.clone(), invocation.session.clone());
        Self { queue, given, change: SessionChange::Unchanged }
    }

    /// The state as the guest sees it: what it has set itself, or else what it was given.
    ///
    /// # Errors
    /// Why there is none, and the mend.
    pub(crate) fn state(&self) -> Result<Option<&Bytes>, String> {
        let given = self.given()?;
        Ok(match &self.change {
            SessionChange::Unchanged => given,
            SessionChange::Cleared => None,
            SessionChange::Set(bytes) => Some(bytes),
        })
    }

    /// Keeps what the state is to be.
    ///
    /// # Errors
    /// Why there is none, and the mend.
    pub(crate) fn set(&mut self, state: Option<Bytes>) -> Result<(), String> {
        self.given()?;
        self.change = state.map_or(SessionChange::Cleared, SessionChange::Set);
        Ok(())
    }

    /// What the guest has made of the state.
    pub(crate) fn take(&mut self) -> SessionChange {
        std::mem::take(&mut self.change)
    }

    fn given(&self) -> Result<Option<&Bytes>, String> {
        self.given.bytes().ok_or_else(|| {
            format!(
                "the queue {} has no sessions, and keeps no state of them; queues and subscriptions of Service Bus do that require sessions, and `longshore invoke --session-id`",
                self.queue
            )
        })
    }
}

/// Whether a state of so many bytes may be set.
pub(crate) fn admits(bytes: usize) -> Result<(), HostTrap> {
    if bytes <= MAX_SESSION_STATE {
        return Ok(());
    }
    let detail =
        format!("a session state of {bytes} bytes: there is room for {} KiB", MAX_SESSION_STATE >> 10);
    Err(HostTrap { reason: RetryReason::SessionStateLimit, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(given: SessionState) -> GuestSession {
        GuestSession { queue: "orders".into(), given, change: SessionChange::Unchanged }
    }

    #[test]
    fn a_guest_sees_what_it_was_given_and_then_what_it_has_set() {
        let mut session = session(SessionState::Set("1".into()));
        assert_eq!(session.state(), Ok(Some(&"1".into())));
        session.set(Some("2".into())).unwrap();
        assert_eq!(session.state(), Ok(Some(&"2".into())));
        session.set(None).unwrap();
        assert_eq!(session.state(), Ok(None));
        assert_eq!(session.take(), SessionChange::Cleared);
        assert_eq!(session.take(), SessionChange::Unchanged);
    }

    #[test]
    fn without_a_session_there_is_no_state_and_the_words_say_what_has_one() {
        let mut session = session(SessionState::NoSession);
        let words = session.state().unwrap_err();
        assert!(words.contains("orders") && words.contains("Service Bus"), "{words}");
        assert_eq!(session.set(Some("1".into())), Err(words));
        assert_eq!(session.take(), SessionChange::Unchanged);
    }

    #[test]
    fn a_state_is_limited() {
        assert_eq!(admits(MAX_SESSION_STATE), Ok(()));
        let trap = admits(MAX_SESSION_STATE + 1).unwrap_err();
        assert_eq!(trap.reason, RetryReason::SessionStateLimit);
        assert_eq!(trap.to_string(), "a session state of 256001 bytes: there is room for 250 KiB");
    }
}
