//! What a sandbox is set up with.

use std::path::PathBuf;
use std::time::Duration;

use crate::grants::Grants;
use crate::limits::Limits;

/// What a sandbox allows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many invocations may run at a time.
    pub concurrency: usize,
    /// What each invocation may use.
    pub limits: Limits,
    /// What the component may reach.
    pub grants: Grants,
    /// How many messages one instance may handle, if it handles all of them well. 1: each message
    /// gets a fresh instance.
    pub reuse: u32,
    /// The component, compiled ahead of time: a file that is trusted with what the host executes.
    /// It is used if it was made from the very component and fits the engine. Otherwise the
    /// component is compiled, with a warning.
    pub precompiled: Option<PathBuf>,
    /// How long it may take to fetch and compile the component.
    pub load_timeout: Duration,
    /// Where compiled components are kept between runs; `None`: `longshore` under the platform's
    /// cache directory. A user who can write there decides what the host executes.
    pub cache: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        let (limits, grants) = (Limits::default(), Grants::default());
        let load_timeout = Duration::from_secs(5 * 60);
        Self { concurrency: 16, limits, grants, reuse: 1, precompiled: None, load_timeout, cache: None }
    }
}
