//! Requests that the host signs: it adds what a handler must not have, its identity's token or the
//! key of an API.
//!
//! Where such a request may go, and with which method, the operator says. What goes there is
//! checked as a whole first: what looks like a granted path and is none, what would hand out a key
//! that works elsewhere, and what would have the service fetch something from elsewhere is refused.

mod echo;
mod guard;
mod identity;
mod missing;
mod path;
mod secret_header;
mod sent;
mod services;
mod signer;
mod sources;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use http::header::{
    ACCEPT_CHARSET, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, IF_RANGE, PROXY_AUTHORIZATION, RANGE,
    TE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};

pub(super) use self::echo::{Secrecy, Unechoed, echoed};
pub use self::identity::{IdentityGrant, IdentityGrantError, StorageService};
pub(super) use self::missing::HeldUp;
pub use self::secret_header::{HeaderGrant, HeaderGrantError, SecretHeader};
use crate::http::origin::Origin;
use crate::http::signed::missing::MissingToken;
use crate::http::signed::sent::SentSecrets;
use crate::http::signed::signer::{Addition, Signer};

/// Where the tokens of an identity come from.
#[async_trait::async_trait]
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// A valid token for a scope, of the identity with this client id, or else of the default one.
    ///
    /// # Errors
    /// Why there is none, in words.
    async fn token(&self, scope: &str, client_id: Option<&str>) -> Result<String, String>;

    /// Another token than this one, which a service has refused; `None` where there is none to be
    /// had for now.
    async fn replacement(&self, scope: &str, client_id: Option<&str>, refused: &str) -> Option<String>;
}

/// What becomes of a request, by the grants that sign.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// None of them is about its host.
    NoneApplies,
    /// This one is added to it, by its place in the list.
    Signed(usize),
    /// It is not sent, for this reason.
    Refused(String),
}

/// All that sign.
#[derive(Debug, Default)]
pub(crate) struct Signers {
    list: Vec<Signer>,
    source: Option<Arc<dyn TokenSource>>,
    missing: MissingToken,
    sent: SentSecrets,
}

impl Signers {
    pub(crate) fn new(
        identities: &[IdentityGrant],
        headers: &[SecretHeader],
        source: Option<Arc<dyn TokenSource>>,
    ) -> Self {
        let list =
            identities.iter().map(IdentityGrant::signer).chain(headers.iter().map(SecretHeader::signer));
        Self { list: list.collect(), source, ..Self::default() }
    }

    /// Two that add something to the very same requests, by their places in the list.
    pub(crate) fn conflict(&self) -> Option<(usize, usize)> {
        let meet = |one: &Signer, other: &Signer| {
            let methods = match (&one.methods, &other.methods) {
                (Some(ones), Some(others)) => ones.iter().any(|it| others.contains(it)),
                _ => true,
            };
            one.origin == other.origin && one.prefix == other.prefix && methods
        };
        let pairs =
            (0..self.list.len()).flat_map(|one| (one + 1..self.list.len()).map(move |two| (one, two)));
        pairs.into_iter().find(|(one, two)| meet(&self.list[*one], &self.list[*two]))
    }

    /// Which one signs a request, if it may be signed.
    ///
    /// `may_call` says whether the handler may call an origin without being signed.
    pub(super) fn decide(
        &self,
        origin: &Origin,
        request: &Parts,
        may_call: impl Fn(&Origin) -> bool,
    ) -> Decision {
        let about = || self.list.iter().enumerate().filter(|(_, it)| it.origin == *origin);
        if about().next().is_none() {
            return Decision::NoneApplies;
        }
        let path = request.uri.path_and_query().map_or("/", |it| it.as_str());
        let path = path.split('?').next().unwrap_or_default();
        let segments = path::segments(path);
        // Where all of a host is granted, nothing is left by a path.
        let covers = |it: &Signer| {
            it.prefix.is_whole_host() || segments.as_ref().is_ok_and(|segments| it.covers(segments))
        };
        let within = || about().filter(|(_, it)| covers(it));
        let fitting = within().filter(|(_, it)| it.takes(&request.method));
        let Some((index, signer)) = fitting.max_by_key(|(_, it)| it.prefix.depth()) else {
            let refusal = match (&segments, within().next()) {
                (Err(trick), None) => {
                    return Decision::Refused(format!("{trick}, and could leave what was granted"));
                }
                (Ok(_), None) => {
                    let granted: Vec<_> = about().map(|(_, it)| it.prefix.to_string()).collect();
                    format!("its path is not below {}", granted.join(" or "))
                }
                (_, Some(_)) => {
                    let methods = within().flat_map(|(_, it)| it.methods.iter().flatten());
                    let named: Vec<_> = methods.map(Method::as_str).collect();
                    format!("the grant is for {} only", named.join(", "))
                }
            };
            // Without a signature it may go where that is granted as well.
            return if may_call(origin) { Decision::NoneApplies } else { Decision::Refused(refusal) };
        };
        // A service reads a source of the same account with the request's own token.
        let source_is_granted = |source: &Origin, path: &str| {
            let reads = |it: &&Signer| {
                let is_token = matches!(it.addition, Addition::Token { .. });
                is_token && it.origin == *source && it.takes(&Method::GET)
            };
            let covers = |it: &Signer| path::segments(path).is_ok_and(|segments| it.covers(&segments));
            let is_of_a_signer = self.list.iter().any(|it| services::same_account(&it.origin, source));
            self.list.iter().filter(reads).any(covers) || !is_of_a_signer && may_call(source)
        };
        match guard::refusal(request, signer, &segments, source_is_granted) {
            Some(refusal) => Decision::Refused(refusal),
            None => Decision::Signed(index),
        }
    }

