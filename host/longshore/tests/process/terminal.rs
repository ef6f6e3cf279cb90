//! The program on a terminal, which `script` of util-linux makes.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_testkit::needs;
use longshore_testkit::wait::until;

use crate::process::Program;

/// What a person sees who starts the program with these words and types that.
#[track_caller]
pub(crate) fn on_a_terminal(words: &[&str], typed: &str) -> String {
    script(&command(words)).input(typed.as_bytes()).run().stdout
}

/// What a person sees on a terminal of so many columns.
#[track_caller]
pub(crate) fn on_a_terminal_of(columns: u16, words: &[&str]) -> String {
    script(&format!("stty cols {columns}; {}", command(words))).run().stdout
}

/// What a person sees who lets a question stand, while something happens, and then types that.
#[track_caller]
pub(crate) fn on_a_terminal_meanwhile(
    words: &[&str],
    question: &str,
    meanwhile: impl FnOnce(),
    typed: &str,
) -> String {
    let mut terminal = Terminal::start(&command(words), Path::new("/nowhere"));
    terminal.shows(question, 1);
    meanwhile();
    terminal.types(typed.as_bytes());
    terminal.ends()
}

fn script(command: &str) -> Program {
    needs::program("script", "the package bsdutils");
    let mut script = Program::new("script", Path::new(env!("CARGO_TARGET_TMPDIR")));
    // Without it nothing is drawn.
    script.env("TERM", "xterm");
    script.args(["--quiet", "--command", command, "/dev/null"]);
    script
}

/// The program with these words, as a shell takes it.
pub(crate) fn command(words: &[&str]) -> String {
    let quote = |word: &&str| format!("'{}'", word.replace('\'', r"'\''"));
    let command: Vec<_> = [env!("CARGO_BIN_EXE_longshore")].iter().chain(words).map(quote).collect();
    command.join(" ")
}

/// A terminal, and a person at it. What runs there is ended with this value.
pub(crate) struct Terminal {
    script: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a command of a shell, with a directory that is looked through for programs first.
    #[track_caller]
    pub(crate) fn start(command: &str, programs: &Path) -> Self {
        needs::program("script", "the package bsdutils");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--command", command, "/dev/null"])
            .env_clear()
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("HOME", env!("CARGO_TARGET_TMPDIR"))
            .env("TERM", "xterm")
            .env("PS1", "$ ")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (keyboard, mut output) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let screen = Arc::new(Mutex::new(Vec::new()));
        let seen = screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                seen.lock().unwrap().extend(&bytes[..count]);
            }
        });
        Self { script, keyboard, screen }
    }

    /// What is typed or sent at once. There is a pause after it.
    pub(crate) fn types(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).unwrap();
        self.keyboard.flush().unwrap();
        std::thread::sleep(Duration::from_millis(150));
    }

    /// All that it has shown so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until it has shown these words so many times.
    #[track_caller]
    pub(crate) fn shows(&self, words: &str, times: usize) {
        let what = std::fmt::from_fn(|f| write!(f, "{times} × `{words}` in {}", self.shown()));
        until(what, || (self.shown().matches(words).count() >= times).then_some(()));
    }

    /// Waits until the command has ended, and returns all that was shown.
    #[track_caller]
    pub(crate) fn ends(mut self) -> String {
        let script = &mut self.script;
        until("the end of the command", || script.try_wait().unwrap());
        self.shown()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its command gets SIGHUP.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
