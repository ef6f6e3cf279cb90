//! What goes wrong with registries, in words that say what to do.

use std::error::Error as _;

/// Why something could not be fetched from a registry, or put there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or it broke.
    #[error(
        "no answer from the registry {registry}: {cause}; is its name right, does it listen there, and may this host connect to it?{also}"
    )]
    Unreachable {
        /// The registry.
        registry: String,
        /// What happened.
        cause: String,
        /// What else helps whoever asked.
        also: &'static str,
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
    /// A tag that stands for several artifacts.
    #[error("{address} is an index of {count} artifacts, and no component; name one of them: {names}")]
    Index {
        /// What was named.
        address: String,
        /// How many there are.
        count: usize,
        /// Their addresses, and what each is for.
        names: String,
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
const LOGIN: &str = "set LONGSHORE_REGISTRY_USER and LONGSHORE_REGISTRY_PASSWORD, with LONGSHORE_REGISTRY_HOST, or log in with Docker, so that the login stands in ~/.docker/config.json or with one of its helpers; for an Azure Container Registry under another name, --registry-auth azure";

impl RegistryError {
    /// What a status means.
    pub(super) fn status(registry: String, status: u16, message: &str, who: &'static str) -> Self {
        match status {
            401 => Self::Unauthorized { registry, who },
            403 => Self::Denied { registry, who },
            404 => Self::NotFound { registry },
            429 | 500.. => Self::Busy { registry, status: status.to_string() },
            300..=399 => Self::Other {
                registry,
                cause: format!(
                    "it answered {status}, a redirect that is not followed; look at what stands between"
                ),
            },
            _ => Self::Other {
                registry,
                cause: format!(
                    "it answered {status} {message}; is it a registry, and does it take artifacts?"
                ),
            },
        }
    }

    /// As it is said where something was to be fetched.
    pub(super) fn when_fetching(self) -> Self {
        match self {
            Self::Unreachable { registry, cause, .. } => {
                let also =
                    " A component that is named by its digest needs no registry once it is in the cache";
                Self::Unreachable { registry, cause, also }
            }
            other => other,
        }
    }

    /// Whether the same may go well in a moment.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }
}

/// What is at the bottom of a failed call. The layers above it repeat its URL.
pub(super) fn cause_of(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    match error.source() {
        Some(_) => inner.to_string(),
        None => "the call could not be carried out".into(),
    }
}
