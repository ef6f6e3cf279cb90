//! What the host has added to requests so far, and so is looked for in answers.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::signed::echo::{Secrecy, pieces};

/// How many secrets of one grant are remembered: a service may repeat one from before, which is
/// valid still.
const OF_ONE_GRANT: usize = 8;

/// The newest secrets of each grant. Any answer may repeat any of them: a service can keep what one
/// request had, and show it to the next.
#[derive(Default)]
pub(super) struct SentSecrets(Mutex<State>);

#[derive(Default)]
struct State {
    /// The newest of each grant stands last.
    secrets: Vec<Sent>,
    /// All of them.
    secrecy: Secrecy,
}

struct Sent {
    /// Of which grant, by its place in the list.
    signer: usize,
    secret: Arc<[u8]>,
    pieces: Vec<Vec<u8>>,
}

impl SentSecrets {
    /// Remembers that a grant's requests have this from now on.
    pub(super) fn add(&self, signer: usize, secret: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.secrets.iter().any(|it| it.signer == signer && *it.secret == *secret) {
            return;
        }
        state.secrets.push(Sent { signer, secret: secret.into(), pieces: pieces(secret) });
        let mut places = (0..state.secrets.len()).filter(|at| state.secrets[*at].signer == signer);
        if let (Some(oldest), true) = (places.next(), places.count() == OF_ONE_GRANT) {
            state.secrets.remove(oldest);
        }
        let mut pieces: Vec<_> = state.secrets.iter().flat_map(|it| it.pieces.iter().cloned()).collect();
        // Several grants may have one token.
        pieces.sort_unstable();
        pieces.dedup();
        state.secrecy = Secrecy::of(&pieces);
    }

    pub(super) fn secrecy(&self) -> Secrecy {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).secrecy.clone()
    }
}

impl fmt::Debug for SentSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SentSecrets(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(sent: &SentSecrets, text: &str) -> bool {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-seen", text.parse().unwrap());
        sent.secrecy().is_in(&headers)
    }

    #[test]
    fn the_newest_secrets_of_each_grant_are_looked_for() {
        let sent = SentSecrets::default();
        sent.add(7, b"another-grants");
        let secret = |number: usize| format!("{number:02}-secret-of-one");
        for number in (0..=OF_ONE_GRANT).chain([OF_ONE_GRANT - 1]) {
            sent.add(1, secret(number).as_bytes());
        }
        assert!(!knows(&sent, &secret(0)), "the oldest is forgotten");
        assert!((1..=OF_ONE_GRANT).all(|number| knows(&sent, &secret(number))));
        assert!(knows(&sent, "another-grants"));
    }
}
