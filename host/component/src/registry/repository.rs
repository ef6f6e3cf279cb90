//! A repository, in which the releases of one handler are.

use std::fmt;
use std::str::FromStr;

use oci_client::Reference;

use super::address::{Address, AddressError};

/// A repository in a registry: `oci://registry.example/handlers/order`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository(Address);

impl Repository {
    /// What has this tag in it; `None` if the text is no tag.
    pub fn tagged(&self, tag: &str) -> Option<Address> {
        format!("{self}:{tag}").parse().ok()
    }

    /// What has this digest in it; `None` if the text is no digest.
    pub fn at(&self, digest: &str) -> Option<Address> {
        format!("{self}@{digest}").parse().ok()
    }

    /// Any address in it.
    pub(super) fn address(&self) -> &Address {
        &self.0
    }
}

impl Address {
    /// The repository that it is in.
    pub fn within(&self) -> Repository {
        let (registry, repository) = (self.registry().to_owned(), self.repository().to_owned());
        Repository(Self(Reference::with_tag(registry, repository, "latest".to_owned())))
    }

    /// The tag that it is named by, where no digest is.
    pub fn tag(&self) -> Option<&str> {
        self.0.tag().filter(|_| self.digest().is_none())
    }
}

impl FromStr for Repository {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let named = |rest: &str| rest.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        match text.strip_prefix("oci://").and_then(|rest| rest.split_once('/')) {
            // A tag goes by a flag of its own.
            Some((_, rest)) if named(rest) => {
                Err(AddressError::new(text, "a repository has neither a tag nor a digest"))
            }
            _ => Ok(format!("{text}:latest").parse::<Address>().map_err(|error| error.of(text))?.within()),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.0.registry(), self.0.repository())
    }
}

#[cfg(test)]
mod tests {
    use super::Repository;
    use crate::registry::Address;

    #[test]
    fn a_repository_has_no_tag_and_names_its_artifacts() {
        let repository: Repository = "oci://registry.example:5000/handlers/order".parse().unwrap();
        assert_eq!(repository.to_string(), "oci://registry.example:5000/handlers/order");
        let tagged = repository.tagged("1").unwrap();
        assert_eq!(tagged.to_string(), "oci://registry.example:5000/handlers/order:1");
        assert_eq!((tagged.tag(), tagged.within()), (Some("1"), repository.clone()));
        let digest = format!("sha256:{}", "a".repeat(64));
        let at: Address = repository.at(&digest).unwrap();
        assert_eq!((at.digest(), at.tag(), at.within()), (Some(digest.as_str()), None, repository.clone()));
        assert_eq!((repository.tagged("a b"), repository.at("sha256:12")), (None, None));
        for text in ["oci://r.example/order:1", &format!("oci://r.example/order@{digest}"), "order"] {
            let error = text.parse::<Repository>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text} names nothing in a registry: ")), "{error}");
        }
    }
}
