//! Components from a registry: Debian's `docker-registry` on loopback, with a front of our own
//! where it has to ask for a token as Azure's does, or to fail. Everything goes through the real
//! binary.
//!
//! `make services-installed` installs what these tests need.

mod errors;
mod exchange;
pub mod front;
pub mod host;
mod login;
mod precompiled;
pub mod server;
mod swap;
