//! Azurite for the comparison of clients: with a log of all calls, by which they are counted.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use longshore_testkit::wait::until;
use longshore_testkit::{certificates, needs};

use super::azurite::{ACCOUNT, installed};
use crate::child;

/// A running Azurite. It ends with this process, since its standard input does.
pub(super) struct Emulator {
    child: Mutex<Child>,
    id: u32,
    _stdin: ChildStdin,
    pub(super) port: u16,
    /// The certificate of the authority that signed the server's.
    pub(super) authority: PathBuf,
    directory: tempfile::TempDir,
}

/// The calls that one queue got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) receives: usize,
    pub(super) deletes: usize,
    /// Of any kind, without those that made and filled the queue.
    pub(super) all: usize,
}

/// The newest one.
static NEWEST: Mutex<Option<&'static Emulator>> = Mutex::new(None);

/// The newest one, started when it is first asked for.
pub(super) fn emulator() -> &'static Emulator {
    let mut newest = NEWEST.lock().expect("no panic");
    newest.get_or_insert_with(|| Box::leak(Box::new(Emulator::start())))
}

/// Starts a new one, in the place of the one before, which ends.
///
/// Ten minutes after a message was sent, Azurite looks for what is left of it, with one core for a
/// minute and a half. It answers nobody meanwhile. So none should live as long.
pub(super) fn renew() {
    let new: &'static Emulator = Box::leak(Box::new(Emulator::start()));
    if let Some(old) = NEWEST.lock().expect("no panic").replace(new) {
        let mut child = old.child.lock().expect("no panic");
        child.kill().and_then(|()| child.wait()).expect("a child");
    }
}

impl Emulator {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = certificates::make(directory.path(), "IP:127.0.0.1");
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
            free.local_addr().expect("an address").port()
        };
        let log = std::fs::File::create(directory.path().join("log")).expect("a log file");
        installed("node/node_modules");
        let mut command = needs::program("node", needs::SERVICES);
        command
            .arg(installed("node/azurite.js"))
            .args(["--disableTelemetry", "--inMemoryPersistence", "--queueHost", "127.0.0.1"])
            // Newer clients ask for newer versions of the protocol.
            .args(["--queuePort", &port.to_string(), "--skipApiVersionCheck"])
            .args(["--oauth", "basic", "--cert", "server.pem", "--key", "server.key"])
            .current_dir(&directory);
        let mut child = command.stdin(Stdio::piped()).stdout(log).spawn().expect("node runs");
        let stdin = child.stdin.take().expect("piped");
        until(format_args!("Azurite, to listen on port {port}"), || {
            assert!(child.try_wait().expect("a child").is_none(), "Azurite has ended");
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { id: child.id(), child: Mutex::new(child), _stdin: stdin, port, authority, directory }
    }

    /// The URL of a queue, by way of this port.
    pub(super) fn url(&self, port: u16, queue: &str) -> String {
        format!("https://127.0.0.1:{port}/{ACCOUNT}/{queue}")
    }

    /// The processor's time that it has used so far.
    pub(super) fn cpu(&self) -> Duration {
        child::observe(self.id).expect("Azurite runs").cpu
    }

    /// The calls that this queue got, by the log.
    pub(super) fn calls(&self, queue: &str) -> Calls {
        let log = std::fs::read_to_string(self.directory.path().join("log")).expect("a log");
        let mut calls = Calls::default();
        for line in log.lines() {
            let Some((_, call)) = line.split_once('"') else { continue };
            let Some((method, path)) = call.split_once(' ') else { continue };
            let Some(path) = path.strip_prefix(&format!("/{ACCOUNT}/{queue}")) else { continue };
            let is_of_queue = path.starts_with("/messages");
            calls.all += usize::from(is_of_queue && method != "POST");
            calls.receives += usize::from(is_of_queue && method == "GET");
            calls.deletes += usize::from(is_of_queue && method == "DELETE");
        }
        calls
    }
}
