//! The host of `longshore`, as a library for its binary, tests and benches.
//!
//! The direction of the arrows: [`queue`] knows nothing of the worker, [`sandbox`] knows nothing of
//! queues, and only the [`worker`] knows both.

pub mod azure;
pub mod cli;
pub mod commands;
pub mod component;
#[cfg(feature = "failpoints")]
pub mod failpoint;
pub mod queue;
pub mod sandbox;
pub mod telemetry;
pub mod worker;
