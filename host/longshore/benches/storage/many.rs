//! Many processes on one queue of Azurite.

use std::process::Command;
use std::time::Instant;

use super::clients;
use super::emulator::emulator;
use crate::beside::Scene;
use crate::many::{drains, work_off};
use crate::workbench::Workbench;
use longshore_testkit::identity::{Identity, Mood};

const PROCESSES: [usize; 2] = [10, 50];
/// How many messages they share. Azurite slows down with deep queues.
const MESSAGES: usize = 2_000;

/// Prints what they do together.
pub(crate) fn many(workbench: &Workbench) {
    let Some(python) = std::env::var_os("BENCH_STORAGE_PYTHON") else {
        return println!("Azurite: not installed; `make bench ONLY=many` does that");
    };
    println!("{MESSAGES} on one Storage queue of Azurite, over TLS:");
    let identity = Identity::start(Mood::Tokens(3600));
    let authority = &emulator().authority;
    let scene = Scene { workbench, python, script: "storage.py", identity, authority, queue: clients::queue };
    for processes in PROCESSES {
        let url = scene.fill(MESSAGES);
        let queue = url.rsplit('/').next().expect("the name of a queue");
        let (before, started) = (emulator().cpu(), Instant::now());
        let drains = || drains(workbench, &url, scene.with_identity(Command::new(&workbench.host)));
        let shares = work_off(workbench, processes, drains, || {});
        let busy = (emulator().cpu() - before).as_secs_f64() / started.elapsed().as_secs_f64();
        let calls = emulator().calls(queue);
        println!("{}", shares.row(processes, MESSAGES, MESSAGES.saturating_sub(calls.deletes)));
        println!(
            "      {} receives, {} calls in all; Azurite used {:.0} % of a core, the drain's end included",
            calls.receives,
            calls.all,
            100.0 * busy
        );
    }
}
