//! One example in one language, with a directory for its queues.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use longshore_testkit::identity::{CLIENT_ID, HEADER};
use longshore_testkit::needs;
use longshore_testkit::program::{Ended, Program};
use tempfile::TempDir;

use crate::examples::storage::storage;
use crate::storage::logs;
use crate::storage::storage_account::{SCOPE, StorageAccount};

/// The languages that each example is written in, as the files of its components are named.
pub const LANGUAGES: [&str; 3] = ["rust", "python", "typescript"];
/// Brings the components.
pub const EXAMPLES: &str = "make examples";

/// The real binary, which says what it has to say as JSON.
pub fn longshore() -> Program {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Another build than cargo's last can be tested: a release, or that of another work tree.
    let binary = std::env::var_os("LONGSHORE_BINARY");
    let mut program = Program::new(binary.unwrap_or(env!("CARGO_BIN_EXE_longshore").into()), home);
    program.env("LONGSHORE_CACHE_DIR", home.join("compiled")).env("LONGSHORE_OUTPUT", "json");
    program
}

/// An example, with a directory for its queues.
pub struct Example {
    name: &'static str,
    language: &'static str,
    directory: TempDir,
    account: &'static StorageAccount,
    /// The profile of its project file that says what it may do.
    profile: Option<&'static str>,
    /// Instead of the account's table: `HOST:PORT/PATH`.
    table: Option<String>,
}

impl Example {
    /// With an empty queue, and the account on loopback.
    pub fn new(name: &'static str, language: &'static str) -> Self {
        Self::with(storage(), name, language)
    }

    /// The same with another account.
    pub fn with(account: &'static StorageAccount, name: &'static str, language: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let example = Self { name, language, directory, account, profile: None, table: None };
        for queue in ["messages", "invoices"] {
            example.on(queue, &["queue", "create"]).run().succeeded();
        }
        example
    }

    /// The same, with what a profile of its project file grants.
    pub fn with_profile(mut self, profile: &'static str) -> Self {
        self.profile = Some(profile);
        self
    }

    /// The same, with something else in the place of the account's table: `HOST:PORT/PATH`.
    pub fn with_table(mut self, table: String) -> Self {
        self.table = Some(table);
        self
    }

    /// The URL of one of its queues.
    pub fn queue(&self, name: &str) -> String {
        format!("file:{}/{name}", self.directory.path().display())
    }

    /// A verb about one of its queues.
    pub fn on(&self, queue: &str, args: &[&str]) -> Program {
        let mut program = longshore();
        program.args(args).env("LONGSHORE_QUEUE", self.queue(queue));
        program
    }

    /// Puts a message into its queue.
    pub fn send(&self, body: &str) {
        self.on("messages", &["send", body]).run().succeeded();
    }

    /// `run`, with what the example's project file grants and nothing else, and what else is asked.
    pub fn worker(&self, args: &[&str]) -> Program {
        self.compile();
        let common = ["run", "--log", "info", "--visibility", "2s"];
        let linger = if args.contains(&"--forever") { &[][..] } else { &["--linger", "0"] };
        self.granted(&[&common, linger, args].concat())
    }

    /// Compiles the component once for all tests: it takes a minute where an interpreter is in it.
    fn compile(&self) {
        static COMPILED: Mutex<BTreeSet<(&str, &str)>> = Mutex::new(BTreeSet::new());
        // Others wait meanwhile: compiling takes every core.
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.insert((self.name, self.language)) {
            // Whatever becomes of the message.
            self.granted(&["invoke", "no JSON"]).run().never_panicked();
        }
    }

    fn granted(&self, args: &[&str]) -> Program {
        let component = format!("examples/target/{}-{}.wasm", self.name, self.language);
        let component = needs::file(longshore_testkit::root().join(component), EXAMPLES);
        let mut program = self.on("messages", args);
        program.arg("--component").arg(component);
        program
            .env("SSL_CERT_FILE", &self.account.authority)
            .env("IDENTITY_ENDPOINT", &self.account.identity.url)
            .env("IDENTITY_HEADER", HEADER)
            .env("AZURE_CLIENT_ID", CLIENT_ID)
            .env("LONGSHORE_ALLOW_PRIVATE", self.account.address.to_string())
            .env("LONGSHORE_PROJECT", self.project());
        if let Some(profile) = self.profile {
            program.env("LONGSHORE_PROFILE", profile);
        }
        program
    }

    /// Runs it to its end; no token is in what it says.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ended {
        let ended = self.worker(args).run().never_panicked();
        logs::check(&ended.stderr, &self.account.identity.tokens());
        ended
    }

    /// The example's project file, at the account of the tests.
    fn project(&self) -> PathBuf {
        let file = longshore_testkit::root().join("examples").join(self.name).join("longshore.toml");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let table = self.table.clone().unwrap_or_else(|| format!("{}/bookings", self.account.tables()));
        let text = text
            .replace("acme.blob.core.windows.net", &self.account.blobs())
            .replace("acme.table.core.windows.net/bookings", &table)
            .replace("https://acme.queue.core.windows.net/invoices", &self.queue("invoices"));
        // The services of the tests are none that the host knows: their grants name a scope. A
        // grant begins with its methods, in capitals.
        let parts = text.split('"').enumerate().map(|(place, part)| match part.chars().next() {
            Some(first) if place % 2 == 1 && first.is_ascii_uppercase() => format!("{part}={SCOPE}"),
            _ => part.to_owned(),
        });
        let own = self.directory.path().join("longshore.toml");
        std::fs::write(&own, parts.collect::<Vec<_>>().join("\"")).unwrap();
        own
    }
}
