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
    tokens: Mutex<HashMap<Cow<'static, str>, Arc<Tokens>>>,
}

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
        let scope = scope.into();
        let make = || Arc::new(Tokens::new(self.credential.used(self.http.clone()), scope.clone()));
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.entry(scope.clone()).or_insert_with(make).clone()
    }
}
