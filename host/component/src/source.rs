//! Where a component is: a file, or an artifact in a registry.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use longshore_sandbox::{MAX_COMPONENT, read_file};
use tokio::task::spawn_blocking;

use crate::fetched::{Fetched, Obtained};
use crate::registry::access::Access;
use crate::registry::address::{Address, AddressError};
use crate::registry::error::RegistryError;

/// Where a component is.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file: `./order.wasm`.
    File(PathBuf),
    /// An artifact in a registry: `oci://registry.example/order:1`, and how it is reached.
    Registry(Address, Access),
}

/// Why a text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing was named.
    #[error("no component is named; give a path like ./order.wasm, or oci://REGISTRY/REPOSITORY:TAG")]
    Empty,
    /// It begins with `oci://`, and names no artifact.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Some other kind of URL.
    #[error(
        "a component cannot be fetched from {0}; name a file like ./order.wasm, or oci://REGISTRY/REPOSITORY:TAG"
    )]
    Scheme(String),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text.split_once("://") {
            Some(("oci", _)) => Ok(Self::Registry(text.parse()?, Access::default())),
            // Userinfo and query are secrets, or may be.
            Some((scheme, _)) => Err(SourceError::Scheme(format!("{scheme}://…"))),
            None if text.is_empty() => Err(SourceError::Empty),
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Registry(address, _) => address.fmt(f),
        }
    }
}

/// Why a component could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file could not be read.
    #[error("cannot read the component {}: {cause}; {}", .path.display(), mend(.cause))]
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// It could not be had from its registry.
    #[error("cannot fetch the component {address}: {cause}")]
    Registry {
        /// The artifact, as it was named.
        address: Box<Address>,
        /// What went wrong, and the mend.
        cause: RegistryError,
    },
}

fn mend(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        std::io::ErrorKind::NotFound => {
            "is the path right, is it built (`longshore build`), and is the file in the image or on a mounted volume?"
        }
        std::io::ErrorKind::PermissionDenied => "may the host's user read it?",
        std::io::ErrorKind::IsADirectory => "name the file in it",
        std::io::ErrorKind::InvalidInput => "name a regular file",
        std::io::ErrorKind::FileTooLarge => "is it a component?",
        _ => "is the volume there?",
    }
}

impl Source {
    /// Reads the component.
    ///
    /// # Errors
    /// When it cannot be had; the error names what was asked for, the cause and what to do.
    pub async fn fetch(&self) -> Result<Fetched, FetchError> {
        match self {
            Self::File(path) => {
                let read = {
                    let path = path.clone();
                    spawn_blocking(move || read_file(&path, MAX_COMPONENT)).await
                };
                let read = read.unwrap_or_else(|panicked| Err(panicked.into()));
                let bytes = read.map_err(|cause| FetchError::File { path: path.clone(), cause })?;
                Ok(Fetched { digest: longshore_sandbox::digest(&bytes), bytes: bytes.into() })
            }
            Self::Registry(address, access) => access
                .pull(address)
                .await
                .map_err(|cause| FetchError::Registry { address: Box::new(address.clone()), cause }),
        }
    }

    /// Reads the component. If it comes with what it was compiled to, from where the operator
    /// trusts it, reads only that. Returns the component's digest beside it.
    pub(crate) async fn obtain(&self) -> Result<(Obtained, String), FetchError> {
        match self {
            Self::File(_) => {
                let Fetched { bytes, digest } = self.fetch().await?;
                Ok((Obtained::Component(bytes), digest))
            }
            Self::Registry(address, access) => access
                .obtain(address)
                .await
                .map_err(|cause| FetchError::Registry { address: Box::new(address.clone()), cause }),
        }
    }

    /// The digest that names the component, if it is known before the component is fetched.
    pub(crate) fn named_digest(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Registry(address, access) => address.digest().or(access.resolved()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn a_source_is_a_path_or_an_artifact() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in
            ["./order.wasm", "oci://registry.example/order:1", &format!("oci://r.example:5000/a/b@{digest}")]
        {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        for (text, words) in [
            ("", "no component is named"),
            ("https://user:secret@host/order.wasm?sig=secret", "cannot be fetched from https://…"),
            ("oci://registry.example/order", "neither a tag nor a digest"),
            ("oci://order:1", "no registry"),
            ("oci://registry.example/Order:1", "invalid"),
            ("oci://registry.example/order@sha256:12", "invalid"),
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("secret"), "{error}");
        }
    }
}
