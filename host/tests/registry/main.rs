//! Components from a registry: Debian's `docker-registry` on loopback, with a front of our own where it has to ask for a
//! token as Azure's does, or to fail. Everything goes through the real binary.
//!
//! `apt-get install docker-registry` installs what these tests need; `make test` does it where it may.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "clippy.toml allows it in tests, and does not see that helpers are tests too; their items are their own"
)]

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod front;
mod host;
mod login;
mod precompiled;
mod server;
mod swap;
