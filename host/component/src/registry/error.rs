//! What goes wrong with registries, in words that say what to do.

use std::error::Error as _;

use oci_client::errors::{OciDistributionError, OciErrorCode};

use super::address::Address;

/// Why something could not be fetched from a registry, or put there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or it broke.
    #[error(
        "no answer from the registry {registry}: {cause}; is its name right, and may this host connect to it? A component that is named by its digest needs no registry once it is in the cache"
    )]
    Unreachable {
        /// The registry.
        registry: String,
        /// What happened.
        cause: String,
    },
    /// A connection, and nothing on it for so long that another try would be as long.
    #[error(
        "the registry {registry} said nothing for too long; is it overloaded, or is something between that swallows the answer?"
    )]
    Silent {
        /// The registry.
        registry: String,
    },
    /// It cannot serve now.
    #[error("the registry {registry} cannot serve now: it answered {status}; try again later")]
    Busy {
        /// The registry.
        registry: String,
        /// What it said.
        status: String,
    },
    /// It wants to know who asks, or does not believe it.
    #[error("the registry {registry} does not accept {who}; {LOGIN}")]
    Unauthorized {
        /// The registry.
        registry: String,
        /// Which credentials were sent.
        who: &'static str,
    },
    /// It knows who asks, and does not let them.
    #[error(
        "the registry {registry} does not let {who} read or write there; on Azure, give the identity the role AcrPull (to push: AcrPush) on the registry"
    )]
    Denied {
        /// The registry.
        registry: String,
        /// Which credentials were sent.
        who: &'static str,
    },
    /// There is no such thing.
    #[error(
        "the registry {registry} has no such repository, tag or digest; is the address right, and was it pushed?"
    )]
    NotFound {
        /// The registry.
        registry: String,
    },
    /// There is something, and no component.
    #[error("it is no component: {what}; push one with `longshore push`")]
    NoComponent {
        /// What it is.
        what: String,
    },
    /// What came is not what was asked for.
    #[error(
        "the registry sent something else than what has that digest: {cause}; push it again, or look at what stands between"
    )]
    Damaged {
        /// What differs.
        cause: String,
    },
    /// There are no credentials to send.
    #[error("{0}")]
    NoLogin(String),
    /// Anything else.
    #[error("the registry {registry}: {cause}")]
    Other {
        /// The registry.
        registry: String,
        /// What happened.
        cause: String,
    },
}

/// What to do about a login that is missing or wrong.
const LOGIN: &str = "set LONGSHORE_REGISTRY_USER and LONGSHORE_REGISTRY_PASSWORD, or log in so that the password stands in ~/.docker/config.json (credential helpers are not asked); for an Azure Container Registry under another name, --registry-auth azure";

impl RegistryError {
    /// What the protocol's client says; `who` names the credentials that were sent.
    pub(super) fn of(address: &Address, error: &OciDistributionError, who: &'static str) -> Self {
        use OciDistributionError as Oci;
        let registry = address.registry().to_owned();
        match error {
            Oci::UnauthorizedError { .. } | Oci::AuthenticationFailure(_) => {
                Self::Unauthorized { registry, who }
            }
            Oci::ServerError { code, message, .. } => Self::status(registry, *code, message, who),
            Oci::RegistryError { envelope, .. } => {
                let Some(error) = envelope.errors.first() else {
                    return Self::Other { registry, cause: "an error without a code".into() };
                };
                match &error.code {
                    OciErrorCode::Unauthorized => Self::Unauthorized { registry, who },
                    OciErrorCode::Denied => Self::Denied { registry, who },
                    OciErrorCode::Toomanyrequests => Self::Busy { registry, status: "429".into() },
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::NotFound => Self::NotFound { registry },
                    code => Self::Other { registry, cause: format!("{code:?}: {}", error.message) },
                }
            }
            Oci::ImageManifestNotFoundError(_) => Self::NotFound { registry },
            Oci::RequestError(error) => Self::of_call(registry, error),
            Oci::DigestError(error) => Self::Damaged { cause: error.to_string() },
            error => Self::Other { registry, cause: error.to_string() },
        }
    }

    /// What became of a call that had no answer.
    fn of_call(registry: String, error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Silent { registry }
        } else {
            Self::Unreachable { registry, cause: cause(error) }
        }
    }

    /// What a status means.
    pub(super) fn status(registry: String, status: u16, message: &str, who: &'static str) -> Self {
        match status {
            401 => Self::Unauthorized { registry, who },
            403 => Self::Denied { registry, who },
            404 => Self::NotFound { registry },
            429 | 500.. => Self::Busy { registry, status: status.to_string() },
            _ => Self::Other { registry, cause: format!("{status} {message}") },
        }
    }

    /// What broke a stream of bytes.
    pub(super) fn of_stream(address: &Address, error: &std::io::Error) -> Self {
        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref::<reqwest::Error>()) {
            Some(error) => Self::of_call(address.registry().to_owned(), error),
            None => Self::Damaged { cause: error.to_string() },
        }
    }

    /// Whether the same may go well in a moment.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }
}

/// What is at the bottom of a failed call. The layers above it repeat its URL.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    match error.source() {
        Some(_) => inner.to_string(),
        None => "the call could not be carried out".into(),
    }
}
