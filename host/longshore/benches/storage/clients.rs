//! The host beside workers that a good engineer would write with the official clients: many
//! messages at a time, on one Azurite over TLS, at several distances from it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::azurite::{fresh, installed};
use super::distance;
use super::emulator::{self, Calls, emulator};
use crate::beside::Scene;
use crate::child::{self, Consumed, Hung};
use crate::workbench::percentile;

/// The round trips to the emulator, in ms.
const ROUND_TRIPS_MS: [u64; 3] = [0, 2, 10];
const CONCURRENCIES: [usize; 2] = [16, 64];
/// How many messages each client takes in each round. Azurite slows down with deep queues.
const MESSAGES: usize = 600;
/// Where chosen places stand in the environment: `2:16,0:64` are round trips of 2 ms at concurrency
/// 16, and of 0 ms at 64.
const CHOSEN: &str = "BENCH_STORAGE_AT";
/// Where another number of messages stands.
const OTHER_NUMBER: &str = "BENCH_STORAGE_MESSAGES";
/// The clients take turns, so that whatever else the machine does hits all of them.
const ROUNDS: usize = 3;
/// From this part of a core on, the emulator is what the others wait for: it has one thread.
const BUSY_EMULATOR: f64 = 0.8;
/// Microsoft's client for .NET, compiled ahead of time. It takes what it needs from the
/// environment.
const DOTNET: &str = "dotnet-peer";

/// Who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Longshore,
    DotNet,
    Node,
    PythonAsync,
    /// The worker of the usual kind: one message at a time.
    PythonOne,
}

/// What a client took for all its rounds.
#[derive(Default)]
struct Took {
    messages: usize,
    /// From the start of the process to its first message settled.
    firsts: Vec<Duration>,
    time: Duration,
    cpu: Duration,
    peak_mb: f64,
    calls: Calls,
    /// What the emulator used meanwhile.
    emulator: Duration,
}

/// What clients are compared at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting {
    round_trip_ms: u64,
    concurrency: usize,
    messages: usize,
}

/// Everything that a client needs at a setting.
struct Stage<'a> {
    scene: &'a Scene<'a>,
    dotnet: Option<&'a Path>,
    setting: Setting,
    /// Where the way to the emulator begins that takes its time.
    port: u16,
}

/// Prints what each of them takes, at each distance and concurrency.
pub(super) fn compare(mut scene: Scene<'_>) {
    let dotnet = dotnet();
    let settings = settings();
    println!(
        "\n{ROUNDS} times {} messages over TLS, batches of 32; processor's time and memory of the whole process, its start included",
        settings[0].messages
    );
    if dotnet.is_none() {
        println!("{DOTNET} is not on PATH: the client for .NET is not measured");
    }
    for setting in settings {
        let Setting { round_trip_ms, concurrency, .. } = setting;
        emulator::renew();
        let port = match round_trip_ms {
            0 => emulator().port,
            _ => distance::start(emulator().port, Duration::from_millis(round_trip_ms)),
        };
        println!(
            "round trip {round_trip_ms:>2} ms, concurrency {concurrency}, load {}: a second   CPU each    first one    memory  receives  requests each   Azurite",
            load()
        );
        scene.authority = &emulator().authority;
        Stage { scene: &scene, dotnet: dotnet.as_deref(), setting, port }.compare();
    }
}

/// The settings of the environment, or all of them.
fn settings() -> Vec<Setting> {
    let variable = |name| std::env::var(name).ok().filter(|it| !it.is_empty());
    let messages = variable(OTHER_NUMBER).map_or(MESSAGES, |it| it.parse().expect("a number of messages"));
    let setting = |(round_trip_ms, concurrency)| Setting { round_trip_ms, concurrency, messages };
    let all = || ROUND_TRIPS_MS.into_iter().flat_map(|ms| CONCURRENCIES.map(|at_once| (ms, at_once)));
    let Some(chosen) = variable(CHOSEN) else { return all().map(setting).collect() };
    let pair = |text: &str| {
        let (ms, at_once) = text.split_once(':').expect("ROUND-TRIP-MS:CONCURRENCY");
        (ms.parse().expect("a round trip in ms"), at_once.parse().expect("a concurrency"))
    };
    chosen.split(',').map(pair).map(setting).collect()
}

