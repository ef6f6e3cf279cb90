//! From a source to a component that can be called.

use std::fmt;

use longshore_sandbox::{Component, LoadError, MachineCode, Sandbox};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::fetched::{Fetched, Obtained};
use crate::source::{FetchError, Source};

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
    /// Fetches and compiles the component, or loads what it was compiled to. Returns its digest
    /// beside it.
    ///
    /// # Errors
    /// When it cannot be had, or cannot be a handler.
    pub async fn load(&self, sandbox: &Sandbox) -> Result<(Component, String), NotLoaded> {
        self.in_time(sandbox, self.obtain_and_compile(sandbox)).await
    }

    /// As [`load`](Source::load); `None` if the component is the one with this digest.
    ///
    /// # Errors
    /// As for [`load`](Source::load).
    pub(crate) async fn load_other_than(
        &self,
        sandbox: &Sandbox,
        known: Option<&str>,
    ) -> Result<Option<(Component, String)>, NotLoaded> {
        let loading = async {
            let fetched = self.fetch().await.map_err(|error| self.not_fetched(&error))?;
            if Some(&*fetched.digest) == known {
                return Ok(None);
            }
            self.compile(sandbox, fetched).await.map(Some)
        };
        self.in_time(sandbox, loading).await
    }

    /// Gives up when loading takes longer than the sandbox allows. A compiler that is at work goes
    /// on, since nothing can interrupt it.
    async fn in_time<T>(
        &self,
        sandbox: &Sandbox,
        loading: impl Future<Output = Result<T, NotLoaded>>,
    ) -> Result<T, NotLoaded> {
        let limit = sandbox.load_timeout();
        timeout(limit, loading).await.unwrap_or_else(|_| {
            let limit = humantime::format_duration(limit);
            let error = format!(
                "cannot load the component {self}: it is not there after {limit}; compile it ahead of time (`longshore compile`, --precompiled), or allow more with --load-timeout"
            );
            Err(NotLoaded { error, digest: self.named_digest().map(str::to_owned) })
        })
    }

    async fn obtain_and_compile(&self, sandbox: &Sandbox) -> Result<(Component, String), NotLoaded> {
        let (obtained, digest) = self.obtain().await.map_err(|error| self.not_fetched(&error))?;
        let bytes = match obtained {
            Obtained::Component(bytes) => bytes,
            Obtained::MachineCode(code) => match self.link(sandbox, code, &digest).await? {
                Some(component) => return Ok((component, digest)),
                None => self.fetch().await.map_err(|error| self.not_fetched(&error))?.bytes,
            },
        };
        self.compile(sandbox, Fetched { bytes, digest }).await
    }

    /// Compiles a component that was fetched from here. Returns its digest beside it.
    async fn compile(&self, sandbox: &Sandbox, fetched: Fetched) -> Result<(Component, String), NotLoaded> {
        let Fetched { bytes, digest } = fetched;
        let sandbox = sandbox.clone();
        // An earlier try may still be at it. What it makes is kept, and found by the next.
        let turn = sandbox.compiling().lock_owned().await;
        tracing::debug!(component = %self, digest, "loading");
        let compiling = move || {
            let loaded = sandbox.load(&bytes);
            drop(turn);
            loaded
        };
        match spawn_blocking(compiling).await {
            Ok(Ok(component)) => Ok((component, digest)),
            Ok(Err(error)) => Err(self.not_loaded(&error, digest)),
            Err(panicked) => Err(self.not_loaded(&panicked, digest)),
        }
    }

    /// Links what the component was compiled to; `None` if this host cannot run it.
    async fn link(
        &self,
        sandbox: &Sandbox,
        code: MachineCode,
        digest: &str,
    ) -> Result<Option<Component>, NotLoaded> {
        let sandbox = sandbox.clone();
        match spawn_blocking(move || sandbox.load_machine_code(&code)).await {
            Ok(Ok(component)) => {
                tracing::debug!(component = %self, "the precompiled component is used");
                Ok(Some(component))
            }
            Ok(Err(LoadError::Precompiled { cause })) => {
                tracing::warn!(component = %self, cause, "the precompiled component is not used: compiling");
                Ok(None)
            }
            Ok(Err(error)) => Err(self.not_loaded(&error, digest.to_owned())),
            Err(panicked) => Err(self.not_loaded(&panicked, digest.to_owned())),
        }
    }

    /// The component could not be had.
    fn not_fetched(&self, error: &FetchError) -> NotLoaded {
        NotLoaded { error: error.to_string(), digest: self.named_digest().map(str::to_owned) }
    }

    /// The component was had, and cannot be a handler.
    fn not_loaded(&self, cause: &dyn fmt::Display, digest: String) -> NotLoaded {
        NotLoaded { error: format!("cannot load the component {self}: {cause}"), digest: Some(digest) }
    }
}
