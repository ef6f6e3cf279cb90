//! The host beside a worker of the usual kind in Python: on one service over TLS, with one managed
//! identity and equal validation of each order.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::child::{self, Consumed};
use super::drain;
use super::workbench::{Workbench, percentile};
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity};

/// How often each worker is started for one message.
const STARTS: usize = 11;
/// How often each of them takes so many messages. Azurite slows down with deep queues.
const ROUNDS: usize = 5;
const MESSAGES: usize = 300;

/// Who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worker {
    Longshore,
    Python,
}

/// What a worker took for all its messages.
#[derive(Default)]
struct Took {
    starts: Vec<Duration>,
    time: Duration,
    usage: Consumed,
}

/// Everything that both of them need.
pub(super) struct Scene<'a> {
    pub(super) workbench: &'a Workbench,
    pub(super) python: OsString,
    /// The worker in Python, a file of `benches/peers`.
    pub(super) script: &'static str,
    pub(super) identity: Identity,
    /// The certificate of the authority that the service is vouched for by.
    pub(super) authority: &'a Path,
    /// Makes a queue of a new name, and returns its URL.
    pub(super) queue: fn(&Scene<'_>) -> String,
}

/// Prints what each of them takes.
pub(super) fn compare(scene: &Scene<'_>) {
    let workers = [Worker::Longshore, Worker::Python];
    let mut took = [Took::default(), Took::default()];
    // In turns, so that whatever else the machine does hits both of them. The first start fills
    // caches.
    for turn in 0..=STARTS {
        for (worker, took) in workers.iter().zip(&mut took) {
            let first = scene.first_message(*worker);
            took.starts.extend((turn > 0).then_some(first));
        }
    }
    for _ in 0..ROUNDS {
        for (worker, took) in workers.iter().zip(&mut took) {
            scene.take(*worker, MESSAGES, took);
        }
    }
    let messages = (ROUNDS * MESSAGES) as f64;
    let [ours, theirs] = took.map(|mut it| {
        let start = percentile(&mut it.starts, 50) / 1000.0;
        let cpu = it.usage.cpu.as_secs_f64() * 1000.0 / messages;
        (start, cpu, it.usage.peak_mb, messages / it.time.as_secs_f64())
    });
    println!(
        "{ROUNDS} times {MESSAGES} messages over TLS, a token from the identity endpoint, each message a model; p50 of {STARTS} starts"
    );
    println!("                                     longshore   Python, one at a time");
    println!(
        "start to first message handled       {:6.1} ms   {:6.1} ms   {:5.1} times sooner (at least 6)",
        ours.0,
        theirs.0,
        theirs.0 / ours.0
    );
    println!(
        "processor's time per message, in all {:6.2} ms   {:6.2} ms   {:5.3} of it (at most 0.1)",
        ours.1,
        theirs.1,
        ours.1 / theirs.1
    );
    println!(
        "peak memory                          {:6.1} MB   {:6.1} MB   {:5.2} of it (at most 0.5)",
        ours.2,
        theirs.2,
        ours.2 / theirs.2
    );
    println!("messages a second, start included    {:6.0}      {:6.0}", ours.3, theirs.3);
}

impl Scene<'_> {
    /// A queue of its own with so many orders.
    pub(super) fn fill(&self, messages: usize) -> String {
        let url = (self.queue)(self);
        let mut send = self.longshore(&["send", "-", "--queue", &url]);
        let mut send = send.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("longshore runs");
        let mut bodies = send.stdin.take().expect("piped");
        for _ in 0..messages {
            writeln!(bodies, "{}", drain::BODY).expect("it reads");
        }
        drop(bodies);
        assert!(send.wait().expect("it ends").success());
        url
    }

    /// The worker, told to take so many messages.
    fn worker(&self, worker: Worker, url: &str, messages: usize) -> Command {
        let messages = messages.to_string();
        match worker {
            Worker::Longshore => {
                let flags = ["run", "--log-format", "json", "--queue", url, "--max-messages", &messages];
                let mut command = self.longshore(&flags);
                command.arg("--component").arg(&self.workbench.component);
                command
            }
            Worker::Python => {
                let mut command = self.with_identity(Command::new(&self.python));
                let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
                command.arg(peers.join(self.script)).args([url, &messages]);
                command
            }
        }
    }

    /// The host, with the identity.
    pub(super) fn longshore(&self, arguments: &[&str]) -> Command {
        let mut command = self.with_identity(Command::new(&self.workbench.host));
        command.args(arguments);
        command
    }

    /// A command with the identity.
    pub(super) fn with_identity(&self, mut command: Command) -> Command {
        let authority = self.authority;
        command
            .envs([("IDENTITY_ENDPOINT", self.identity.url.as_str()), ("IDENTITY_HEADER", HEADER)])
            .envs([("AZURE_CLIENT_ID", CLIENT_ID), ("NO_PROXY", "127.0.0.1")])
            .envs([("SSL_CERT_FILE", authority), ("REQUESTS_CA_BUNDLE", authority)])
            // Else the host reads the hundred authorities of this machine as well, and Python does
            // not.
            .env_remove("SSL_CERT_DIR");
        command
    }

    /// From its start until it says that the only message is handled and deleted.
    fn first_message(&self, worker: Worker) -> Duration {
        let url = self.fill(1);
        let started = Instant::now();
        let mut command = self.worker(worker, &url, 1);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(run.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let completed = lines.find(|line| line.contains("\"outcome\":\"completed\""));
        let took = started.elapsed();
        lines.for_each(drop);
        assert!(completed.is_some() && run.wait().expect("it ends").success(), "{worker:?}");
        took
    }

    /// Lets it take so many messages, and adds what that took.
    fn take(&self, worker: Worker, messages: usize, took: &mut Took) {
        let url = self.fill(messages);
        let log = self.workbench.directory.path().join("log");
        let started = Instant::now();
        let mut command = self.worker(worker, &url, messages);
        command.stdout(Stdio::piped()).stderr(File::create(&log).expect("a log file"));
        let (_, usage) = child::wait(command.spawn().expect("it starts"));
        took.time += started.elapsed();
        took.usage.cpu += usage.cpu;
        took.usage.peak_mb = took.usage.peak_mb.max(usage.peak_mb);
        let log = std::fs::read_to_string(log).expect("a log");
        assert_eq!(log.matches("\"outcome\":\"completed\"").count(), messages, "{worker:?}");
    }
}
