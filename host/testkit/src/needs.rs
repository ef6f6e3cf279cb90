//! What tests need and cargo does not build. Where it is missing, a test fails with one line that
//! names the command that brings it.

use std::path::PathBuf;
use std::process::Command;

/// Brings Azurite, the broker, the registry and the official clients of other languages.
pub const SERVICES: &str = "make services-installed";
/// Brings the components in Python and JavaScript, and what is compiled by cargo.
pub const GUESTS: &str = "make guest guest-python guest-js";

/// A file that something else than cargo installs or builds.
///
/// # Panics
/// If it is not there, with the command that brings it.
#[track_caller]
pub fn file(path: PathBuf, brought_by: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: `{brought_by}` brings it", path.display());
    path
}

/// A program of the system's.
///
/// # Panics
/// If it is in no directory of `PATH`, with the command that brings it.
#[track_caller]
pub fn program(name: &str, brought_by: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    assert!(there, "the program {name} is missing: `{brought_by}` brings it, or says how to install it");
    Command::new(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "/nowhere/clean.py is missing: `make services-installed` brings it")]
    fn a_missing_file_is_named_with_the_command_that_brings_it() {
        file("/nowhere/clean.py".into(), SERVICES);
    }

    #[test]
    #[should_panic(expected = "the program no-such-registry is missing: `make services-installed` brings it")]
    fn a_missing_program_is_named_with_the_command_that_brings_it() {
        program("no-such-registry", SERVICES);
    }

    #[test]
    fn what_is_there_can_be_used() {
        assert!(program("sh", SERVICES).args(["-c", "true"]).status().unwrap().success());
    }
}
