//! Requests that the host signs: it adds what a handler must not have, its identity's token or the
//! key of an API.
//!
//! Where such a request may go, and with which method, the operator says. What goes there is
//! checked as a whole first: what looks like a granted path and is none, what would hand out a key
//! that works elsewhere, and what would have the service fetch something from elsewhere is refused.

mod echo;
mod guard;
mod identity;
mod path;
mod secret_header;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};

pub(super) use self::echo::{Secrecy, Unechoed, echoed};
pub use self::identity::{IdentityGrant, IdentityGrantError};
pub use self::secret_header::{HeaderGrant, HeaderGrantError};
use crate::http::origin::Origin;
use crate::http::signed::path::PathPrefix;

/// Where the tokens of an identity come from.
#[async_trait::async_trait]
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// A valid token for a scope, of the identity with this client id, or else of the default one.
    ///
    /// # Errors
    /// Why there is none, in words.
    async fn token(&self, scope: &str, client_id: Option<&str>) -> Result<String, String>;

    /// Forgets a token that a service has refused.
    fn refused(&self, scope: &str, client_id: Option<&str>, token: &str);
}

/// What the host adds to requests.
#[derive(Clone, Debug)]
pub(super) enum Addition {
    /// `Authorization`, with a token.
    Token { scope: String, client_id: Option<String> },
    /// A header that is the same each time.
    Header { name: HeaderName, value: HeaderValue },
}

/// Requests to one place, and what is added to them.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) origin: Origin,
    prefix: PathPrefix,
    /// `None` stands for all methods.
    methods: Option<Vec<Method>>,
    pub(super) addition: Addition,
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
}

impl Signers {
    pub(crate) fn new(
        identities: &[IdentityGrant],
        headers: &[HeaderGrant],
        source: Option<Arc<dyn TokenSource>>,
    ) -> Self {
        let list =
            identities.iter().map(IdentityGrant::signer).chain(headers.iter().map(HeaderGrant::signer));
        Self { list: list.collect(), source }
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
        let covers = |prefix: &PathPrefix| {
            prefix.is_whole_host() || segments.as_ref().is_ok_and(|it| prefix.covers(it))
        };
        let within = about().filter(|(_, it)| covers(&it.prefix));
        let Some((index, signer)) = within.max_by_key(|(_, it)| it.prefix.depth()) else {
            if let Err(trick) = segments {
                return Decision::Refused(format!("{trick}, and could leave what was granted"));
            }
            return self.unsigned(origin, &may_call, || {
                let granted: Vec<_> = about().map(|(_, it)| it.prefix.to_string()).collect();
                format!("its path is not below {}", granted.join(" or "))
            });
        };
        if let Some(methods) = &signer.methods
            && !methods.contains(&request.method)
        {
            return self.unsigned(origin, &may_call, || {
                let named: Vec<_> = methods.iter().map(Method::as_str).collect();
                format!("the grant is for {} only", named.join(", "))
            });
        }
        let source_is_granted = |source: &Origin, path: &str| {
            let granted = self.list.iter().filter(|it| it.origin == *source);
            let covered = |it: &Signer| path::segments(path).is_ok_and(|it_has| it.prefix.covers(&it_has));
            may_call(source) || granted.into_iter().any(covered)
        };
        match guard::refusal(request, &signer.prefix, &signer.addition, source_is_granted) {
            Some(refusal) => Decision::Refused(refusal),
            None => Decision::Signed(index),
        }
    }

    /// A request that no grant covers goes without a signature where that is granted as well.
    fn unsigned(
        &self,
        origin: &Origin,
        may_call: impl Fn(&Origin) -> bool,
        refusal: impl Fn() -> String,
    ) -> Decision {
        if may_call(origin) { Decision::NoneApplies } else { Decision::Refused(refusal()) }
    }

    /// Adds to a request what its grant says.
    ///
    /// # Errors
    /// Why there is no token, in words.
    pub(super) async fn sign(&self, index: usize, request: &mut Parts) -> Result<Secrecy, String> {
        let headers = &mut request.headers;
        // A compressed answer could hold what is looked for.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let secret = match &self.list[index].addition {
            Addition::Token { scope, client_id } => {
                headers.remove(PROXY_AUTHORIZATION);
                let source = self.source.as_ref().ok_or("this host has no identity")?;
                let token = source.token(scope, client_id.as_deref()).await?;
                let value = HeaderValue::try_from(format!("Bearer {token}"));
                let mut value = value.map_err(|_| "the token is no text that a header may have")?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
                token
            }
            Addition::Header { name, value } => {
                headers.insert(name, value.clone());
                value.to_str().unwrap_or_default().to_owned()
            }
        };
        Ok(Secrecy::of(secret))
    }

    /// Has another token fetched than the one that a service has just refused. `false` where there
    /// is none to be had.
    pub(super) fn refused(&self, index: usize, secrecy: &Secrecy) -> bool {
        match (&self.list[index].addition, &self.source) {
            (Addition::Token { scope, client_id }, Some(source)) => {
                source.refused(scope, client_id.as_deref(), secrecy.secret());
                true
            }
            _ => false,
        }
    }
}

/// Splits off the methods that stand before a host: `GET,PUT host`.
fn methods(text: &str) -> Result<(Option<Vec<Method>>, &str), String> {
    let Some((methods, rest)) = text.trim().split_once(' ') else { return Ok((None, text.trim())) };
    let methods = methods.split(',').map(|name| {
        let known = name.bytes().all(|byte| byte.is_ascii_uppercase());
        Method::from_str(name).ok().filter(|_| known && !name.is_empty())
    });
    let methods = methods.collect::<Option<Vec<_>>>();
    let methods = methods.ok_or("methods are written in capitals, with commas: `GET,PUT host`")?;
    match methods.iter().find(|it| [Method::TRACE, Method::CONNECT].contains(it)) {
        Some(method) => Err(format!("{method} is never signed")),
        None => Ok((Some(methods), rest.trim())),
    }
}
