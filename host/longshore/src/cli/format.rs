//! `--output`: how results are printed.

use clap::ValueEnum;

/// How results are printed to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables, for people.
    #[default]
    Table,
    /// JSON, for programs: one object, or one a line.
    Json,
}
