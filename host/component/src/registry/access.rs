//! How registries are reached.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::login::Login;

/// How artifacts are reached, what of them is trusted, and where they are kept.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who asks.
    pub login: Login,
    /// Where artifacts are kept, by digest; `None`: `longshore` under the platform's cache
    /// directory.
    pub cache: Option<PathBuf>,
    /// Whether machine code is executed that a tag names. A user who may push decides what it is
    /// then.
    pub trust_tag: bool,
    /// What a tag was resolved to. It is looked up once in an execution, so that all messages of
    /// the execution meet the same component.
    pub(super) resolved: Arc<OnceLock<String>>,
}

impl Access {
    /// As `login`, with artifacts kept in `cache`, and with machine code from tags or without.
    pub fn new(login: Login, cache: Option<PathBuf>, trust_tag: bool) -> Self {
        Self { login, cache, trust_tag, resolved: Arc::default() }
    }

    /// The digest that a tag was resolved to, once it was.
    pub(crate) fn resolved(&self) -> Option<&str> {
        self.resolved.get().map(String::as_str)
    }
}
