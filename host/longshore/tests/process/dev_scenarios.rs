//! What KEDA and the real program do together, beside a simulation of both: `make dev-scenarios`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::directory::{Directory, ORDERS, POISON};
use crate::orders::order;
use crate::process::{cache, longshore};
use longshore_testkit::{guest, wat};

/// No scenario takes longer.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// The time limit of an execution, as time passes here.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(1350);

/// A line of `host/dev/scenarios.txt`.
#[derive(Clone, Debug)]
struct Scenario {
    name: String,
    messages: u64,
    /// One in so many always fails; none, if it is 0.
    bad_every: u64,
    queue_length: u64,
    speed: u32,
    /// When an outage begins, and how long it lasts, as time passes here.
    outage_after: Duration,
    outage: Duration,
}

/// What was seen of one.
#[derive(Clone, Copy, Debug)]
struct Observed {
    executions: usize,
    poisoned: usize,
    left: usize,
    took: Duration,
}

impl Scenario {
    fn all() -> Vec<Self> {
        let lines = include_str!("../../../dev/scenarios.txt").lines();
        let read = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap_or_else(|_| panic!("{line}"));
            let speed = u32::try_from(number(4)).unwrap();
            Self {
                name: words[0].to_owned(),
                messages: number(1),
                bad_every: number(2),
                queue_length: number(3),
                speed,
                outage_after: Duration::from_secs(number(5)) / speed,
                outage: Duration::from_secs(number(6)) / speed,
            }
        };
        lines.filter(|line| !line.starts_with('#')).map(read).collect()
    }

    fn run(&self) -> Observed {
        let directory = Directory::new();
        let is_bad = |number: u64| self.bad_every > 0 && number.is_multiple_of(self.bad_every);
        // The simulation's handler takes as long.
        let wish = |number: u64| if is_bad(number) { "retry" } else { "sleep:400" };
        directory.send((0..self.messages).map(|number| order(&format!("o-{number}"), wish(number))));
        let component = directory.path("handler.wasm");
        let begins_out = !self.outage.is_zero() && self.outage_after.is_zero();
        if begins_out {
            put(&component, &wat::handler("", "unreachable"));
        } else {
            fs::copy(guest::order(), &component).unwrap();
        }
        let mut program = longshore(["dev", "--output=json", "--no-page"]);
        program.args([
            format!("--speed={}", self.speed),
            // So that it stays what it is: a run holds as long as it does.
            format!("--replica-timeout={}s", REPLICA_TIMEOUT.as_secs() * u64::from(self.speed)),
            format!("--queue-length={}", self.queue_length),
            format!("--queue={}", directory.url(ORDERS)),
        ]);
        program.arg("--component").arg(&component).arg("--cache-dir").arg(cache());
        let began = Instant::now();
        let dev = program.start();
        let mut changes = Vec::new();
        if !self.outage.is_zero() {
            changes.push((self.outage_after + self.outage, wat::handler("", "")));
            let begins = (self.outage_after, wat::handler("", "unreachable"));
            changes.extend((!begins_out).then_some(begins));
        }
        loop {
            std::thread::sleep(Duration::from_millis(250));
            if let Some((_, handler)) = changes.pop_if(|(at, _)| began.elapsed() > *at) {
                put(&component, &handler);
            }
            let left = directory.rows(ORDERS).len();
            let (started, ended) = (count(&dev.stdout(), "started"), count(&dev.stdout(), "ended"));
            if left == 0 && started == ended && started > 0 || began.elapsed() > LIMIT {
                let took = began.elapsed();
                // Another few polls, which have nothing to start.
                std::thread::sleep(Duration::from_secs(10));
                dev.terminate();
                let all = dev.wait().succeeded();
                let executions = count(&all.stdout, "ended");
                return Observed { executions, poisoned: directory.rows(POISON).len(), left, took };
            }
        }
    }
}

fn put(component: &Path, bytes: &[u8]) {
    let made = component.with_extension("new");
    fs::write(&made, bytes).unwrap();
    fs::rename(made, component).unwrap();
}

fn count(stdout: &str, event: &str) -> usize {
    let events = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|it| it["event"] == event).count()
}

/// Executions and poisoned messages of each scenario, as the simulation wrote them.
fn simulated() -> BTreeMap<String, (usize, usize)> {
    let file = std::env::var("LONGSHORE_SIMULATED").expect("make dev-scenarios says where it lies");
    let text = fs::read_to_string(file).unwrap();
    let read = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        (words[0].to_owned(), (words[1].parse().unwrap(), words[2].parse().unwrap()))
    };
    text.lines().map(read).collect()
}

#[test]
#[ignore = "ten minutes, and it needs the simulation's file: make dev-scenarios"]
fn dev_scenarios_have_the_executions_of_the_simulation_and_poison_nothing_in_an_outage() {
    let (simulated, scenarios) = (simulated(), Scenario::all());
    let (outages, others): (Vec<_>, Vec<_>) = scenarios.into_iter().partition(|it| !it.outage.is_zero());
    cache();
    let observed = std::thread::scope(|scope| {
        // An outage is a time to wait in, and the others want the processor.
        let waiting: Vec<_> = outages.into_iter().map(|it| scope.spawn(move || (it.run(), it))).collect();
        let mut observed: Vec<_> = others.into_iter().map(|it| (it.run(), it)).collect();
        observed.extend(waiting.into_iter().map(|it| it.join().unwrap()));
        observed
    });
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load: {}", load.trim());
    println!(
        "{:26} {:>10} {:>9} {:>9} {:>9} {:>6} {:>8}",
        "scenario", "executions", "simulated", "poisoned", "simulated", "left", "seconds"
    );
    let mut wrong = Vec::new();
    for (seen, scenario) in observed {
        let Scenario { name, outage, .. } = scenario;
        let Observed { executions, poisoned, left, took } = seen;
        let (said, poison) = simulated[&name];
        println!(
            "{name:26} {executions:>10} {said:>9} {poisoned:>9} {poison:>9} {left:>6} {:>8}",
            took.as_secs()
        );
        let is_near = executions.abs_diff(said) * 10 <= said;
        // A release that stays broken poisons some in the end, as the simulation says.
        if !is_near || left > 0 || (poisoned > poison && !outage.is_zero()) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "not as simulated: {wrong:?}");
}
