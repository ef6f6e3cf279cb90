//! Artifacts in registries: where they are, and how they are pulled and pushed
//! ([distribution-spec](https://github.com/opencontainers/distribution-spec/blob/main/spec.md)).
//!
//! `oci-client` reads names and manifests; `caller.rs` says why the calls are not its own.
//! `oci-wasm` is not used. It takes exactly one layer, wants an
//! older `oci-client` and brings a second WebAssembly toolchain. All it would replace is the page
//! of JSON in `artifact.rs`.

pub(crate) mod access;
pub(crate) mod address;
mod artifact;
mod cache;
mod caller;
mod challenge;
mod docker;
pub(crate) mod error;
mod login;
mod pull;
mod push;
mod releases;
mod repository;
mod secret;
mod session;

pub use self::access::Access;
pub use self::address::{Address, AddressError};
pub use self::artifact::{Details, WORLD, WORLD_VERSION};
pub use self::error::RegistryError;
pub use self::login::Login;
pub use self::push::{Pushed, push};
pub use self::releases::{Release, Releases, release, releases};
pub use self::repository::Repository;
