//! One example in one language, with a directory for its queues.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use longshore_testkit::identity::{CLIENT_ID, HEADER};
use longshore_testkit::needs;
use longshore_testkit::program::{Ended, Program};
use tempfile::TempDir;

use crate::examples::storage::storage;
use crate::storage::logs;

/// The languages that each example is written in, as the files of its components are named.
pub const LANGUAGES: [&str; 3] = ["rust", "python", "typescript"];
/// Brings the components.
pub const EXAMPLES: &str = "make examples";
/// Of Azurite's tokens no scope is known by the host.
const SCOPE: &str = "https://storage.azure.com/.default";

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
    /// Instead of the account's table: `HOST:PORT/PATH`.
    table: Option<String>,
}

impl Example {
    /// With an empty queue.
    pub fn new(name: &'static str, language: &'static str) -> Self {
        let example = Self { name, language, directory: tempfile::tempdir().unwrap(), table: None };
        for queue in ["messages", "invoices"] {
            example.on(queue, &["queue", "create"]).run().succeeded();
        }
        example
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

    /// `run`, with what the example's own file grants and nothing else, and what else is asked.
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
        let storage = storage();
        program
            .env("SSL_CERT_FILE", &storage.authority)
            .env("IDENTITY_ENDPOINT", &storage.identity.url)
            .env("IDENTITY_HEADER", HEADER)
            .env("AZURE_CLIENT_ID", CLIENT_ID)
            .env("LONGSHORE_ALLOW_PRIVATE", "127.0.0.0/8")
            .envs(self.grants());
        program
    }

    /// Runs it to its end; no token is in what it says.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ended {
        let ended = self.worker(args).run().never_panicked();
        logs::check(&ended.stderr, &storage().identity.tokens());
        ended
    }

    /// The example's grants, as a shell reads them, at the account of the tests.
    fn grants(&self) -> Vec<(String, String)> {
        let folder = longshore_testkit::root().join("examples").join(self.name);
        let output = Command::new("sh")
            .args(["-c", "set -a; . ./grants.env; exec env -0"])
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let variables = String::from_utf8(output.stdout).unwrap();
        let variables = variables.split('\0').filter_map(|it| it.split_once('='));
        let granted = variables.filter(|(name, _)| name.starts_with("LONGSHORE_"));
        granted.map(|(name, value)| (name.to_owned(), self.at_the_tests_account(name, value))).collect()
    }

    fn at_the_tests_account(&self, name: &str, value: &str) -> String {
        let table = self.table.clone().unwrap_or_else(|| format!("{}/bookings", storage().tables()));
        let value = value
            .replace("acme.blob.core.windows.net", &storage().blobs())
            .replace("acme.table.core.windows.net/bookings", &table)
            .replace("https://acme.queue.core.windows.net/invoices", &self.queue("invoices"));
        if name != "LONGSHORE_HTTP_IDENTITY" {
            return value;
        }
        value.lines().map(|grant| format!("{grant}={SCOPE}\n")).collect()
    }
}
