//! The program on a terminal, which `script` of util-linux makes.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use longshore_testkit::{needs, wait};

use crate::process::Program;

/// What a person sees who starts the program with these words and types that.
#[track_caller]
pub(crate) fn on_a_terminal(words: &[&str], typed: &str) -> String {
    script(words).input(typed.as_bytes()).run().stdout
}

/// The same with these variables, where the rest is typed once something has happened.
#[track_caller]
pub(crate) fn on_a_terminal_after(
    words: &[&str],
    variables: &[(&str, &str)],
    typed: &str,
    happened: impl Fn() -> bool,
    rest: &str,
) -> String {
    let directory = tempfile::tempdir().unwrap();
    let keyboard = directory.path().join("keyboard");
    assert!(Command::new("mkfifo").arg(&keyboard).status().unwrap().success());
    let shown = script(words).envs(variables.iter().copied()).input_from(&keyboard).start();
    let mut keyboard = std::fs::OpenOptions::new().write(true).open(&keyboard).unwrap();
    wait::until("the keys on the terminal", || shown.stdout().contains("open the page").then_some(()));
    keyboard.write_all(typed.as_bytes()).unwrap();
    wait::until(format_args!("what `{typed}` does: {}", shown.stdout()), || happened().then_some(()));
    keyboard.write_all(rest.as_bytes()).unwrap();
    shown.wait().stdout
}

/// What a person sees who lets a question stand, while something happens, and then types that.
#[track_caller]
pub(crate) fn on_a_terminal_meanwhile(
    words: &[&str],
    question: &str,
    meanwhile: impl FnOnce(),
    typed: &str,
) -> String {
    let directory = tempfile::tempdir().unwrap();
    let keyboard = directory.path().join("keyboard");
    assert!(Command::new("mkfifo").arg(&keyboard).status().unwrap().success());
    let mut script = script(words);
    script.input_from(&keyboard);
    let shown = script.start();
    let mut keyboard = std::fs::OpenOptions::new().write(true).open(&keyboard).unwrap();
    wait::until(format_args!("`{question}` on the terminal"), || {
        shown.stdout().contains(question).then_some(())
    });
    meanwhile();
    keyboard.write_all(typed.as_bytes()).unwrap();
    shown.wait().stdout
}

/// What a person sees on a terminal of so many columns.
#[track_caller]
pub(crate) fn on_a_terminal_of(columns: u16, words: &[&str]) -> String {
    script_after(&format!("stty cols {columns}; "), words).run().stdout
}

fn script(words: &[&str]) -> Program {
    script_after("", words)
}

fn script_after(first: &str, words: &[&str]) -> Program {
    needs::program("script", "the package bsdutils");
    let quote = |word: &&str| format!("'{}'", word.replace('\'', r"'\''"));
    let command: Vec<_> = [env!("CARGO_BIN_EXE_longshore")].iter().chain(words).map(quote).collect();
    let mut script = Program::new("script", Path::new(env!("CARGO_TARGET_TMPDIR")));
    // Without it nothing is drawn.
    script.env("TERM", "xterm");
    script.args(["--quiet", "--command", &format!("{first}{}", command.join(" ")), "/dev/null"]);
    script
}
