//! A handler that is a component, which can be unavailable and can be replaced.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use longshore_handler::{Answer, Handler, Invocation, RetryReason, Unavailable, Verdict};
use longshore_sandbox::{Component, Sandbox};
use tokio::sync::Notify;

use crate::load::NotLoaded;
use crate::source::Source;

/// How often a watched file is looked at. It is read when it was the same twice, because a compiler
/// may still be writing.
const WATCH_PAUSE: Duration = Duration::from_millis(250);

/// The component of a source, loaded into a sandbox, or the reason why it is not.
///
/// A component that is missing, damaged or of another world does not keep the host from starting.
/// No message is received for it until [`reload`](Handler::reload) finds a better one.
#[derive(Debug)]
pub struct LoadedComponent {
    sandbox: Sandbox,
    source: Source,
    current: RwLock<Current>,
    /// Keeps two reloads from compiling at once.
    reloading: tokio::sync::Mutex<()>,
    replaced: Notify,
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
    /// The component of this source, not yet loaded. [`reload`](Handler::reload) loads it.
    pub fn new(sandbox: Sandbox, source: Source) -> Self {
        let detail = format!("the component {source} was not loaded yet");
        let current = RwLock::new(Current::Unavailable { detail, digest: None });
        let (reloading, replaced) = (tokio::sync::Mutex::default(), Notify::new());
        Self { sandbox, source, current, reloading, replaced }
    }

    /// Fetches and compiles the component. That it cannot be done is logged as an error and
    /// remembered.
    pub async fn load(sandbox: Sandbox, source: Source) -> Self {
        let component = Self::new(sandbox, source);
        // The cause is remembered.
        let _ = component.reload().await;
        component
    }

    /// Loads the component again whenever its file has changed, for ever. Messages that are being
    /// handled keep the component that they have; later ones get the new one. A component that
    /// cannot be loaded never replaces one that can. Returns at once where the component is no
    /// file.
    pub async fn watch(&self) {
        let Source::File(path) = &self.source else { return };
        let (mut read, mut last) = (None, None);
        loop {
            tokio::time::sleep(WATCH_PAUSE).await;
            let now = stamp(path).await;
            if now.is_some() && now != read && now == std::mem::replace(&mut last, now) {
                read = now;
                self.replace().await;
            }
        }
    }

    /// Loads the component again, unless its bytes are the same as before.
    async fn replace(&self) {
        let _one_at_a_time = self.reloading.lock().await;
        let loaded = self.source.load_other_than(&self.sandbox, self.digest().as_deref()).await;
        let Some(loaded) = loaded.transpose() else { return };
        let new = Current::of(loaded, &self.source);
        if let (Current::Loaded { .. }, Current::Unavailable { .. }) = (self.current(), &new) {
            tracing::warn!(component = self.digest(), "the handler stays as it was");
            return;
        }
        let is_there = matches!(new, Current::Loaded { .. });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        if is_there {
            self.replaced.notify_one();
            tracing::info!(component = self.digest(), "the handler was reloaded");
        }
    }

    /// Written in one assignment, so a panic elsewhere cannot have left it half done.
    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait::async_trait]
impl Handler for LoadedComponent {
    /// Hands a message to the component. While no component is loaded, the verdict is a retry for
    /// [`RetryReason::ComponentUnavailable`] with the cause.
    async fn handle(&self, invocation: Invocation) -> Answer {
        match self.current() {
            Current::Loaded { component, .. } => component.invoke(invocation).await,
            Current::Unavailable { detail, .. } => {
                Verdict::retry(RetryReason::ComponentUnavailable, detail).into()
            }
        }
    }

    fn unavailable(&self) -> Option<Unavailable> {
        match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            Current::Loaded { component, .. } => component.without_token().map(|cause| Unavailable { cause }),
            Current::Unavailable { detail, .. } => Some(Unavailable { cause: detail.clone() }),
        }
    }

    /// Tries to load the component, if none is loaded. If it is, and the host had no token for its
    /// requests, that is asked for.
    async fn reload(&self) -> Result<(), Unavailable> {
        let _one_at_a_time = self.reloading.lock().await;
        match self.current() {
            Current::Loaded { component, .. } => component.ask_for_token().await,
            Current::Unavailable { .. } => {
                let current = Current::of(self.source.load(&self.sandbox).await, &self.source);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
            }
        }
        self.unavailable().map_or(Ok(()), Err)
    }

    /// Ends when [`LoadedComponent::watch`] has found another component.
    async fn replaced(&self) {
        self.replaced.notified().await;
    }

    /// The digest of the component, also if it could be read and not loaded. `None` if it could not
    /// be read and was not named by its digest.
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
    /// What a load came to. A failure is logged as an error, and remembered.
    fn of(loaded: Result<(Component, String), NotLoaded>, source: &Source) -> Self {
        match loaded {
            Ok((component, digest)) => Self::Loaded { component, digest: digest.into() },
            Err(NotLoaded { error, digest }) => {
                tracing::error!(%source, digest, "{error}");
                Self::Unavailable { detail: error, digest }
            }
        }
    }
}
