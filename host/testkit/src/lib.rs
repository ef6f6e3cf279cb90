//! What tests and benches share: the program as they run it, how they wait, what they need, built
//! guests, a recording handler, an identity endpoint, certificates, the promises of every queue, an
//! eye on the log, and arbitrary bytes for whatever reads some.

#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests fail by panicking")]

pub mod bombs;
pub mod certificates;
pub mod echo;
pub mod fuzz;
pub mod guest;
pub mod identity;
pub mod log;
pub mod needs;
pub mod otlp;
pub mod program;
pub mod queue_suite;
pub mod recorder;
pub mod sample;
pub mod semconv;
pub mod silent;
pub mod steady;
pub mod wait;
pub mod wat;
pub mod web;

/// The root of the repository.
pub fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("host/testkit lies two folders deep")
}
