//! Where a project takes the package for handlers from.

use std::path::{Path, PathBuf};

use url::Url;

use super::shell;
use super::toolchain::MissingTool;
use crate::cli::Language;

/// A package for handlers in a clone of the repository.
#[derive(Debug)]
pub(super) struct Sdk {
    clone: PathBuf,
    package: PathBuf,
}

impl Sdk {
    /// Looks for it. The error says what is not there.
    pub(super) fn of_clone(clone: &Path, lang: Language) -> Result<Self, String> {
        let (folder, manifest) = match lang {
            Language::Rust => ("guest/sdk", "Cargo.toml"),
            Language::Python => ("guest/python", "pyproject.toml"),
            Language::Typescript | Language::Javascript => ("guest/js", "package.json"),
        };
        let found = clone.canonicalize().map_err(|error| error.to_string()).and_then(|clone| {
            let package = clone.join(folder);
            let is_there = package.join(manifest).is_file();
            is_there.then_some(Self { clone, package }).ok_or(format!("it has no {folder}/{manifest}"))
        });
        found.map_err(|cause| {
            format!(
                "--sdk {} is no clone of longshore's repository: {cause}; name the folder that `git clone` made",
                clone.display()
            )
        })
    }

    /// What the project's manifest says in the place of a version: `(version, package)`.
    pub(super) fn dependency(&self, lang: Language) -> (&'static str, String) {
        let path = self.package.display().to_string();
        match lang {
            // What JSON writes in quotes, TOML reads.
            Language::Rust => {
                (r#"longshore-guest = "0.1""#, format!("longshore-guest = {{ path = {} }}", quoted(&path)))
            }
            Language::Python => {
                let url = Url::from_file_path(&self.package).map_or(path, Into::into);
                ("longshore-guest~=0.1", format!("longshore-guest @ {url}"))
            }
            Language::Typescript | Language::Javascript => (
                r#""longshore-guest": "^0.1.0""#,
                format!(r#""longshore-guest": {}"#, quoted(&format!("file:{path}"))),
            ),
        }
    }

    /// The package in JavaScript is compiled in the clone.
    pub(super) fn unbuilt(&self, lang: Language) -> Option<MissingTool> {
        let is_compiled = match lang {
            Language::Rust | Language::Python => true,
            Language::Typescript | Language::Javascript => self.package.join("dist/index.js").is_file(),
        };
        (!is_compiled).then(|| MissingTool {
            needed: "the package for handlers, compiled".into(),
            found: format!("{} is not", self.package.display()),
            install: format!("make -C {} guest-js", shell::quoted(&self.clone.display().to_string())),
        })
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
