//! Who may look: a link with a token that is good once, and the cookie that it is exchanged for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;

use super::host::PageHost;

/// How many browsers are let in. The oldest one is forgotten.
const MAX_SESSIONS: usize = 32;
/// How many links are good that nobody has used yet.
const MAX_LINKS: usize = 8;
/// The letters of a secret, each of which is 6 bits.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// How many letters a secret has.
const SECRET_LETTERS: usize = 22;

/// Tokens that are good once, and the cookies of those who have shown one.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<GoodSecrets>);

#[derive(Debug, Default)]
struct GoodSecrets {
    links: VecDeque<OpenLink>,
    cookies: VecDeque<String>,
}

/// A link that nobody has used yet.
#[derive(Debug)]
struct OpenLink {
    token: String,
    /// When it is good for nothing any more, if that is before it is used.
    until: Option<Instant>,
}

/// Makes links that let a browser in.
#[derive(Clone, Debug)]
pub struct SignIn {
    pub(super) sessions: Arc<Sessions>,
    pub(super) host: PageHost,
}

impl SignIn {
    /// A link that is good once. The token stands behind `#`: no log and no `Referer` has it.
    #[must_use]
    pub fn link(&self) -> String {
        self.with(&self.sessions.new_link(None))
    }

    /// The same, good for so long.
    #[must_use]
    pub fn link_for(&self, how_long: Duration) -> String {
        self.with(&self.sessions.new_link(Some(Instant::now() + how_long)))
    }

    fn with(&self, token: &str) -> String {
        format!("http://{}/#t={token}", self.host)
    }
}

impl Sessions {
    fn new_link(&self, until: Option<Instant>) -> String {
        let token = secret();
        let mut keys = self.lock();
        keys.links.push_back(OpenLink { token: token.clone(), until });
        while keys.links.len() > MAX_LINKS {
            keys.links.pop_front();
        }
        token
    }

    /// Exchanges a token for a cookie. It is good for nothing after that.
    pub(super) fn exchange(&self, token: &str) -> Option<String> {
        let mut keys = self.lock();
        let place = keys.links.iter().position(|it| is_same(&it.token, token))?;
        let link = keys.links.remove(place)?;
        if link.until.is_some_and(|until| until <= Instant::now()) {
            return None;
        }
        let cookie = secret();
        keys.cookies.push_back(cookie.clone());
        while keys.cookies.len() > MAX_SESSIONS {
            keys.cookies.pop_front();
        }
        Some(cookie)
    }

    /// Whether this is the cookie of somebody who was let in.
    pub(super) fn knows(&self, cookie: &str) -> bool {
        self.lock().cookies.iter().any(|it| is_same(it, cookie))
    }

    fn lock(&self) -> MutexGuard<'_, GoodSecrets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 132 random bits, in the letters of a URL: a link that is not too wide for a terminal.
pub(super) fn secret() -> String {
    let mut rng = rand::rng();
    (0..SECRET_LETTERS).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
}

/// How long it takes tells nothing of where they differ.
fn is_same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_once_and_only_for_a_cookie() {
        let sign_in = SignIn { sessions: Arc::default(), host: PageHost::address(8000) };
        let link = sign_in.link();
        let token = link.strip_prefix("http://127.0.0.1:8000/#t=").unwrap();
        assert_eq!(token.len(), SECRET_LETTERS);
        let sessions = &sign_in.sessions;
        assert!(!sessions.knows(token) && sessions.exchange("").is_none());
        assert!(sessions.exchange(&token[..21]).is_none());
        let cookie = sessions.exchange(token).unwrap();
        assert!(sessions.knows(&cookie) && !sessions.knows("") && !sessions.knows(token));
        assert!(sessions.exchange(token).is_none(), "a token is good once");
        assert_ne!(sign_in.link(), link);
    }

    #[test]
    fn a_link_that_is_good_for_a_time_is_good_for_nothing_after_it() {
        let sign_in = SignIn { sessions: Arc::default(), host: PageHost::address(1) };
        let token = |link: String| link.rsplit('=').next().unwrap_or_default().to_owned();
        let over = token(sign_in.link_for(Duration::ZERO));
        assert!(sign_in.sessions.exchange(&over).is_none());
        let good = token(sign_in.link_for(Duration::from_secs(60)));
        assert!(sign_in.sessions.exchange(&good).is_some());
    }

    #[test]
    fn links_and_browsers_are_bounded_and_the_oldest_is_forgotten() {
        let sign_in = SignIn { sessions: Arc::default(), host: PageHost::address(1) };
        let token = |link: String| link.rsplit('=').next().unwrap_or_default().to_owned();
        let first = token(sign_in.link());
        for _ in 0..MAX_LINKS {
            let _ = sign_in.link();
        }
        assert!(sign_in.sessions.exchange(&first).is_none());
        let cookie = sign_in.sessions.exchange(&token(sign_in.link())).unwrap();
        for _ in 0..MAX_SESSIONS {
            sign_in.sessions.exchange(&token(sign_in.link())).unwrap();
        }
        assert!(!sign_in.sessions.knows(&cookie));
    }
}
