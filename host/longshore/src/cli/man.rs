//! The flags of `longshore man`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// The man pages of all verbs.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The directory to write them to, which is made if it is not there.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
}