/// How many processes want a core, on average of the last minute.
fn load() -> String {
    let all = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split(' ').next().unwrap_or_default().to_owned()
}

impl Stage<'_> {
    fn compare(&self) {
        let clients: Vec<Client> =
            [Client::Longshore, Client::DotNet, Client::Node, Client::PythonAsync, Client::PythonOne]
                .into_iter()
                .filter(|it| *it != Client::DotNet || self.dotnet.is_some())
                .collect();
        let mut took: Vec<Result<Took, Hung>> = clients.iter().map(|_| Ok(Took::default())).collect();
        for _ in 0..ROUNDS {
            for (client, took) in clients.iter().zip(&mut took) {
                // One that hangs has that for its row. The others go on.
                if let Ok(sum) = took
                    && let Err(hung) = self.take(*client, sum)
                {
                    *took = Err(hung);
                }
            }
        }
        let mut sums = Vec::new();
        for (client, took) in clients.iter().zip(took) {
            match took.map(Took::sum) {
                Ok(sum) => {
                    println!("  {:<28} {sum}", client.name());
                    sums.push((client, sum));
                }
                Err(hung) => println!("  {:<28} {hung}", client.name()),
            }
        }
        let Some(((Client::Longshore, ours), others)) = sums.split_first() else { return };
        for (client, sum) in others {
            println!("  longshore / {:<16} {}", client.name(), ours.beside(sum, client.bounds()));
        }
    }

    /// Lets a client take the messages of a queue of its own, and adds what that took.
    fn take(&self, client: Client, took: &mut Took) -> Result<(), Hung> {
        let Self { scene, setting, .. } = self;
        let direct = scene.fill(setting.messages);
        let queue = direct.rsplit('/').next().expect("the name of a queue");
        let mut command = self.command(client, &emulator().url(self.port, queue));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (before, started) = (emulator().cpu(), Instant::now());
        let mut child = command.spawn().expect("it starts");
        let log = child.stderr.take().expect("piped");
        let log = thread::spawn(move || completed(log, started));
        let (output, Consumed { cpu, peak_mb }) = child::wait_within(child, child::LIMIT)?;
        took.time += started.elapsed();
        let (mut completed, mut first) = log.join().expect("no panic");
        if client == Client::DotNet {
            (completed, first) = said(&String::from_utf8_lossy(&output));
        }
        // On a busy machine a send is repeated whose answer is late, and its message is there
        // twice.
        assert!(completed >= setting.messages, "{client:?}: only {completed} messages are completed");
        took.messages += completed;
        took.firsts.push(first);
        took.cpu += cpu;
        took.peak_mb = took.peak_mb.max(peak_mb);
        took.emulator += emulator().cpu() - before;
        let calls = emulator().calls(queue);
        assert_eq!(calls.deletes, completed, "{client:?}: each message is deleted once");
        took.calls.receives += calls.receives;
        took.calls.all += calls.all;
        Ok(())
    }

    fn command(&self, client: Client, url: &str) -> Command {
        let Self { scene, setting, .. } = self;
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
        let (messages, concurrency) = (setting.messages.to_string(), setting.concurrency.to_string());
        match client {
            Client::Longshore => {
                let flags = ["run", "--log-format", "json", "--queue", url, "--max-messages", &messages];
                let mut command = scene.longshore(&flags);
                command.args(["--concurrency", &concurrency, "--component"]).arg(&scene.workbench.component);
                command
            }
            Client::DotNet => {
                let mut command = scene.with_identity(Command::new(self.dotnet.expect("it was found")));
                command.arg("storage").envs([("QUEUE_URL", url), ("CONC", &concurrency)]);
                command
            }
            Client::Node => {
                let mut command = scene.with_identity(Command::new("node"));
                command.arg(peers.join("storage.cjs")).arg(installed("node/package.json"));
                command.args([url, &concurrency]).env("NODE_EXTRA_CA_CERTS", scene.authority);
                command
            }
            Client::PythonAsync | Client::PythonOne => {
                let mut command = scene.with_identity(Command::new(&scene.python));
                let (script, number) = match client {
                    Client::PythonAsync => ("storage_async.py", &concurrency),
                    _ => (scene.script, &messages),
                };
                command.arg(peers.join(script)).args([url, number]);
                command
            }
        }
    }
}

