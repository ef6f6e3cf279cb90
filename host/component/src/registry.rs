//! Artifacts in registries: where they are, and how they are pulled and pushed
//! ([distribution-spec](https://github.com/opencontainers/distribution-spec/blob/main/spec.md)).
//!
//! `oci-client` does the protocol. `oci-wasm` is not used. It takes exactly one layer, wants an
//! older `oci-client` and brings a second WebAssembly toolchain. All it would replace is the page
//! of JSON in `artifact.rs`.

pub(crate) mod access;
pub(crate) mod address;
mod artifact;
mod cache;
pub(crate) mod error;
mod login;
mod pull;
mod push;
mod session;

pub use self::access::Access;
pub use self::address::{Address, AddressError};
pub use self::artifact::{Details, WORLD, WORLD_VERSION};
pub use self::error::RegistryError;
pub use self::login::Login;
pub use self::push::{Pushed, push};
