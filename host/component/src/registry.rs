//! Artifacts in registries: where they are, and how they are pulled and pushed
//! ([distribution-spec](https://github.com/opencontainers/distribution-spec/blob/main/spec.md)).
//!
//! `oci-client` does the protocol. `oci-wasm` is not used: it takes exactly one layer, wants an older `oci-client` and
//! brings a second WebAssembly toolchain, all to write the page of JSON that is in `artifact.rs`.

mod artifact;
mod cache;
mod error;
mod login;
mod pull;
mod push;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol};

pub use self::artifact::{Details, WORLD, WORLD_VERSION};
pub use self::error::RegistryError;
pub use self::login::Login;
pub use self::push::{Pushed, push};
use super::source::SourceError;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(20);

/// An artifact, by tag or by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Reference);

impl Address {
    /// The digest that it is named by.
    pub fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    fn registry(&self) -> &str {
        self.0.resolve_registry()
    }

    /// The same repository at this digest.
    fn at(&self, digest: &str) -> Self {
        Self(self.0.clone_with_digest(digest.to_owned()))
    }

    /// Whether the registry is on this machine. Only then is it spoken to in the clear, as other clients do it.
    fn is_local(&self) -> bool {
        let host = self.registry().rsplit_once(':').map_or(self.registry(), |(host, _)| host);
        host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    /// The root of the registry's API.
    fn root(&self) -> String {
        let scheme = if self.is_local() { "http" } else { "https" };
        format!("{scheme}://{}", self.registry())
    }

    fn client(&self) -> Result<Client, RegistryError> {
        let config = ClientConfig {
            protocol: if self.is_local() { ClientProtocol::Http } else { ClientProtocol::Https },
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: concat!("longshore/", env!("CARGO_PKG_VERSION")),
            // An index of images for several platforms holds no component.
            platform_resolver: None,
            // To name a proxy is the only way to have none: the variables of the environment are read otherwise.
            https_proxy: self.is_local().then(|| "http://localhost".to_owned()),
            ..ClientConfig::default()
        };
        Client::try_from(config).map_err(|error| RegistryError::of(self, &error, "no credentials"))
    }
}

impl FromStr for Address {
    type Err = SourceError;

    /// Not with the parser of `oci-client`: its regular expression takes 100 ms to be compiled, which is more than
    /// everything else before the first message.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        let wrong = |cause: &str| SourceError::Reference(text.to_owned(), cause.to_owned());
        let name = text.strip_prefix("oci://").ok_or_else(|| wrong("it does not begin with oci://"))?;
        let (registry, rest) = name.split_once('/').ok_or_else(|| wrong("there is no registry"))?;
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return Err(wrong("there is no registry"));
        }
        if !registry.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte)) {
            return Err(wrong("the registry's name is invalid"));
        }
        let (rest, digest) = rest.split_once('@').map_or((rest, None), |(rest, digest)| (rest, Some(digest)));
        let (repository, tag) = rest.split_once(':').map_or((rest, None), |(rest, tag)| (rest, Some(tag)));
        let part = |part: &str| {
            let inner =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
            let ends = part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.ends_with(|c: char| c.is_ascii_alphanumeric());
            ends && part.bytes().all(inner)
        };
        if repository.len() > 255 || !repository.split('/').all(part) {
            return Err(wrong("the repository is invalid, which is lower-case letters, digits and ._-/"));
        }
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        let sound = |tag: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            (1..=128).contains(&tag.len()) && tag.bytes().all(inner) && !tag.starts_with(['.', '-'])
        };
        let hex = |digest: &str| {
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        match (tag, digest) {
            (Some(tag), _) if !sound(tag) => Err(wrong("the tag is invalid")),
            (_, Some(digest)) if !hex(digest) => {
                Err(wrong("the digest is invalid, which is sha256: and 64 hexadecimal digits"))
            }
            // The digest says it all.
            (_, Some(digest)) => Ok(Self(Reference::with_digest(registry, repository, digest.to_owned()))),
            (Some(tag), None) => Ok(Self(Reference::with_tag(registry, repository, tag.to_owned()))),
            (None, None) => Err(wrong("there is neither a tag nor a digest")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}", self.0.whole())
    }
}

/// How artifacts are reached, what of them is trusted, and where they are kept.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Who asks.
    pub login: Login,
    /// Where artifacts are kept, by digest; `None`: `longshore` under the platform's cache directory.
    pub cache: Option<PathBuf>,
    /// Whether machine code is executed that a tag names: whoever may push decides what it is.
    pub trust_tag: bool,
    /// What a tag was resolved to: it is looked up once in an execution, so that all of its messages meet the same
    /// component.
    resolved: Arc<OnceLock<String>>,
}

impl Access {
    /// As `login`, with artifacts kept in `cache`, and with machine code from tags or without.
    pub fn new(login: Login, cache: Option<PathBuf>, trust_tag: bool) -> Self {
        Self { login, cache, trust_tag, resolved: Arc::default() }
    }
}
