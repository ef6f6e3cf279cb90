//! Where a component comes from, and the handler made of it, which may be unavailable.

pub mod registry;
mod source;

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use self::source::Obtained;
pub use self::source::{FetchError, Fetched, Source, SourceError};
use longshore_handler::{Answer, Handler, Invocation, RetryReason, Verdict};
use longshore_sandbox::{Component, LoadError, Sandbox};

/// How often a watched file is looked at. It is read when it was the same twice: a compiler may still be writing.
const LOOK: Duration = Duration::from_millis(250);

/// A source, a sandbox, and what came of putting the one into the other.
///
/// A component that is missing, damaged or of another world does not keep the host from starting: it makes failed
/// attempts, until [`reload`](Handler::reload) finds a better one.
#[derive(Debug)]
pub struct LoadedComponent {
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

impl LoadedComponent {
    /// Fetches and compiles the component. That it cannot be done is logged as an error and remembered.
    pub async fn load(sandbox: Sandbox, source: Source) -> Self {
        let current = Current::load(&sandbox, &source).await;
        Self { sandbox, source, current: RwLock::new(current), reloading: tokio::sync::Mutex::default() }
    }

    /// Loads the component again whenever its file has changed, for ever: messages that are being handled keep the one
    /// they have, those after them get the new one. One that cannot be loaded replaces none that can. Returns at once
    /// where the component is no file.
    pub async fn watch(&self) {
        let Source::File(path) = &self.source else { return };
        let (mut read, mut last) = (None, None);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = stamp(path).await;
            if now.is_some() && now != read && now == std::mem::replace(&mut last, now) {
                read = now;
                self.replace().await;
            }
        }
    }

    async fn replace(&self) {
        let _one_at_a_time = self.reloading.lock().await;
        let fetched = self.source.fetch().await;
        if fetched.is_ok_and(|fetched| Some(fetched.digest) == self.digest()) {
            return;
        }
        let new = Current::load(&self.sandbox, &self.source).await;
        if let (Current::Loaded { .. }, Current::Unavailable { .. }) = (self.current(), &new) {
            tracing::warn!(component = self.digest(), "the handler stays as it was");
            return;
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        tracing::info!(component = self.digest(), "the handler was reloaded");
    }

    /// Written in one assignment, so a panic elsewhere cannot have left it half done.
    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait::async_trait]
impl Handler for LoadedComponent {
    /// Hands a message to the component. While none is loaded, the verdict is a retry for
    /// [`RetryReason::ComponentUnavailable`] with the cause.
    async fn handle(&self, invocation: Invocation) -> Answer {
        match self.current() {
            Current::Loaded { component, .. } => component.invoke(invocation).await,
            Current::Unavailable { detail, .. } => {
                Verdict::retry(RetryReason::ComponentUnavailable, detail).into()
            }
        }
    }

    /// Tries again to load the component, if none is loaded.
    async fn reload(&self) {
        let _one_at_a_time = self.reloading.lock().await;
        if matches!(self.current(), Current::Unavailable { .. }) {
            let current = Current::load(&self.sandbox, &self.source).await;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        }
    }

    /// The digest of the component, also of one that could be read and not loaded; `None` if it could not be read, and
    /// was not named by its digest.
    fn digest(&self) -> Option<String> {
        match self.current() {
            Current::Loaded { digest, .. } => Some(digest.to_string()),
            Current::Unavailable { digest, .. } => digest,
        }
    }
}

/// What changes when a file does, or is replaced by another.
async fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let file = tokio::fs::metadata(path).await.ok()?;
    Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

impl Current {
    async fn load(sandbox: &Sandbox, source: &Source) -> Self {
        let (error, digest) = match source.load(sandbox).await {
            Ok((component, digest)) => return Self::Loaded { component, digest: digest.into() },
            Err(NotLoaded { error, digest }) => (error, digest),
        };
        tracing::error!(%source, digest, "{error}");
        Self::Unavailable { detail: error, digest }
    }
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotLoaded {
    /// The cause, and what to do.
    pub error: String,
    /// The digest of what was to be loaded, as far as it is known.
    pub digest: Option<String>,
}

impl Source {
    /// Fetches and compiles the component, or loads what it was compiled to. Returns its digest beside it.
    ///
    /// # Errors
    /// When it cannot be had, or cannot be a handler.
    pub async fn load(&self, sandbox: &Sandbox) -> Result<(Component, String), NotLoaded> {
        let unfetched = |error: FetchError| NotLoaded {
            error: error.to_string(),
            digest: self.named_digest().map(str::to_owned),
        };
        let unloaded = |cause: &dyn fmt::Display, digest| NotLoaded {
            error: format!("cannot load the component {self}: {cause}"),
            digest: Some(digest),
        };
        let (obtained, digest) = self.obtain().await.map_err(unfetched)?;
        let bytes = match obtained {
            Obtained::Component(bytes) => bytes,
            Obtained::MachineCode(code) => {
                let sandbox = sandbox.clone();
                match tokio::task::spawn_blocking(move || sandbox.load_machine_code(&code)).await {
                    Ok(Ok(component)) => {
                        tracing::debug!(component = %self, "the precompiled component is used");
                        return Ok((component, digest));
                    }
                    Ok(Err(LoadError::Precompiled { cause })) => {
                        tracing::warn!(component = %self, cause, "the precompiled component is not used: compiling");
                    }
                    Ok(Err(error)) => return Err(unloaded(&error, digest)),
                    Err(panicked) => return Err(unloaded(&panicked, digest)),
                }
                self.fetch().await.map_err(unfetched)?.bytes
            }
        };
        let sandbox = sandbox.clone();
        match tokio::task::spawn_blocking(move || sandbox.load(&bytes)).await {
            Ok(Ok(component)) => Ok((component, digest)),
            Ok(Err(error)) => Err(unloaded(&error, digest)),
            Err(panicked) => Err(unloaded(&panicked, digest)),
        }
    }
}
