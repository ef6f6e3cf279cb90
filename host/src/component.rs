//! Where a component comes from, and the handler made of it, which may be unavailable.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::sandbox::{self, Answer, Component, Invocation, RetryReason, Sandbox, Verdict};

/// Where a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file: `./order.wasm`.
    File(PathBuf),
}

/// Why a text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing was named.
    #[error("no component is named; give a path like ./order.wasm")]
    Empty,
    /// A registry, which this version cannot read.
    #[error("components cannot be fetched from a registry yet ({0}); fetch it into a file and name that")]
    Registry(String),
    /// Some other kind of URL.
    #[error("a component cannot be fetched from {0}; name a file like ./order.wasm")]
    Scheme(String),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text.split_once("://") {
            Some(("oci", _)) => Err(SourceError::Registry(text.to_owned())),
            // Userinfo and query are secrets, or may be.
            Some((scheme, _)) => Err(SourceError::Scheme(format!("{scheme}://…"))),
            None if text.is_empty() => Err(SourceError::Empty),
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A component's bytes.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The component, or whatever was there.
    pub bytes: Bytes,
    /// Their digest: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// Why a component could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file could not be read.
    #[error("cannot read the component {}: {cause}; {}", .path.display(), mend(.cause))]
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
}

fn mend(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        std::io::ErrorKind::NotFound => {
            "is the path right, and is the file in the image or on a mounted volume?"
        }
        std::io::ErrorKind::PermissionDenied => "may the host's user read it?",
        std::io::ErrorKind::IsADirectory => "name the file in it",
        _ => "is the volume there?",
    }
}

impl Source {
    /// Reads the component.
    ///
    /// # Errors
    /// When it cannot be read; the error names the path, the cause and what to do.
    pub async fn fetch(&self) -> Result<Fetched, FetchError> {
        match self {
            Self::File(path) => {
                let read = tokio::fs::read(path).await;
                let bytes = read.map_err(|cause| FetchError::File { path: path.clone(), cause })?;
                Ok(Fetched { digest: sandbox::digest(&bytes), bytes: bytes.into() })
            }
        }
    }
}

/// A source, a sandbox, and what came of putting the one into the other.
///
/// A component that is missing, damaged or of another world does not keep the host from starting: it makes failed
/// attempts, until [`reload`](Handler::reload) finds a better one.
#[derive(Debug)]
pub struct Handler {
    sandbox: Sandbox,
    source: Source,
    current: RwLock<Current>,
    /// Keeps two reloads from compiling at once.
    reloading: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
enum Current {
    /// The digest is shared: this is cloned for each message.
    Loaded {
        component: Component,
        digest: Arc<str>,
    },
    Unavailable {
        detail: String,
        digest: Option<String>,
    },
}

impl Handler {
    /// Fetches and compiles the component. That it cannot be done is logged as an error and remembered.
    pub async fn load(sandbox: Sandbox, source: Source) -> Self {
        let current = Current::load(&sandbox, &source).await;
        Self { sandbox, source, current: RwLock::new(current), reloading: tokio::sync::Mutex::default() }
    }

    /// Hands a message to the component. While none is loaded, the verdict is a retry for
    /// [`RetryReason::ComponentUnavailable`] with the cause.
    pub async fn handle(&self, invocation: Invocation) -> Answer {
        match self.current() {
            Current::Loaded { component, .. } => component.invoke(invocation).await,
            Current::Unavailable { detail, .. } => {
                Verdict::retry(RetryReason::ComponentUnavailable, detail).into()
            }
        }
    }

    /// Tries again to load the component, if none is loaded.
    pub async fn reload(&self) {
        let _one_at_a_time = self.reloading.lock().await;
        if matches!(self.current(), Current::Unavailable { .. }) {
            let current = Current::load(&self.sandbox, &self.source).await;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        }
    }

    /// The digest of the component, also of one that could be read and not loaded; `None` if it could not be read.
    pub fn digest(&self) -> Option<String> {
        match self.current() {
            Current::Loaded { digest, .. } => Some(digest.to_string()),
            Current::Unavailable { digest, .. } => digest,
        }
    }

    /// Written in one assignment, so a panic elsewhere cannot have left it half done.
    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Current {
    async fn load(sandbox: &Sandbox, source: &Source) -> Self {
        let (error, digest) = match source.fetch().await {
            Err(error) => (error.to_string(), None),
            Ok(Fetched { bytes, digest }) => {
                let sandbox = sandbox.clone();
                let compiled = tokio::task::spawn_blocking(move || sandbox.load(&bytes)).await;
                let cause = match compiled {
                    Ok(Ok(component)) => return Self::Loaded { component, digest: digest.into() },
                    Ok(Err(error)) => error.to_string(),
                    Err(panicked) => panicked.to_string(),
                };
                (format!("cannot load the component {source}: {cause}"), Some(digest))
            }
        };
        tracing::error!(%source, digest, "{error}");
        Self::Unavailable { detail: error, digest }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn a_registry_is_recognised_and_not_taken_for_a_file() {
        let error = "oci://registry.example/order:1".parse::<Source>().unwrap_err().to_string();
        assert!(error.contains("oci://registry.example/order:1") && error.contains("yet"), "{error}");
        let error =
            "https://user:secret@host/order.wasm?sig=secret".parse::<Source>().unwrap_err().to_string();
        assert!(error.contains("https://") && !error.contains("secret"), "{error}");
    }
}
