//! The binary's parts, as a library for its `main` and its tests: flags ([`cli`]), what verbs do
//! ([`commands`]), exit codes ([`exit`]), logs ([`telemetry`]), how text of others is [`shown`].

pub mod cli;
pub mod commands;
pub mod exit;
#[cfg(test)]
mod fuzz;
mod host_identity;
mod memory;
pub mod shown;
mod stderr;
pub mod telemetry;
mod unread;
