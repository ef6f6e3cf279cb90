//! The program on a terminal, which `script` of util-linux makes.

use std::path::Path;

use longshore_testkit::needs;

use crate::process::Program;

/// What a person sees who starts the program with these words and types that.
#[track_caller]
pub(crate) fn on_a_terminal(words: &[&str], typed: &str) -> String {
    on_a_terminal_with(words, typed, &[])
}

/// The same with these variables.
#[track_caller]
pub(crate) fn on_a_terminal_with(words: &[&str], typed: &str, variables: &[(&str, &str)]) -> String {
    needs::program("script", "the package bsdutils");
    let quote = |word: &&str| format!("'{}'", word.replace('\'', r"'\''"));
    let command: Vec<_> = [env!("CARGO_BIN_EXE_longshore")].iter().chain(words).map(quote).collect();
    let mut script = Program::new("script", Path::new(env!("CARGO_TARGET_TMPDIR")));
    // Without it nothing is drawn.
    script.env("TERM", "xterm").envs(variables.iter().copied());
    script.args(["--quiet", "--command", &command.join(" "), "/dev/null"]);
    script.input(typed.as_bytes()).run().stdout
}
