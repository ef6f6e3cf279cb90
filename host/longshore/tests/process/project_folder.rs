//! A directory with a project file.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::process::{Ended, Program, longshore, run};

/// It is removed when this is dropped.
pub(crate) struct ProjectFolder(TempDir);

impl ProjectFolder {
    /// With this project file, and nothing else.
    pub(crate) fn with(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.path("longshore.toml"), text).unwrap();
        folder
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program, with this directory as its working directory.
    pub(crate) fn longshore(&self, words: &[&str]) -> Program {
        let mut program = longshore(words);
        program.current_dir(self.0.path());
        program
    }

    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        run(&mut self.longshore(words)).never_panicked()
    }
}
