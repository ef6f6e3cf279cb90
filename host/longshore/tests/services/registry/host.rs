//! The real binary, with a queue and a cache of its own.

use std::path::{Path, PathBuf};

use longshore_testkit::program::{Ended, Program};
use longshore_testkit::{sample, wat};
use serde_json::Value;

/// One machine: what it has cached, and one queue.
pub struct Host {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Host {
    pub fn new() -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap(), variables: Vec::new() };
        host.start(&["queue", "create", "--queue", &host.queue()]).succeeded();
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

    pub fn program(&self, args: &[&str]) -> Program {
        let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), self.directory.path());
        // A registry on this machine is no business of a proxy's.
        program
            .behind_a_dead_proxy()
            .args(args)
            .env("LONGSHORE_CACHE_DIR", self.path("cache"))
            .env("LONGSHORE_OUTPUT", "json")
            .env("LONGSHORE_LOG", "info,longshore=debug")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        program
    }

    /// Runs the binary to its end.
    pub fn start(&self, args: &[&str]) -> Ended {
        self.program(args).run()
    }

    /// Pushes a component, and returns its address by digest.
    pub fn push(&self, component: &Path, address: &str) -> String {
        let pushed = self.start(&["push", component.to_str().unwrap(), address]).succeeded().json();
        pushed["address"].as_str().unwrap().to_owned()
    }

    /// Sends an order, and has it handled; if it fails, it is poisoned at once.
    pub fn run(&self, component: &str, more: &[&str]) -> Ended {
        let queue = self.queue();
        self.start(&["send", "--queue", &queue, &sample::order("o-1", "ok")]).succeeded();
        let run = ["run", "--max-messages", "1", "--queue", &queue, "--component", component];
        let once = if more.contains(&"--max-dequeue") { &[][..] } else { &["--max-dequeue", "1"] };
        self.start(&[&run[..], once, more].concat())
    }

    /// Takes the poison queue's only message out of it.
    pub fn poisoned(&self) -> Value {
        let queue = self.queue();
        let listed = self.start(&["poison", "list", "--all", "--queue", &queue]).succeeded();
        assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
        self.start(&["poison", "purge", "--yes", "--queue", &queue]).succeeded();
        listed.json()
    }

    /// A small component that completes everything, or whose every message traps.
    pub fn component(&self, name: &str, traps: bool) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, wat::handler("", if traps { "unreachable" } else { "" })).unwrap();
        path
    }
}
