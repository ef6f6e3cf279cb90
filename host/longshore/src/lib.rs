//! The binary's parts, as a library for its `main` and its tests: flags ([`cli`]), what verbs do
//! ([`commands`]), exit codes ([`exit`]), logs ([`telemetry`]).

pub mod cli;
pub mod commands;
pub mod exit;
mod memory;
mod stderr;
pub mod telemetry;
