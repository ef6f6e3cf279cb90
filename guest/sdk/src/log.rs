//! The host's log: each line appears there under the id of the message being handled.
//!
//! Through `wasi:logging` rather than `println!`: one host call a line. All lines of one message share an allowance
//! (64 KiB by default); what exceeds it is dropped and counted by the host.

use std::borrow::Cow;
use std::fmt;

pub use crate::bindings::wasi::logging::logging::Level;

/// Logs one line; the macros ([`info!`](crate::info) and its like) are shorter.
///
/// `context` groups lines of one origin: a module path, say.
pub fn log(level: Level, context: &str, line: fmt::Arguments<'_>) {
    let line = line.as_str().map_or_else(|| Cow::Owned(line.to_string()), Cow::Borrowed);
    #[cfg(target_family = "wasm")]
    crate::bindings::wasi::logging::logging::log(level, context, &line);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::log(level, context, &line);
}

/// Logs a line at level *trace*, with the arguments of `format!`.
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Trace, ::core::module_path!(), ::core::format_args!($($line)+)) };
}

/// Logs a line at level *debug*, with the arguments of `format!`.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Debug, ::core::module_path!(), ::core::format_args!($($line)+)) };
}

/// Logs a line at level *info*, with the arguments of `format!`.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Info, ::core::module_path!(), ::core::format_args!($($line)+)) };
}

/// Logs a line at level *warn*, with the arguments of `format!`.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Warn, ::core::module_path!(), ::core::format_args!($($line)+)) };
}

/// Logs a line at level *error*, with the arguments of `format!`.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log::log($crate::log::Level::Error, ::core::module_path!(), ::core::format_args!($($line)+)) };
}
