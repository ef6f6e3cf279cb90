//! The token cache: tokens are fetched ahead of their expiry, in the background, and a valid one is
//! never waited for.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout};

use crate::cause::cause;

/// How long one try to fetch a token may take: an identity endpoint answers in well under a second.
const TRY: Duration = Duration::from_secs(6);
/// The pauses between tries. Three tries and two pauses stay below the 20 s that a cold start may
/// take.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1200)];
/// For how long a failed fetch answers everyone who asks, instead of another fetch.
const FAILURE_STANDS: Duration = Duration::from_secs(1);
/// The same before the first token: a caller who asks then is about to give up, and should not wait
/// twice.
const FIRST_FAILURE_STANDS: Duration = Duration::from_secs(30);
/// The shortest and longest pause between refreshes that failed.
const REFRESH_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Makes a credential. Each fetch has a new one, since those of the SDK have caches of their own,
/// which answer with the old token until five minutes before its end, also when it was refused.
pub(crate) type CredentialSource = Box<dyn Fn() -> Result<Arc<dyn TokenCredential>, Error> + Send + Sync>;

/// A token for one service. Never shown.
#[derive(Clone)]
pub struct Token(AccessToken);

impl Token {
    /// What goes into the `Authorization` header, after `Bearer`.
    pub fn secret(&self) -> &str {
        self.0.token.secret()
    }

    /// How long it is valid, by this host's clock.
    pub fn left(&self) -> Duration {
        (self.0.expires_on - OffsetDateTime::now_utc()).try_into().unwrap_or_default()
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
    source: CredentialSource,
    scope: Cow<'static, str>,
    /// Which credential, and what to do when it gives no token.
    who: &'static str,
    mend: String,
    state: Mutex<TokenState>,
    /// Held while a token is fetched: one fetch is enough for all.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct TokenState {
    token: Option<Token>,
    ever_had: bool,
    failed: Option<(Instant, NoToken)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({}, {})", self.who, self.scope)
    }
}

