//! What docs/internals/architecture.md says about the shape of the host, read from `cargo metadata`
//! and from the sources.
//!
//! Nothing is compiled for it, and no test here knows a name that it could not also fail on: each
//! check is tried on a small planted example first.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "tests fail by it; nothing here is published")]

mod circles;
mod crates;
mod kinds;
mod names;
mod resolve;
mod sizes;
mod sources;
mod syntax;
mod table;
