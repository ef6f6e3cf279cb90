//! The token cache: tokens are fetched ahead of their expiry, in the background, and a valid one is
//! never waited for.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::error::Error;
use azure_core::time::OffsetDateTime;
use http::HeaderValue;
use tokio::time::{Instant, sleep, timeout};

use crate::failed_try::FailedTry;
use crate::patience::no_longer_than;

/// For how long a token is asked for that somebody waits for: a cold start may take 20 s.
const PATIENCE: Duration = Duration::from_millis(19_500);
/// The first pause between tries, and the longest. It doubles each time.
const PAUSES: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(2400));
/// After how long it is said that there is no token yet.
const SAID_AFTER: Duration = Duration::from_secs(2);
/// The longest that a token is believed to be valid. Those of managed identities are for a day.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long a failed fetch answers everyone who asks, instead of another fetch.
const FAILURE_STANDS: Duration = Duration::from_secs(1);
/// The same before the first token: a caller who asks then is about to give up, and should not wait
/// twice.
const FIRST_FAILURE_STANDS: Duration = Duration::from_secs(30);
/// How often a token is replaced at most that a service has refused to a handler.
const REPLACED_AGAIN: Duration = Duration::from_secs(30);
/// The shortest and longest pause between refreshes that failed.
const REFRESH_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Makes a credential. Each fetch has a new one, since those of the SDK have caches of their own,
/// which answer with the old token until five minutes before its end, also when it was refused.
pub(crate) type CredentialSource = Box<dyn Fn() -> Result<Arc<dyn TokenCredential>, Error> + Send + Sync>;

/// How tokens are fetched with a credential.
pub(crate) struct CredentialUse {
    pub(crate) source: CredentialSource,
    /// Which credential it is, in errors.
    pub(crate) who: &'static str,
    /// What to do when it gives no token.
    pub(crate) mend: String,
    /// How long one try may take.
    pub(crate) one_try: Duration,
    /// Whether it may give a token although it has just given none.
    pub(crate) is_asked_again: bool,
}

/// A token for one service. Never shown.
#[derive(Clone)]
pub struct Token(Arc<HeldToken>);

/// A token as each call needs it.
struct HeldToken {
    access: AccessToken,
    /// The whole value of the `Authorization` header.
    bearer: HeaderValue,
}

impl Token {
    /// `None` if a header cannot carry it.
    fn new(access: AccessToken) -> Option<Self> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access.token.secret())).ok()?;
        bearer.set_sensitive(true);
        Some(Self(Arc::new(HeldToken { access, bearer })))
    }

    /// What goes into the `Authorization` header, after `Bearer`.
    pub fn secret(&self) -> &str {
        self.0.access.token.secret()
    }

    /// The value of the `Authorization` header.
    pub fn bearer(&self) -> &HeaderValue {
        &self.0.bearer
    }

    /// How long it is valid, by this host's clock.
    pub fn left(&self) -> Duration {
        (self.0.access.expires_on - OffsetDateTime::now_utc()).try_into().unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}; {mend}")]
pub struct NoToken {
    /// What went wrong.
    pub cause: String,
    /// What to do about it.
    pub mend: String,
    /// No token was ever had: what is wrong will hardly pass by itself.
    pub never_had: bool,
}

/// The newest token for one service, and the way to the next.
pub struct Tokens {
    credential: CredentialUse,
    scope: Cow<'static, str>,
    state: Mutex<TokenState>,
    /// Held while a token is fetched: one fetch is enough for all.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct TokenState {
    token: Option<Token>,
    ever_had: bool,
    failed: Option<(Instant, NoToken)>,
    /// When one was fetched since a service had refused the one before.
    replaced: Option<Instant>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({}, {})", self.credential.who, self.scope)
    }
}

