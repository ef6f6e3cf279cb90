//! The host beside the official clients, each with its own way to have many messages in hand: on
//! one broker, at several distances from it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::broker::{Broker, installed};
use super::{amqp, distance, entity};
use crate::child::{self, Consumed};
use crate::drain;
use crate::workbench::Workbench;

/// The round trips to the broker, in ms.
const ROUND_TRIPS_MS: [u64; 3] = [0, 2, 10];
const CONCURRENCIES: [usize; 3] = [16, 64, 256];
/// How many messages each of them takes.
const MESSAGES: usize = 5000;
/// Python's batches take a round trip for each, and for each message of it.
const MESSAGES_IN_BATCHES: usize = 640;
/// From this part of a core on, the broker is what the others wait for.
const BUSY_BROKER: f64 = 0.8;
/// Microsoft's client for .NET, compiled ahead of time.
const DOTNET: &str = "dotnet-peer";

/// A client that takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Longshore,
    DotNet,
    JavaScript,
    Python,
}

/// What a client took for its messages.
struct Took {
    per_second: f64,
    cpu_ms: f64,
    peak_mb: f64,
    first_ms: f64,
    /// Which parts of a core were used meanwhile: by itself, by the broker, and by the way in
    /// between with what measures.
    client: f64,
    broker: f64,
    way: f64,
}

/// What is needed to start a client.
pub(super) struct Clients<'a> {
    workbench: &'a Workbench,
    python: &'a OsStr,
    dotnet: Option<PathBuf>,
}