impl Tokens {
    pub(crate) fn new(
        source: CredentialSource,
        scope: impl Into<Cow<'static, str>>,
        who: &'static str,
        mend: String,
    ) -> Self {
        let scope = scope.into();
        Self { source, scope, who, mend, state: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// A valid token: at once if there is one, else within 20 s.
    ///
    /// # Errors
    /// There is none, and the credential gave none in several tries, or just refused somebody else.
    pub async fn token(self: &Arc<Self>) -> Result<Token, NoToken> {
        if let Some(token) = self.valid() {
            return Ok(token);
        }
        let asked = Instant::now();
        let _one = self.fetching.lock().await;
        if let Some(token) = self.valid() {
            return Ok(token);
        }
        if let Some(error) = self.just_failed(asked) {
            return Err(error);
        }
        self.fetch(&PAUSES).await
    }

    /// Forgets this token, since the service has refused it.
    pub fn refused(&self, token: &Token) {
        self.refused_secret(token.secret());
    }

    /// The same, of a token that is known by its text only.
    pub fn refused_secret(&self, secret: &str) {
        let mut state = self.state();
        if state.token.as_ref().is_some_and(|newest| newest.secret() == secret) {
            state.token = None;
        }
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

    /// Fetches, trying again after each pause, and keeps what came of it.
    async fn fetch(self: &Arc<Self>, pauses: &[Duration]) -> Result<Token, NoToken> {
        let mut pauses = pauses.iter();
        loop {
            let failure = match timeout(TRY, self.ask()).await {
                Ok(Ok(token)) => return Ok(self.keep(Token(token))),
                Ok(Err(error)) => error,
                Err(_) => {
                    FailedTry { cause: format!("no answer within {} s", TRY.as_secs()), lasting: false }
                }
            };
            match pauses.next() {
                Some(pause) if !failure.lasting => sleep(*pause).await,
                _ => return Err(self.fail(failure)),
            }
        }
    }

    async fn ask(&self) -> Result<AccessToken, FailedTry> {
        let credential =
            (self.source)().map_err(|error| FailedTry { cause: error.to_string(), lasting: true })?;
        credential.get_token(&[&self.scope], None).await.map_err(|error| FailedTry::of(&error))
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

    fn fail(&self, FailedTry { cause, .. }: FailedTry) -> NoToken {
        let mut state = self.state();
        let cause = format!("{} gave no token: {cause}", self.who);
        let error = NoToken { cause, mend: self.mend.clone(), never_had: !state.ever_had };
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
        match tokens.fetch(&[]).await {
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

/// Why one try failed.
struct FailedTry {
    cause: String,
    /// The answer will be the same next time.
    lasting: bool,
}

impl FailedTry {
    fn of(error: &Error) -> Self {
        let mut lasting = false;
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(inner) = source {
            if let Some(ErrorKind::HttpResponse { status, .. }) =
                inner.downcast_ref::<Error>().map(Error::kind)
            {
                // An identity that has just been assigned may be unknown (404, 410, 429) for some
                // seconds; 400 is for good.
                lasting = matches!(u16::from(*status), 400 | 401 | 403);
            }
            source = inner.source();
        }
        // The chain of the SDK's errors repeats itself and links to pages: its first line and its
        // end say it all.
        let text = error.to_string();
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        let first = first.split(" To troubleshoot").next().unwrap_or_default();
        let inner = cause(error);
        let inner = inner.trim();
        let cause = if first.contains(inner) { first.to_owned() } else { format!("{first} ({inner})") };
        Self { cause, lasting }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azure_core::credentials::TokenRequestOptions;

    use super::*;

    /// Gives tokens that live so many seconds; `None`: does not answer.
    #[derive(Debug)]
    struct Fake(Arc<Script>);

    #[derive(Debug, Default)]
    struct Script {
        asked: AtomicUsize,
        life_s: Mutex<Option<i64>>,
    }

    #[async_trait::async_trait]
    impl TokenCredential for Fake {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> Result<AccessToken, Error> {
            let number = self.0.asked.fetch_add(1, Ordering::Relaxed);
            let life = *self.0.life_s.lock().unwrap();
            let Some(life) = life else { return std::future::pending().await };
            let expires = OffsetDateTime::now_utc() + azure_core::time::Duration::seconds(life);
            Ok(AccessToken::new(format!("token {number}"), expires))
        }
    }

    fn tokens(life_s: Option<i64>) -> (Arc<Script>, Arc<Tokens>) {
        let script = Arc::new(Script { life_s: Mutex::new(life_s), ..Script::default() });
        let fakes = script.clone();
        let source: CredentialSource = Box::new(move || Ok(Arc::new(Fake(fakes.clone()))));
        (script, Arc::new(Tokens::new(source, "scope", "the identity", "look after it".into())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_cold_start_without_identity_ends_within_20_s_with_the_cause_and_the_mend() {
        let (script, tokens) = tokens(None);
        let started = Instant::now();
        let asking: Vec<_> = (0..20)
            .map(|_| {
                tokio::spawn({
                    let tokens = tokens.clone();
                    async move { tokens.token().await.unwrap_err() }
                })
            })
            .collect();
        for asked in asking {
            let error = asked.await.unwrap();
            assert_eq!(error.to_string(), "the identity gave no token: no answer within 6 s; look after it");
            assert!(error.never_had);
        }
        assert!(tokens.token().await.is_err(), "and at once when asked again");
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        assert_eq!(script.asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_valid_token_is_never_waited_for_while_the_identity_is_down() {
        let (script, tokens) = tokens(Some(3600));
        tokens.token().await.unwrap();
        *script.life_s.lock().unwrap() = None;
        for _ in 0..3000 {
            sleep(Duration::from_secs(1)).await;
            let asked = Instant::now();
            assert_eq!(tokens.token().await.unwrap().secret(), "token 0");
            assert_eq!(asked.elapsed(), Duration::ZERO);
        }
        assert!(script.asked.load(Ordering::Relaxed) > 10, "it was tried again meanwhile");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_refreshed_ahead_of_its_expiry_without_anybody_asking() {
        let (script, tokens) = tokens(Some(3600));
        tokens.token().await.unwrap();
        sleep(Duration::from_secs(1795)).await;
        assert_eq!(script.asked.load(Ordering::Relaxed), 1);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(script.asked.load(Ordering::Relaxed), 2);
        assert_eq!(tokens.token().await.unwrap().secret(), "token 1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_once_however_many_were_refused_with_it() {
        let (script, tokens) = tokens(Some(3600));
        let first = tokens.token().await.unwrap();
        tokens.refused(&first);
        let second = tokens.token().await.unwrap();
        tokens.refused(&first);
        assert_eq!(tokens.token().await.unwrap().secret(), second.secret());
        assert_eq!(script.asked.load(Ordering::Relaxed), 2);
    }
}