impl Tokens {
    pub(crate) fn new(credential: CredentialUse, scope: impl Into<Cow<'static, str>>) -> Self {
        let scope = scope.into();
        Self { credential, scope, state: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// A valid token: at once if there is one, else within 20 s.
    ///
    /// # Errors
    /// There is none, and the credential gave none in several tries, or just refused somebody else.
    pub async fn token(self: &Arc<Self>) -> Result<Token, NoToken> {
        if let Some(token) = self.valid() {
            return Ok(token);
        }
        // A caller that gives up takes the token from nobody: the next one would begin anew.
        let tokens = Arc::clone(self);
        match tokio::spawn(async move { tokens.fetched().await }).await {
            Ok(fetched) => fetched,
            Err(error) => Err(self.fail(FailedTry::passing(format!("the fetch ended early: {error}")))),
        }
    }

    /// A token that somebody fetches: this caller, or one before it.
    async fn fetched(self: &Arc<Self>) -> Result<Token, NoToken> {
        let asked = Instant::now();
        let _one = self.fetching.lock().await;
        if let Some(token) = self.valid() {
            return Ok(token);
        }
        if let Some(error) = self.just_failed(asked) {
            return Err(error);
        }
        self.fetch(no_longer_than(PATIENCE)).await
    }

    /// Forgets this token, since the service has refused it.
    pub fn refused(&self, token: &Token) {
        let mut state = self.state();
        if state.token.as_ref().is_some_and(|newest| newest.secret() == token.secret()) {
            state.token = None;
        }
    }

    /// Another token than this one, whose text a service has refused. `None` where there is none:
    /// the identity gives the same again, gives none, or gave one for the same cause just before.
    ///
    /// The one that was refused stays: another service may take it.
    pub async fn replacement(self: &Arc<Self>, refused: &str) -> Option<Token> {
        let another = || self.valid().filter(|newest| newest.secret() != refused);
        if another().is_some() {
            return another();
        }
        let _one = self.fetching.lock().await;
        if another().is_some() {
            return another();
        }
        {
            let mut state = self.state();
            // Whoever is refused for another cause than its token would have it fetched each time.
            if state.replaced.is_some_and(|at| at.elapsed() < REPLACED_AGAIN) {
                return None;
            }
            state.replaced = Some(Instant::now());
        }
        self.fetch(Duration::ZERO).await.ok().filter(|fetched| fetched.secret() != refused)
    }

    fn valid(&self) -> Option<Token> {
        self.state().token.clone().filter(|token| !token.left().is_zero())
    }

    /// The failure of a fetch that we waited for, or that was a moment ago.
    fn just_failed(&self, asked: Instant) -> Option<NoToken> {
        let state = self.state();
        let (at, error) = state.failed.as_ref()?;
        let stands = if state.ever_had { FAILURE_STANDS } else { FIRST_FAILURE_STANDS };
        (*at >= asked || at.elapsed() < stands).then(|| error.clone())
    }

    /// Fetches, trying again until `patience` is used up, and keeps what came of it.
    async fn fetch(self: &Arc<Self>, patience: Duration) -> Result<Token, NoToken> {
        let (started, (mut pause, longest)) = (Instant::now(), PAUSES);
        let (mut limit, mut said) = (self.credential.one_try, false);
        loop {
            let failure = match timeout(limit, self.ask()).await {
                Ok(Ok(token)) => return Ok(self.keep(token)),
                Ok(Err(error)) => error,
                Err(_) => FailedTry::passing(format!("no answer within {} s", limit.as_secs())),
            };
            let left = patience.saturating_sub(started.elapsed() + pause);
            if failure.lasting || !self.credential.is_asked_again || left.is_zero() {
                return Err(self.fail(failure));
            }
            if started.elapsed() > SAID_AFTER && !std::mem::replace(&mut said, true) {
                let (who, cause) = (self.credential.who, &failure.cause);
                tracing::warn!(who, %cause, "no token yet, asking again for up to 20 s");
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
            limit = self.credential.one_try.min(left);
        }
    }

    async fn ask(&self) -> Result<Token, FailedTry> {
        let credential = (self.credential.source)().map_err(|error| FailedTry::lasting(&error))?;
        let token =
            credential.get_token(&[&self.scope], None).await.map_err(|error| FailedTry::of(&error))?;
        usable(token)
    }

    fn keep(self: &Arc<Self>, token: Token) -> Token {
        let mut state = self.state();
        state.token = Some(token.clone());
        state.failed = None;
        if !std::mem::replace(&mut state.ever_had, true) {
            tokio::spawn(keep_fresh(Arc::downgrade(self)));
        }
        token
    }

    fn fail(&self, FailedTry { cause, mend, .. }: FailedTry) -> NoToken {
        let mut state = self.state();
        let cause = format!("{} gave no token: {cause}", self.credential.who);
        let mend = mend.map_or_else(|| self.credential.mend.clone(), str::to_owned);
        let error = NoToken { cause, mend, never_had: !state.ever_had };
        state.failed = Some((Instant::now(), error.clone()));
        error
    }

    /// When to fetch the next token: at half of what is left, or a while after a fetch that failed.
    fn refresh_in(&self) -> Duration {
        let state = self.state();
        let left = state.token.as_ref().map_or(Duration::ZERO, Token::left);
        let (shortest, longest) = REFRESH_AGAIN;
        match state.failed {
            Some(_) => (left / 10).clamp(shortest, longest),
            None => (left / 2).max(shortest),
        }
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        // What it guards is valid after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches tokens ahead of their expiry, for as long as anybody uses them.
async fn keep_fresh(tokens: Weak<Tokens>) {
    let mut said = false;
    loop {
        let Some(wait) = tokens.upgrade().map(|tokens| tokens.refresh_in()) else { return };
        sleep(wait).await;
        let Some(tokens) = tokens.upgrade() else { return };
        let _one = tokens.fetching.lock().await;
        match tokens.fetch(Duration::ZERO).await {
            Ok(_) => said = false,
            Err(error) => {
                let valid_s = tokens.valid().map_or(0, |token| token.left().as_secs());
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(%error, valid_s, "the token cannot be refreshed, trying again; the one there is stays in use");
                }
            }
        }
    }
}

/// A token that can be used, or why it cannot.
fn usable(mut token: AccessToken) -> Result<Token, FailedTry> {
    // A header carries nothing else, and what is in it is never said.
    let is_text =
        |secret: &str| !secret.is_empty() && secret.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let odd = || FailedTry::passing("its token has characters that no token has".into());
    if !is_text(token.token.secret()) {
        return Err(odd());
    }
    token.expires_on = token.expires_on.min(OffsetDateTime::now_utc() + LONGEST_LIFE);
    let token = Token::new(token).ok_or_else(odd)?;
    if token.left().is_zero() {
        let cause = "its token has expired already".into();
        return Err(FailedTry { mend: Some("is this host's clock right?"), ..FailedTry::passing(cause) });
    }
    Ok(token)
}
