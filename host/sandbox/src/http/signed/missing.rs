//! Tokens that are not there. A handler that needs one can handle no message, which is no message's
//! fault.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};

/// From when on a token that is waited for is one that is not there.
const NOT_THERE_AFTER: Duration = Duration::from_secs(1);

/// What is missing for all guests of a sandbox.
#[derive(Debug, Default)]
pub(super) struct MissingToken(Mutex<Option<(usize, String)>>);

impl MissingToken {
    /// Notes that there is none for this grant, by its place in the list, and why.
    pub(super) fn note(&self, signer: usize, cause: String) {
        *lock(&self.0) = Some((signer, cause));
    }

    /// Notes that there is one for this grant.
    pub(super) fn found(&self, signer: usize) {
        let mut missing = lock(&self.0);
        if missing.as_ref().is_some_and(|(of, _)| *of == signer) {
            *missing = None;
        }
    }

    pub(super) fn get(&self) -> Option<(usize, String)> {
        lock(&self.0).clone()
    }
}

/// Whether one guest was held up by a missing token.
#[derive(Debug, Default)]
pub(in crate::http) struct HeldUp(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// For which grants it waits, and since when: one for each request that does.
    waiting: Vec<(u64, usize, Instant)>,
    /// How often it has waited.
    requests: u64,
    /// Why it got no token.
    refused: Option<String>,
}

impl HeldUp {
    /// It waits for the token of this grant for as long as what is returned lasts. A guest that
    /// gives up its request waits no longer.
    pub(super) fn waits(&self, signer: usize) -> Waiting<'_> {
        let mut state = lock(&self.0);
        state.requests += 1;
        let request = state.requests;
        state.waiting.push((request, signer, Instant::now()));
        Waiting { guest: self, request }
    }

    pub(super) fn has_none(&self, cause: String) {
        lock(&self.0).refused = Some(cause);
    }

    /// Why it got no token, and for which grant if it is waiting still.
    pub(super) fn by(&self) -> Option<(Option<usize>, String)> {
        let state = lock(&self.0);
        if let Some(cause) = &state.refused {
            return Some((None, cause.clone()));
        }
        let (_, signer, since) = state.waiting.first()?;
        let waited = since.elapsed();
        (waited >= NOT_THERE_AFTER)
            .then(|| (Some(*signer), format!("the identity gave no token within {} s", waited.as_secs())))
    }
}

/// A request of a guest's that waits for a token.
pub(super) struct Waiting<'a> {
    guest: &'a HeldUp,
    request: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.guest.0).waiting.retain(|it| it.0 != self.request);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is valid after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_guest_is_held_up_for_as_long_as_it_waits_and_no_longer() {
        let guest = HeldUp::default();
        let waiting = guest.waits(3);
        assert!(guest.by().is_none(), "a moment is no delay");
        tokio::time::advance(NOT_THERE_AFTER).await;
        assert_eq!(guest.by().map(|it| it.0), Some(Some(3)));
        // It gives up its request, and dies of something else later.
        drop(waiting);
        tokio::time::advance(NOT_THERE_AFTER * 5).await;
        assert!(guest.by().is_none());
        // Another token comes, and says nothing of the one that does not.
        let _waiting = guest.waits(3);
        drop(guest.waits(4));
        tokio::time::advance(NOT_THERE_AFTER).await;
        assert_eq!(guest.by().map(|it| it.0), Some(Some(3)));
        let waiting = guest.waits(4);
        guest.has_none("refused".into());
        drop(waiting);
        assert_eq!(guest.by(), Some((None, "refused".into())));
    }
}
