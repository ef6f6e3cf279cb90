//! Azure, as every part of the host reaches it: which identity, its tokens, and one transport for all.
//!
//! The crates are the official ones, `azure_core`, `azure_identity` and `azure_storage_queue`. The community's
//! `azure_storage_queues`, with an s, is retired.

pub mod arm;
mod authorize;
mod credential;
mod http;
pub mod jobs;
mod token;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use self::authorize::Authorize;
pub use self::credential::{Credential, client_options};
pub use self::http::Http;
pub use self::http::{cause, is_this_host};
pub use self::token::{NoToken, Token, Tokens};

/// The scope of tokens for Azure Storage
/// ([Authorize with Microsoft Entra ID](https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory)).
pub const STORAGE: &str = "https://storage.azure.com/.default";

/// The scope of tokens for Service Bus
/// ([Authenticate a managed identity](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-managed-service-identity)).
pub const SERVICE_BUS: &str = "https://servicebus.azure.net/.default";

/// One identity, its tokens by scope, and the transport.
#[derive(Debug)]
pub struct Azure {
    credential: Credential,
    http: Arc<Http>,
    tokens: Mutex<HashMap<Cow<'static, str>, Arc<Tokens>>>,
}

/// The one of this process.
static SHARED: OnceLock<Azure> = OnceLock::new();

impl Azure {
    /// Azure for this credential. Nothing is asked of anybody before the first token is.
    pub fn new(credential: Credential) -> Self {
        Self { credential, http: Arc::default(), tokens: Mutex::default() }
    }

    /// Decides the credential of this process, before anything was opened with [`Azure::shared`].
    pub fn choose(credential: Credential) {
        SHARED.get_or_init(|| Self::new(credential));
    }

    /// The one that all queues of a process share, so that there is one token, and one pool of connections.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(|| Self::new(Credential::Auto))
    }

    /// The transport.
    pub fn http(&self) -> &Arc<Http> {
        &self.http
    }

    /// The tokens for a scope, such as [`STORAGE`].
    pub fn tokens(&self, scope: impl Into<Cow<'static, str>>) -> Arc<Tokens> {
        let scope = scope.into();
        let make = || {
            let (who, mend) = (self.credential.who(), self.credential.mend());
            Arc::new(Tokens::new(self.credential.source(self.http.clone()), scope.clone(), who, mend))
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.entry(scope.clone()).or_insert_with(make).clone()
    }
}
