//! What a project file holds.

/// The tables that hold no flags.
pub(crate) const BUILD: &str = "build";
pub(crate) const PROFILES: &str = "profile";

/// What a key of the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProjectValue {
    /// As the flag takes it, once for each use of the flag.
    pub(crate) texts: Vec<String>,
    /// The line of the key, counted from 1.
    pub(crate) line: usize,
    /// The profile that it stands in.
    pub(crate) profile: Option<String>,
}

/// How the component is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BuildSteps {
    /// What a shell is given.
    pub(crate) command: Option<(String, usize)>,
    /// The files and directories that the component is built from.
    pub(crate) sources: Option<(Vec<String>, usize)>,
}