    /// The token that a grant adds, once there is one; `None` where it adds none.
    ///
    /// # Errors
    /// Why there is no token, in words.
    pub(super) async fn token_for(&self, index: usize, held_up: &HeldUp) -> Result<Option<String>, String> {
        let Addition::Token { scope, client_id } = &self.list[index].addition else { return Ok(None) };
        let waiting = held_up.waits(index);
        let token = self.token(index, scope, client_id.as_deref()).await;
        let token = token.inspect_err(|cause| held_up.has_none(cause.clone()))?;
        drop(waiting);
        Ok(Some(token))
    }

    /// Adds to a request what its grant says: this token, or else its header.
    ///
    /// # Errors
    /// Why that cannot be, in words.
    pub(super) fn sign(&self, index: usize, request: &mut Parts, token: Option<&str>) -> Result<(), String> {
        let headers = &mut request.headers;
        match (&self.list[index].addition, token) {
            (Addition::Header { name, value }, _) => {
                headers.insert(name, value.clone());
                self.sent.add(index, value.as_bytes());
            }
            (Addition::Token { .. }, Some(token)) => {
                headers.remove(PROXY_AUTHORIZATION);
                headers.insert(AUTHORIZATION, bearer(token)?);
                self.sent.add(index, token.as_bytes());
            }
            (Addition::Token { .. }, None) => return Err("there is no token".into()),
        }
        Ok(())
    }

    /// Whether a host gets what the host adds, and may repeat it: none of Azure's services does.
    fn may_repeat(&self, origin: &Origin) -> bool {
        self.list.iter().any(|it| it.origin == *origin && !it.of_azure)
    }

    /// Takes from a request what would have its answer come in a form in which nobody can see what
    /// it repeats: compressed, in another alphabet, or in parts.
    pub(super) fn prepare(&self, origin: &Origin, headers: &mut HeaderMap) {
        if !self.list.iter().any(|it| it.origin == *origin) {
            return;
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.may_repeat(origin) {
            for name in [RANGE, IF_RANGE, TE, ACCEPT_CHARSET] {
                headers.remove(name);
            }
        }
    }

    /// Whether an answer is encoded although that was not asked for. What Azure's services keep may
    /// be encoded, and is no answer of their own.
    pub(super) fn hides(&self, origin: &Origin, headers: &HeaderMap) -> bool {
        let encoded = |it: &HeaderValue| !it.as_bytes().eq_ignore_ascii_case(b"identity");
        self.may_repeat(origin) && headers.get_all(CONTENT_ENCODING).iter().any(encoded)
    }

    /// What no answer may repeat: whatever was added to any request so far.
    pub(super) fn secrecy(&self) -> Secrecy {
        if self.list.is_empty() { Secrecy::default() } else { self.sent.secrecy() }
    }

    async fn token(&self, index: usize, scope: &str, client_id: Option<&str>) -> Result<String, String> {
        let source = self.source.as_ref().ok_or("this host has no identity")?;
        let token = source.token(scope, client_id).await;
        match &token {
            Ok(_) => self.missing.found(index),
            Err(cause) => self.missing.note(index, cause.clone()),
        }
        token
    }

    /// Why a guest got no token that it needed; `None` if it got all of them.
    pub(super) fn was_held_up(&self, guest: &HeldUp) -> Option<String> {
        let (waiting_for, cause) = guest.by()?;
        if let Some(index) = waiting_for {
            self.missing.note(index, cause.clone());
        }
        Some(cause)
    }

    /// Why the token was not there that was asked for last; `None` if it was, or if none was asked
    /// for yet.
    pub(crate) fn missing(&self) -> Option<String> {
        let (index, cause) = self.missing.get()?;
        Some(format!("no token for requests to {}: {cause}", self.list[index].origin))
    }

    /// Asks again for the token that was not there.
    pub(crate) async fn ask_again(&self) {
        if let Some((index, _)) = self.missing.get()
            && let Addition::Token { scope, client_id } = &self.list[index].addition
        {
            // The cause is noted.
            let _ = self.token(index, scope, client_id.as_deref()).await;
        }
    }

    /// Adds another token than the one that a service has just refused; `None` where there is none
    /// to be had.
    pub(super) async fn sign_again(&self, index: usize, request: &mut Parts, refused: &str) -> Option<()> {
        let Addition::Token { scope, client_id } = &self.list[index].addition else { return None };
        let source = self.source.as_ref()?;
        let token = source.replacement(scope, client_id.as_deref(), refused).await?;
        self.sign(index, request, Some(&token)).ok()
    }
}

fn bearer(token: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| "the token is no text that a header may have")?;
    value.set_sensitive(true);
    Ok(value)
}
