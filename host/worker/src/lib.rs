//! The loop: receive, lease, admit, invoke, settle, until nothing is left to do.
//!
//! Each rule of the loop is a type in a file of its own, and [`Worker`] only asks them. A worker
//! owns no connection and no sandbox. It is given a queue, a poison queue and a handler, and runs
//! against any.

pub mod admit;
mod attempt;
mod attendance;
pub mod breaker;
pub mod circumstances;
mod config;
mod context;
pub mod drain;
mod fate;
mod give_back;
mod hide;
pub mod hold;
mod hold_log;
pub mod intake;
mod judge;
pub mod lease;
mod lock;
pub mod outbox;
pub mod percentiles;
pub mod platform;
pub mod poison;
pub mod probes;
pub mod rate;
mod receive;
pub mod report;
pub mod retry;
pub mod scale;
mod settle;
mod settled;
pub mod stop;
pub mod telemetry;
mod totals;
pub mod trace;
mod withheld;
mod worker;

pub use config::Config;
pub use worker::{Finished, Worker};