/// How many messages a client's log says are completed, and when the first one was.
fn completed(log: ChildStderr, started: Instant) -> (usize, Duration) {
    let (mut count, mut first) = (0, Duration::ZERO);
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        if line.contains("\"outcome\":\"completed\"") {
            count += 1;
            if count == 1 {
                first = started.elapsed();
            }
        }
    }
    (count, first)
}

/// The same from the last line of the client for .NET: `n=600 first_ms=130 …`.
fn said(output: &str) -> (usize, Duration) {
    let of = |name: &str| {
        let words = output.split_whitespace().rev();
        let value = words.filter_map(|it| it.split_once('=')).find(|(key, _)| *key == name);
        value.and_then(|(_, it)| it.parse::<f64>().ok()).unwrap_or_default()
    };
    (of("n") as usize, Duration::from_secs_f64(of("first_ms") / 1000.0))
}

fn dotnet() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(DOTNET)).find(|it| it.is_file())
}

/// A new queue on the emulator, without a detour.
pub(super) fn queue(scene: &Scene<'_>) -> String {
    let url = emulator().url(emulator().port, &fresh());
    let mut create = scene.longshore(&["queue", "create", "--queue", &url]);
    assert!(create.stdout(Stdio::null()).status().expect("longshore runs").success());
    url
}

/// How much less than another client the host is to take: of the processor's time, of the time to
/// the first message, and of the memory.
type Bounds = Option<[f64; 3]>;

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::Longshore => "longshore",
            Self::DotNet => ".NET",
            Self::Node => "Node",
            Self::PythonAsync => "Python, asyncio",
            Self::PythonOne => "Python, one by one",
        }
    }

    fn bounds(self) -> Bounds {
        match self {
            Self::DotNet => Some([1.0 / 2.0, 1.0 / 4.0, 3.0 / 4.0]),
            Self::Node => Some([1.0 / 6.0, 1.0 / 20.0, 1.0 / 4.0]),
            Self::Longshore | Self::PythonAsync | Self::PythonOne => None,
        }
    }
}

/// What a client took for one message, and beside it the emulator.
struct Sum {
    per_second: f64,
    cpu_ms: f64,
    first_ms: f64,
    peak_mb: f64,
    receives: f64,
    requests: f64,
    /// Which part of a core the emulator used.
    emulator: f64,
}

impl Took {
    fn sum(mut self) -> Sum {
        let messages = self.messages as f64;
        let seconds = self.time.as_secs_f64();
        Sum {
            per_second: messages / seconds,
            cpu_ms: self.cpu.as_secs_f64() * 1000.0 / messages,
            first_ms: percentile(&mut self.firsts, 50) / 1000.0,
            peak_mb: self.peak_mb,
            receives: self.calls.receives as f64 / ROUNDS as f64,
            requests: self.calls.all as f64 / messages,
            emulator: self.emulator.as_secs_f64() / seconds,
        }
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { per_second, cpu_ms, first_ms, peak_mb, receives, requests, emulator } = self;
        let limit = if *emulator >= BUSY_EMULATOR { ", which is the limit" } else { "" };
        write!(
            f,
            "{per_second:9.0}   {cpu_ms:5.2} ms   {first_ms:7.0} ms   {peak_mb:4.0} MB   {receives:7.0}   {requests:12.3}   {:3.0} % of a core{limit}",
            100.0 * emulator
        )
    }
}

impl Sum {
    /// The ratios of this one to another, with their bounds.
    fn beside(&self, other: &Self, bounds: Bounds) -> String {
        let at_most = |at: usize| bounds.map_or_else(String::new, |it| format!(" (at most {:.2})", it[at]));
        format!(
            "{:.2} as many a second; {:.2} of the CPU{}; {:.3} of the time to the first one{}; {:.2} of the memory{}",
            self.per_second / other.per_second,
            self.cpu_ms / other.cpu_ms,
            at_most(0),
            self.first_ms / other.first_ms,
            at_most(1),
            self.peak_mb / other.peak_mb,
            at_most(2)
        )
    }
}
