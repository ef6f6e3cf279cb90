//! The real binary, with a queue and a cache of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use longshore_testkit::wat;

/// One machine: what it has cached, and one queue.
pub struct Host {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What one run of the binary came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The last line of standard output, which is JSON.
    pub fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("no output: {self:?}"));
        serde_json::from_str(last).unwrap()
    }

    /// Asserts that all of these words are in the log.
    pub fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
    }
}

impl Host {
    pub fn new() -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap(), variables: Vec::new() };
        host.start(&["queue", "create", "--queue", &host.queue()]).ok();
        host
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Forgets what was fetched.
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.path("cache/oci")).unwrap();
    }

    pub fn queue(&self) -> String {
        format!("file:{}/orders", self.directory.path().display())
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("LONGSHORE_CACHE_DIR", self.path("cache"))
            .env("LONGSHORE_OUTPUT", "json")
            .env("RUST_BACKTRACE", "0")
            .env("LONGSHORE_LOG", "info,longshore=debug")
            // A registry on this machine is no business of a proxy's.
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .envs(self.variables.iter().cloned());
        command
    }

    pub fn start(&self, args: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Pushes a component, and returns its address by digest.
    pub fn push(&self, component: &Path, address: &str) -> String {
        let pushed = self.start(&["push", component.to_str().unwrap(), address]).ok().json();
        pushed["address"].as_str().unwrap().to_owned()
    }

    /// Sends an order, and has it handled; if it fails, it is poisoned at once.
    pub fn run(&self, component: &str, more: &[&str]) -> Ran {
        let queue = self.queue();
        self.start(&["send", "--queue", &queue, r#"{"order_id":"o-1","msg":"ok"}"#]).ok();
        let run = ["run", "--max-messages", "1", "--queue", &queue, "--component", component];
        let once = if more.contains(&"--max-dequeue") { &[][..] } else { &["--max-dequeue", "1"] };
        self.start(&[&run[..], once, more].concat())
    }

    /// Takes the poison queue's only message out of it.
    pub fn poisoned(&self) -> Value {
        let queue = self.queue();
        let listed = self.start(&["poison", "list", "--queue", &queue]).ok();
        assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
        self.start(&["poison", "purge", "--queue", &queue]).ok();
        listed.json()
    }

    /// A small component that completes everything, or whose every message traps.
    pub fn component(&self, name: &str, traps: bool) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, wat::handler("", if traps { "unreachable" } else { "" })).unwrap();
        path
    }
}
