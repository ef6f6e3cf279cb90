//! One message handed to one component: what goes in
//! ([`Invocation`](longshore_handler::Invocation)) and what comes out
//! ([`Verdict`](longshore_handler::Verdict)).
//!
//! A [`Sandbox`] is an engine with its limits. A [`Component`] is a handler that a sandbox has
//! compiled and linked. Each invocation gets a fresh instance that can take down neither the host
//! nor a neighbour: time, memory, tables, stack, handles, log volume and the size of an answer are
//! capped. [`Grants`] says what a component may reach. The contract is `wit/handler.wit`.

mod account;
mod census;
mod compile;
mod contract;
mod describe;
mod digest;
mod engine;
mod error;
mod failure;
mod file;
mod grants;
mod guest_log;
mod host_trap;
mod http;
mod imports;
mod instance;
mod invoke;
mod last_words;
mod limits;
mod load;
mod log_line;
mod log_tail;
mod names;
mod outbox;
mod policy;
mod precompiled;
mod private;
mod session;
mod settings;
mod shape;
mod shorten;
mod state;
mod usage;
mod wit;

pub use ::http::Method;

pub use self::census::MAX_COMPONENT;
pub use self::compile::{Cpu, compile, own_target};
pub use self::describe::{Description, Import, describe};
pub use self::digest::{digest, digits};
pub use self::engine::{Sandbox, SandboxError};
pub use self::error::LoadError;
pub use self::file::read_file;
pub use self::grants::{Grant, Grants};
pub use self::http::address::{Cidr, CidrError};
pub use self::http::origin::{Origin, OriginError};
pub use self::http::signed::{
    HeaderGrant, HeaderGrantError, IdentityGrant, IdentityGrantError, SecretHeader, StorageService,
    TokenSource,
};
pub use self::instance::InvocationStep;
pub use self::invoke::Component;
pub use self::limits::Limits;
pub use self::precompiled::{MachineCode, Unusable, unpack};
pub use self::private::{check_private_file, private_directory};
pub use self::settings::Settings;
