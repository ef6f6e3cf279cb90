//! The binary's parts, as a library for its `main` and its tests: flags ([`cli`]), what verbs do ([`commands`]), logs.

pub mod cli;
pub mod commands;
pub mod telemetry;