impl<'a> Clients<'a> {
    pub(super) fn new(workbench: &'a Workbench, python: &'a OsStr) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dotnet = std::env::split_paths(&path).map(|folder| folder.join(DOTNET)).find(|it| it.is_file());
        Self { workbench, python, dotnet }
    }

    /// Prints what each of them takes, at each distance and concurrency, or in these rows alone, as
    /// in `2/64 10/256`.
    pub(super) fn compare(&self, rows: &str) {
        println!(
            "\n{MESSAGES} orders of {} bytes over TCP ({MESSAGES_IN_BATCHES} for Python, in batches of 32); processor's time and memory of the whole process",
            drain::BODY.len()
        );
        if self.dotnet.is_none() {
            println!("{DOTNET} is not on PATH: the client for .NET is not measured");
        }
        self.warm();
        let wanted = |row: &str| rows.is_empty() || rows.split_whitespace().any(|it| it == row);
        for round_trip_ms in ROUND_TRIPS_MS {
            for concurrency in CONCURRENCIES {
                if wanted(&format!("{round_trip_ms}/{concurrency}")) {
                    self.compare_at(Duration::from_millis(round_trip_ms), concurrency);
                }
            }
        }
    }

    /// Lets each client take its messages once before any is measured. Whoever came first would
    /// wait until Node.js has compiled the broker.
    fn warm(&self) {
        for client in self.clients() {
            if let Err(why) = self.take(client, Duration::ZERO, CONCURRENCIES[0]) {
                println!("  {:<33} not warm: {why}", client.name());
            }
        }
    }

    /// The clients that are there.
    fn clients(&self) -> impl Iterator<Item = Client> + use<> {
        let dotnet = self.dotnet.is_some();
        let clients = [Client::Longshore, Client::DotNet, Client::JavaScript, Client::Python];
        clients.into_iter().filter(move |it| *it != Client::DotNet || dotnet)
    }

    fn compare_at(&self, round_trip: Duration, concurrency: usize) {
        println!(
            "round trip {:>2} ms, concurrency {concurrency:<3}    a second   CPU each    memory   first one   parts of a core: client, broker, way",
            round_trip.as_millis()
        );
        let mut all = Vec::new();
        for client in self.clients() {
            let took = match self.take(client, round_trip, concurrency) {
                Ok(took) => took,
                Err(why) => {
                    println!("  {:<33} {why}", client.name());
                    continue;
                }
            };
            let Took { per_second, cpu_ms, peak_mb, first_ms, client: used, broker, way } = took;
            let limit = if broker >= BUSY_BROKER { ", which is the limit" } else { "" };
            println!(
                "  {:<33} {per_second:9.0}   {cpu_ms:5.3} ms   {peak_mb:4.0} MB   {first_ms:6.0} ms   {:3.0} %, {:3.0} %{limit}, {:3.0} %",
                client.name(),
                100.0 * used,
                100.0 * broker,
                100.0 * way
            );
            all.push((client, took));
        }
        let Some(((Client::Longshore, ours), others @ [_, ..])) = all.split_first() else { return };
        let of = |what: fn(&Took) -> f64, best: fn(f64, f64) -> f64| {
            what(ours) / others.iter().map(|(_, it)| what(it)).reduce(best).unwrap_or(f64::NAN)
        };
        let aim = if round_trip.is_zero() { "1" } else { "1.3" };
        println!(
            "  / the best of the others: {:.2} as many (at least {aim}), {:.2} of the CPU (at most 1), {:.2} of the memory (at most 0.67), {:.2} of the time to the first one (at most 1)",
            of(|it| it.per_second, f64::max),
            of(|it| it.cpu_ms, f64::min),
            of(|it| it.peak_mb, f64::min),
            of(|it| it.first_ms, f64::min)
        );
    }

    /// Lets a client take its messages from a queue of its own. It may hang, or end before it has
    /// all of them: that is its row, and the others have theirs.
    fn take(&self, client: Client, round_trip: Duration, concurrency: usize) -> Result<Took, String> {
        let broker = super::broker::calm();
        let messages = client.messages();
        let queue = fill(broker, messages);
        let port = if round_trip.is_zero() { broker.port } else { distance::start(broker.port, round_trip) };
        let connection = broker.connection_string().replace(&broker.port.to_string(), &port.to_string());
        let used = |pid| child::observe(pid).expect("it runs").cpu;
        let (broker_before, way_before) = (used(broker.pid()), used(std::process::id()));
        let started_ms = now_ms();
        let command = self.command(client, &connection, &queue, messages, concurrency).spawn();
        let waited = child::wait_within(command.expect("it starts"), child::LIMIT);
        let broker_used = used(broker.pid()).saturating_sub(broker_before);
        let way_used = used(std::process::id()).saturating_sub(way_before);
        let done = broker.done(&queue);
        let of_all = format!("{} of {messages} messages are completed", done["count"]);
        let (_, Consumed { cpu, peak_mb }) = waited.map_err(|hung| format!("{hung}: {of_all}"))?;
        if done["count"] != messages {
            return Err(format!("ended early: {of_all}"));
        }
        let at = |name: &str| done[name].as_f64().expect("a queue with completed messages has times");
        let seconds = (at("last") - at("taken")).max(1.0) / 1000.0;
        let took = Took {
            per_second: messages as f64 / seconds,
            cpu_ms: cpu.as_secs_f64() * 1000.0 / messages as f64,
            peak_mb,
            first_ms: at("first") - started_ms,
            client: cpu.as_secs_f64() / seconds,
            broker: broker_used.as_secs_f64() / seconds,
            way: way_used.as_secs_f64() / seconds,
        };
        Ok(took)
    }

    fn command(
        &self,
        client: Client,
        connection: &str,
        queue: &str,
        messages: usize,
        concurrency: usize,
    ) -> Command {
        let (messages, concurrency) = (messages.to_string(), concurrency.to_string());
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
        let mut command = match client {
            Client::Longshore => {
                let mut command = Command::new(&self.workbench.host);
                command.args(["run", "--queue", &format!("{connection};EntityPath={queue}"), "--component"]);
                command.arg(&self.workbench.component).args(["--max-messages", &messages]);
                // The others write no line for a message.
                command.args(["--concurrency", &concurrency, "--log", "warn"]);
                command
            }
            Client::DotNet => {
                let mut command = Command::new(self.dotnet.as_ref().expect("it was found"));
                command.arg("bus-processor").envs([("BUS_CONN", connection), ("BUS_QUEUE", queue)]);
                command.envs([("CONC", &concurrency), ("WANT", &messages)]);
                command
            }
            Client::JavaScript => {
                let mut command = Command::new("node");
                command.arg(peers.join("servicebus.cjs")).arg(installed("node/package.json"));
                command.args([connection, queue, &messages, &concurrency]);
                command
            }
            Client::Python => {
                let mut command = Command::new(self.python);
                command.arg(peers.join("servicebus_batches.py")).args([connection, queue, &messages]);
                command
            }
        };
        let log = std::fs::File::create(self.workbench.directory.path().join("log")).expect("a log file");
        command.stdout(Stdio::piped()).stderr(log);
        command
    }
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::Longshore => "longshore",
            Self::DotNet => ".NET, ahead of time, processor",
            Self::JavaScript => "JavaScript, subscribe",
            Self::Python => "Python, batches of 32",
        }
    }

    fn messages(self) -> usize {
        if self == Self::Python { MESSAGES_IN_BATCHES } else { MESSAGES }
    }
}

/// A new queue with so many orders.
pub(super) fn fill(broker: &Broker, messages: usize) -> String {
    let queue = entity::queue(broker);
    let order =
        |number: usize| [amqp::id(&format!("o-{number}")), amqp::data(drain::BODY.as_bytes())].concat();
    let orders: Vec<_> = (0..messages).map(order).collect();
    broker.fill_raw(&queue, &orders);
    queue
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |it| it.as_secs_f64() * 1000.0)
}
