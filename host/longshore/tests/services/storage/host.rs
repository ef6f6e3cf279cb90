//! The real binary, and an eye on what it logs.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::storage::account;
use crate::storage::azurite::{Azurite, fresh, plain, secure};
use crate::storage::logs;
pub use crate::storage::logs::BODY;
use longshore_testkit::guest;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity};

/// One environment: a queue of its own, and the identity to reach it with, if it is not a signature.
pub struct Host {
    pub url: String,
    identity: Option<Identity>,
    client_id: Option<&'static str>,
}

/// What one run of the binary came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ran {
    /// The last line of standard output, which is JSON.
    pub fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("no output: {self:?}"));
        serde_json::from_str(last).unwrap()
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl Host {
    /// With a managed identity, over HTTPS, on a queue that exists.
    pub fn with_identity(identity: &Identity) -> Self {
        let host = Self {
            url: secure().url(&fresh()),
            identity: Some(identity.clone()),
            client_id: Some(CLIENT_ID),
        };
        host.create();
        host
    }

    /// The same without creating the queue.
    pub fn without_queue(identity: &Identity, client_id: Option<&'static str>) -> Self {
        Self { url: secure().url(&fresh()), identity: Some(identity.clone()), client_id }
    }

    /// With a signature, over plain HTTP, on a queue that exists.
    pub fn signed() -> Self {
        let host = Self::at(plain().signed(&fresh()));
        host.create();
        host
    }

    /// On Azurite with a signature, or on the caller's account; on a queue that exists.
    pub fn here() -> Self {
        let host = Self::at(account::url());
        host.start(&["queue", "create"]).ok();
        host
    }

    /// The same on the poison queue.
    pub fn poison(&self) -> Self {
        let (queue, query) = self
            .url
            .split_once('?')
            .map_or((&*self.url, String::new()), |(queue, query)| (queue, format!("?{query}")));
        Self { url: format!("{queue}-poison{query}"), identity: self.identity.clone(), ..*self }
    }

    pub fn at(url: String) -> Self {
        Self { url, identity: None, client_id: None }
    }

    fn create(&self) {
        // Not through the binary: an identity that is asked here is asked once more than the test thinks.
        let name = self.name().to_owned();
        let server: &Azurite = if self.identity.is_some() { secure() } else { plain() };
        let authority = server.authority.clone();
        let url = server.signed(&name);
        let ran = Self::at(url).command_with(authority.as_deref(), &["queue", "create"]).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }

    pub fn name(&self) -> &str {
        self.url.split('?').next().unwrap().rsplit('/').next().unwrap()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let authority = self.identity.as_ref().and_then(|_| secure().authority.as_deref());
        self.command_with(authority, args)
    }

    fn command_with(&self, authority: Option<&Path>, args: &[&str]) -> Command {
        static CACHE: OnceLock<tempfile::TempDir> = OnceLock::new();
        let cache = CACHE.get_or_init(|| tempfile::tempdir().unwrap());
        // Another build than cargo's last can be tested: a release, or that of another work tree.
        let binary = std::env::var_os("LONGSHORE_BINARY");
        let mut command = Command::new(binary.unwrap_or(env!("CARGO_BIN_EXE_longshore").into()));
        command.args(args);
        if account::named().is_none() {
            command
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", cache.path())
                // Nothing here may go through a proxy, and identity least of all.
                .env("HTTP_PROXY", "http://127.0.0.1:9")
                .env("HTTPS_PROXY", "http://127.0.0.1:9");
        }
        command
            .env("LONGSHORE_CACHE_DIR", cache.path())
            .env("LONGSHORE_QUEUE", &self.url)
            .env("LONGSHORE_OUTPUT", "json");
        if let Some(authority) = authority {
            command.env("SSL_CERT_FILE", authority);
        }
        if let Some(identity) = &self.identity {
            command.env("IDENTITY_ENDPOINT", &identity.url).env("IDENTITY_HEADER", HEADER);
        }
        if let Some(client_id) = self.client_id {
            command.env("AZURE_CLIENT_ID", client_id);
        }
        command
    }

    pub fn start(&self, args: &[&str]) -> Ran {
        let started = Instant::now();
        let output = self.command(args).output().unwrap();
        self.ran(output, started.elapsed())
    }

    /// `run`, with retries that a test can wait for.
    pub fn run(&self, args: &[&str]) -> Ran {
        let component = guest::order();
        let linger = if args.contains(&"--linger") { &[][..] } else { &["--linger", "3s"] };
        let common = [&["run", "--retry-base", "100ms", "--retry-cap", "1s"][..], linger, args].concat();
        self.start(&[&common[..], &["--component", component.to_str().unwrap()]].concat())
    }

    pub fn send(&self, messages: &[&str]) {
        let bodies: Vec<String> = messages
            .iter()
            .enumerate()
            .map(|(n, msg)| format!(r#"{{"order_id":"o-{n}","msg":"{msg}","note":"{BODY}"}}"#))
            .collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        self.start(&[&["send"][..], &bodies].concat()).ok();
    }

    /// Waits until the queue holds so many messages by its own count, which the service calls approximate.
    pub fn counts(&self, messages: u64) {
        let started = Instant::now();
        while self.count() != messages {
            assert!(started.elapsed() < Duration::from_secs(10), "{} and not {messages}", self.count());
        }
    }

    pub fn count(&self) -> u64 {
        self.start(&["queue", "stats"]).ok().json()["approximate_count"].as_u64().unwrap()
    }

    /// Looks through the log for what must not be in it.
    pub fn ran(&self, output: Output, took: Duration) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            took,
        };
        logs::check(&ran.stderr, &self.identity.iter().flat_map(Identity::tokens).collect::<Vec<_>>());
        ran
    }
}
