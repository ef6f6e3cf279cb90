//! Where an artifact is: a registry, a repository in it, and a tag or a digest.

use std::fmt;
use std::str::FromStr;

use longshore_sandbox::digits;
use oci_client::Reference;
use url::Url;

use super::error::RegistryError;

/// An artifact, by tag or by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub(super) Reference);

impl Address {
    /// The digest that it is named by.
    pub fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    pub(super) fn registry(&self) -> &str {
        self.0.resolve_registry()
    }

    /// The same repository at this digest.
    pub(super) fn at(&self, digest: &str) -> Self {
        Self(self.0.clone_with_digest(digest.to_owned()))
    }

    /// Whether the registry is on this machine. Only then is it spoken to in the clear, as other
    /// clients do it.
    pub(super) fn is_local(&self) -> bool {
        let host = self.registry().rsplit_once(':').map_or(self.registry(), |(host, _)| host);
        host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    /// The repository within the registry.
    pub(super) fn repository(&self) -> &str {
        self.0.repository()
    }

    /// The digest, or else the tag.
    pub(super) fn reference(&self) -> &str {
        self.0.digest().or(self.0.tag()).unwrap_or_default()
    }

    /// The URL of the registry's API.
    pub(super) fn api(&self) -> Result<Url, RegistryError> {
        Url::parse(&format!("{}/v2/", self.root())).map_err(|error| RegistryError::Other {
            registry: self.registry().to_owned(),
            cause: format!(
                "its name makes no URL: {error}; write it as in oci://registry.example:5000/order:1"
            ),
        })
    }

    /// The root of the registry.
    pub(super) fn root(&self) -> String {
        let scheme = if self.is_local() { "http" } else { "https" };
        format!("{scheme}://{}", self.registry())
    }
}

/// Why a text names no artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text} names nothing in a registry: {cause}; write it as oci://REGISTRY/REPOSITORY:TAG or oci://REGISTRY/REPOSITORY@sha256:…"
)]
pub struct AddressError {
    text: String,
    cause: String,
}

impl AddressError {
    pub(super) fn new(text: &str, cause: &str) -> Self {
        Self { text: text.to_owned(), cause: cause.to_owned() }
    }

    /// The same cause, of the text that somebody wrote.
    pub(super) fn of(self, text: &str) -> Self {
        Self { text: text.to_owned(), ..self }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Not with the parser of `oci-client`. Compiling its regular expression takes 100 ms, more
    /// than all else before the first message.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |cause: &str| AddressError::new(text, cause);
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
        match (tag, digest) {
            (Some(tag), _) if !sound(tag) => Err(wrong("the tag is invalid")),
            (_, Some(digest)) if digits(digest).is_none() => {
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

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_that_is_none_says_why() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, cause) in [
            ("registry.example/order:1", "it does not begin with oci://"),
            ("oci://order:1", "there is no registry"),
            ("oci://order/a:1", "there is no registry"),
            ("oci://registry_.example/order:1", "the registry's name is invalid"),
            ("oci://registry.example/Order:1", "the repository is invalid"),
            ("oci://registry.example/:1", "the repository is invalid"),
            ("oci://registry.example/a//b:1", "the repository is invalid"),
            ("oci://registry.example/-order:1", "the repository is invalid"),
            ("oci://registry.example/order_:1", "the repository is invalid"),
            (&format!("oci://registry.example/{}:1", "a".repeat(256)), "the repository is invalid"),
            ("oci://registry.example/order:", "the tag is invalid"),
            ("oci://registry.example/order:.1", "the tag is invalid"),
            (&format!("oci://registry.example/order:{}", "1".repeat(129)), "the tag is invalid"),
            (&format!("oci://registry.example/order:-1@{digest}"), "the tag is invalid"),
            ("oci://registry.example/order@sha256:12", "the digest is invalid"),
            ("oci://registry.example/order", "there is neither a tag nor a digest"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            let expected = format!("{text} names nothing in a registry: {cause}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn a_digest_stands_for_the_tag_before_it() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let address: Address = format!("oci://localhost/a/b-c_d.e:1@{digest}").parse().unwrap();
        assert_eq!(address.to_string(), format!("oci://localhost/a/b-c_d.e@{digest}"));
        assert_eq!(address.digest(), Some(digest.as_str()));
        let tagged: Address = "oci://localhost/a:1".parse().unwrap();
        assert_eq!((tagged.digest(), tagged.at(&digest).digest()), (None, Some(digest.as_str())));
    }

    #[test]
    fn only_a_registry_on_this_machine_is_spoken_to_in_the_clear() {
        for (registry, root) in [
            ("localhost", "http://localhost"),
            ("localhost:5000", "http://localhost:5000"),
            ("127.0.0.2:5000", "http://127.0.0.2:5000"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000"),
            ("localhost.example", "https://localhost.example"),
        ] {
            let address: Address = format!("oci://{registry}/order:1").parse().unwrap();
            assert_eq!(address.root(), root);
        }
    }
}
