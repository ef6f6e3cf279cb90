//! The promises that only a process can keep or break: the real binary, with the real order
//! component, on real file queues, where it is killed, stopped, fed with rubbish, and called with
//! every flag.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, and does not see that what they use is one too"
)]

mod asked;
mod build;
#[cfg(target_os = "linux")]
mod build_stops;
mod cause;
mod checks;
mod compiling;
#[cfg(target_os = "linux")]
mod dev;
#[cfg(target_os = "linux")]
mod dev_scenarios;
mod directory;
mod drain;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(all(target_os = "linux", feature = "dev"))]
mod keys;
mod leases;
mod loading;
mod man;
mod many;
#[cfg(target_os = "linux")]
mod memory;
mod new;
mod oracle;
mod orders;
mod outbound_tls;
mod outbox;
mod outboxes;
#[cfg(all(target_os = "linux", feature = "dev"))]
mod page;
#[cfg(all(target_os = "linux", feature = "dev"))]
mod page_deeds;
#[cfg(all(target_os = "linux", feature = "dev"))]
mod page_limits;
#[cfg(all(target_os = "linux", feature = "dev"))]
mod page_sweeps;
#[cfg(all(target_os = "linux", feature = "dev"))]
mod page_trouble;
mod process;
mod project;
mod project_folder;
mod queues;
mod reached;
mod receiving;
mod reload;
mod secrets;
mod signed;
#[cfg(target_os = "linux")]
mod soak;
mod stopping;
mod telemetry;
mod telemetry_checked;
mod telemetry_lost;
mod terminal;
mod torture;
mod traces;
mod unavailable;
mod unread;
mod variables;
mod verbs_component;
mod verbs_flags;
mod verbs_queue;
mod verbs_run;
mod waiting;
mod watch;
