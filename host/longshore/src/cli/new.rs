//! The flags of `longshore new`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// Make the project of a handler: its source, tests, sample messages and project file.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// The folder to make. Its last part names the project: lower-case letters, digits and `-`.
    #[arg(value_name = "NAME", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,

    /// The language of the handler.
    // Clap names what is missing by this, and so lists the choices.
    #[arg(long, value_enum, value_name = "rust|python|typescript|javascript", hide_possible_values = true)]
    pub lang: Language,

    /// Take the package for handlers from a clone of longshore.
    ///
    /// Without it the project names the package's version, as a registry has it.
    #[arg(long, value_name = "CLONE", value_hint = ValueHint::DirPath)]
    pub sdk: Option<PathBuf>,

    /// Add what `azd up` needs: `azure.yaml`, and the templates in `infra/`.
    #[arg(long)]
    pub azure: bool,
}

/// The languages that there is a project for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// A crate.
    Rust,
    /// Python, with a virtual environment.
    Python,
    /// TypeScript, with npm.
    #[value(alias = "ts")]
    Typescript,
    /// JavaScript, with npm.
    #[value(alias = "js")]
    Javascript,
}

impl Language {
    /// As `--lang` takes it.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Typescript => "typescript",
            Self::Javascript => "javascript",
        }
    }

    /// As people write it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Typescript => "TypeScript",
            Self::Javascript => "JavaScript",
        }
    }
}
