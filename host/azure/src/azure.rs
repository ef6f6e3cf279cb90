//! One identity for the whole process, its tokens, and the transport.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::credential::Credential;
use crate::http::SharedHttp;
use crate::token::Tokens;

/// One identity, its tokens by scope, and the transport.
#[derive(Debug)]
pub struct Azure {
    credential: Credential,
    http: Arc<SharedHttp>,
    /// By scope, and by client id where it is another identity's.
    tokens: Mutex<HashMap<TokenKey, Arc<Tokens>>>,
}

type TokenKey = (Cow<'static, str>, Option<String>);

/// The one of this process.
static SHARED: OnceLock<Azure> = OnceLock::new();

impl Azure {
    /// Azure for this credential. Nothing is asked of any service before the first token is.
    pub fn new(credential: Credential) -> Self {
        Self { credential, http: Arc::default(), tokens: Mutex::default() }
    }

    /// Decides the credential of this process, before anything was opened with [`Azure::shared`].
    pub fn choose(credential: Credential) {
        SHARED.get_or_init(|| Self::new(credential));
    }

    /// The one that all queues of a process share, so that there is one token, and one pool of
    /// connections.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(|| Self::new(Credential::Auto))
    }

    /// The transport.
    pub fn http(&self) -> &Arc<SharedHttp> {
        &self.http
    }

    /// The tokens for a scope, such as `https://storage.azure.com/.default`.
    pub fn tokens(&self, scope: impl Into<Cow<'static, str>>) -> Arc<Tokens> {
        self.tokens_of(scope, None)
    }

    /// The same of the identity with this client id, where there is one besides that of the
    /// process.
    pub fn tokens_of(&self, scope: impl Into<Cow<'static, str>>, client_id: Option<&str>) -> Arc<Tokens> {
        let scope = scope.into();
        let make = || {
            let credential = self.credential.used(self.http.clone(), client_id.map(str::to_owned));
            Arc::new(Tokens::new(credential, scope.clone()))
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.entry((scope.clone(), client_id.map(str::to_owned))).or_insert_with(make).clone()
    }
}
