//! The real binary, and an eye on what it logs.

use std::path::Path;

use longshore_testkit::guest;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity};
use longshore_testkit::program::{Ended, Process, Program};
use longshore_testkit::wait::until;

use crate::storage::account;
use crate::storage::azurite::{Azurite, fresh, plain, secure};
use crate::storage::logs;
pub use crate::storage::logs::BODY;

/// One environment: a queue of its own, and the identity to reach it with, if it is not a
/// signature.
pub struct Host {
    pub url: String,
    identity: Option<Identity>,
    client_id: Option<&'static str>,
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
        host.start(&["queue", "create"]).succeeded();
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
        // Not through the binary: an identity that is asked here is asked once more than the test
        // thinks.
        let name = self.name().to_owned();
        let server: &Azurite = if self.identity.is_some() { secure() } else { plain() };
        let authority = server.authority.clone();
        let url = server.signed(&name);
        Self::at(url).program_with(authority.as_deref(), &["queue", "create"]).run().succeeded();
    }

    pub fn name(&self) -> &str {
        self.url.split('?').next().unwrap().rsplit('/').next().unwrap()
    }

    pub fn program(&self, args: &[&str]) -> Program {
        let authority = self.identity.as_ref().and_then(|_| secure().authority.as_deref());
        self.program_with(authority, args)
    }

    fn program_with(&self, authority: Option<&Path>, args: &[&str]) -> Program {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Another build than cargo's last can be tested: a release, or that of another work tree.
        let binary = std::env::var_os("LONGSHORE_BINARY");
        let binary = binary.unwrap_or(env!("CARGO_BIN_EXE_longshore").into());
        let mut program = match account::named() {
            Some(_) => Program::as_us(binary),
            None => Program::new(binary, home),
        };
        if account::named().is_none() {
            program.behind_a_dead_proxy();
        }
        program
            .args(args)
            .env("LONGSHORE_CACHE_DIR", home.join("compiled"))
            .env("LONGSHORE_QUEUE", &self.url)
            .env("LONGSHORE_OUTPUT", "json");
        if let Some(authority) = authority {
            program.env("SSL_CERT_FILE", authority);
        }
        if let Some(identity) = &self.identity {
            program.env("IDENTITY_ENDPOINT", &identity.url).env("IDENTITY_HEADER", HEADER);
        }
        if let Some(client_id) = self.client_id {
            program.env("AZURE_CLIENT_ID", client_id);
        }
        program
    }

    /// Runs the binary to its end.
    pub fn start(&self, args: &[&str]) -> Ended {
        self.tells_nothing(self.program(args).run())
    }

    /// Waits for the end of what was started.
    pub fn end_of(&self, process: Process) -> Ended {
        self.tells_nothing(process.wait())
    }

    /// `run`, with retries that a test can wait for.
    pub fn run_with(&self, args: &[&str]) -> Program {
        let component = guest::order();
        let linger = if args.contains(&"--linger") { &[][..] } else { &["--linger", "3s"] };
        let common = [&["run", "--retry-base", "100ms", "--retry-cap", "1s"][..], linger, args].concat();
        self.program(&[&common[..], &["--component", component.to_str().unwrap()]].concat())
    }

    /// The same to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.tells_nothing(self.run_with(args).run())
    }

    pub fn send(&self, messages: &[&str]) {
        let bodies: Vec<String> = messages
            .iter()
            .enumerate()
            .map(|(n, msg)| format!(r#"{{"order_id":"o-{n}","msg":"{msg}","note":"{BODY}"}}"#))
            .collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        self.start(&[&["send"][..], &bodies].concat()).succeeded();
    }

    /// Waits until the queue holds so many messages by its own count, which the service calls
    /// approximate.
    pub fn counts(&self, messages: u64) {
        until(format_args!("{messages} messages in the queue"), || (self.count() == messages).then_some(()));
    }

    pub fn count(&self) -> u64 {
        let stats = self.start(&["queue", "stats"]).succeeded().json();
        stats["approximate_count"].as_u64().unwrap()
    }

    /// Looks through the log for what must not be in it.
    pub fn tells_nothing(&self, ended: Ended) -> Ended {
        logs::check(&ended.stderr, &self.identity.iter().flat_map(Identity::tokens).collect::<Vec<_>>());
        ended
    }
}
