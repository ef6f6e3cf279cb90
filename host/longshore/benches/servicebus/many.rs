//! Many processes on one queue of the tests' broker.

use std::process::Command;
use std::time::Instant;

use super::{broker, clients};
use crate::child;
use crate::many::{drains, work_off};
use crate::workbench::Workbench;

const PROCESSES: [usize; 2] = [10, 50];
/// How many messages they share.
const MESSAGES: usize = 10_000;

/// Prints what they do together.
pub(crate) fn many(workbench: &Workbench) {
    if std::env::var_os("BENCH_SERVICEBUS_PYTHON").is_none() {
        return println!("the broker: not installed; `make bench ONLY=many` does that");
    }
    println!("{MESSAGES} on one Service Bus queue of the tests' broker, over TCP:");
    let broker = broker::calm();
    for processes in PROCESSES {
        let queue = clients::fill(broker, MESSAGES);
        let url = format!("{};EntityPath={queue}", broker.connection_string());
        let before = child::observe(broker.pid()).expect("the broker runs");
        let started = Instant::now();
        let drains = || drains(workbench, &url, Command::new(&workbench.host));
        let shares = work_off(workbench, processes, drains, || {});
        let after = child::observe(broker.pid()).expect("the broker runs");
        let busy = (after.cpu - before.cpu).as_secs_f64() / started.elapsed().as_secs_f64();
        let done = broker.done(&queue)["count"].as_u64().unwrap_or_default();
        println!("{}", shares.row(processes, MESSAGES, MESSAGES.saturating_sub(done as usize)));
        println!("      the broker used {:.0} % of a core, the drain's end included", 100.0 * busy);
    }
}
