//! What a language needs on this machine, and how it is got.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::cli::Language;

/// Something that the language needs, and that is not there or too old.
#[derive(Debug, Serialize)]
pub(super) struct MissingTool {
    /// What is needed.
    pub(super) needed: String,
    /// What was found instead.
    pub(super) found: String,
    /// The command that gets it.
    pub(super) install: String,
}

/// A program that is needed, from some version on.
struct Tool {
    program: &'static str,
    /// What it is asked for its version with.
    asked: &'static [&'static str],
    /// The lowest major and minor version.
    lowest: (u32, u32),
    install: &'static str,
    update: &'static str,
}

const RUSTC: Tool = Tool {
    program: "rustc",
    asked: &["--version"],
    lowest: (1, 95),
    install: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
    update: "rustup update stable",
};
/// The target that components are compiled for.
const WASM_TARGET: &str = "wasm32-wasip2";
const PYTHON: Tool = Tool {
    program: "python3",
    asked: &["--version"],
    lowest: (3, 11),
    install: if cfg!(target_os = "macos") {
        "brew install python"
    } else {
        "sudo apt-get install python3 python3-venv"
    },
    update: "curl -LsSf https://astral.sh/uv/install.sh | sh && uv python install --default 3.13",
};
const NODE: Tool = Tool {
    program: "node",
    asked: &["--version"],
    lowest: (20, 0),
    install: if cfg!(target_os = "macos") { "brew install node" } else { "sudo apt-get install nodejs npm" },
    update: "sudo npx --yes n 22",
};
const NPM: Tool = Tool { program: "npm", lowest: (9, 0), update: "npm install --global npm@latest", ..NODE };

/// What is missing for a project in this folder, the first things first.
pub(super) fn missing(lang: Language, folder: &Path) -> Vec<MissingTool> {
    let looked_for = match lang {
        Language::Rust => [RUSTC.missing(folder), wasm_target(folder)],
        Language::Python => [PYTHON.missing(folder), venv(folder)],
        Language::Typescript | Language::Javascript => [NODE.missing(folder), NPM.missing(folder)],
    };
    looked_for.into_iter().flatten().collect()
}

impl Tool {
    /// `None` if it is there, and new enough.
    fn missing(&self, folder: &Path) -> Option<MissingTool> {
        let (major, minor) = self.lowest;
        let needed = format!("{} {major}.{minor} or later", self.program);
        let Some(said) = said(self.program, self.asked, folder) else {
            let found = format!("there is no {} on PATH that works", self.program);
            return Some(MissingTool { needed, found, install: self.install.into() });
        };
        // A version that cannot be read may be a new one.
        let found = version(&said).filter(|found| *found < self.lowest)?;
        let found = format!("this one is {}.{}", found.0, found.1);
        Some(MissingTool { needed, found, install: self.update.into() })
    }
}

/// The target of Rust, which rustup or a package of the system may have installed.
fn wasm_target(folder: &Path) -> Option<MissingTool> {
    let asked = ["--print", "target-libdir", "--target", WASM_TARGET];
    // Without a compiler there is nothing to ask.
    let libraries = said("rustc", &asked, folder)?;
    let is_there = Path::new(libraries.trim()).is_dir();
    (!is_there).then(|| MissingTool {
        needed: format!("Rust's target {WASM_TARGET}"),
        found: "it is not installed".into(),
        install: format!("rustup target add {WASM_TARGET}"),
    })
}

/// What makes virtual environments, which Debian has in a package of its own.
fn venv(folder: &Path) -> Option<MissingTool> {
    said("python3", &["--version"], folder)?;
    if said("python3", &["-c", "import ensurepip, venv"], folder).is_some() {
        return None;
    }
    Some(MissingTool {
        needed: "Python's modules venv and ensurepip".into(),
        found: "they cannot be imported".into(),
        install: "sudo apt-get install python3-venv".into(),
    })
}

/// What a program says, if it is there and works.
fn said(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let ran = Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output().ok()?;
    ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// The first major and minor version in a text: of `rustc 1.95.0 (…)`, `Python 3.11.7`, `v20.1.0`.
fn version(said: &str) -> Option<(u32, u32)> {
    let words = said.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    words
        .filter_map(|word| {
            let mut parts = word.split('.');
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_each_program_prints_it() {
        for (said, read) in [
            ("rustc 1.95.0 (abc123def 2026-04-14)\n", Some((1, 95))),
            ("Python 3.13.0rc1\n", Some((3, 13))),
            ("v20.20.2\n", Some((20, 20))),
            ("11.19.1\n", Some((11, 19))),
            ("nightly", None),
        ] {
            assert_eq!(version(said), read, "{said}");
        }
    }

    #[test]
    fn a_project_needs_the_versions_that_its_package_asks_for() {
        let read = |path: &str| {
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
        };
        let (major, minor) = RUSTC.lowest;
        for manifest in ["guest/Cargo.toml", "examples/hello/rust/Cargo.toml"] {
            assert!(read(manifest).contains(&format!("rust-version = \"{major}.{minor}\"")), "{manifest}");
        }
        let (major, minor) = PYTHON.lowest;
        assert!(
            read("guest/python/pyproject.toml").contains(&format!("requires-python = \">={major}.{minor}\""))
        );
        assert!(read("guest/js/package.json").contains(&format!("\"node\": \">={}\"", NODE.lowest.0)));
    }
}
