//! The flags of components in registries, and of the cache.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use longshore_component::Source;
use longshore_component::registry::{Access, Login};

/// How a component is fetched.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Components from a registry")]
pub struct RegistryArgs {
    /// Refuse a component that is named by a tag. A tag can be moved by everyone with the right to
    /// push.
    #[arg(long, env = "LONGSHORE_REQUIRE_DIGEST", value_parser = BoolishValueParser::new())]
    pub require_digest: bool,

    /// Run what `push --precompiled` made of a component also if a tag names it. Without this flag
    /// only a digest is trusted that far. It is machine code that nothing checks. Everyone with the
    /// right to push to the tag decides what the host executes.
    #[arg(long, env = "LONGSHORE_TRUST_TAG", value_parser = BoolishValueParser::new(), conflicts_with = "require_digest")]
    pub trust_tag: bool,

    /// Who the host is to a registry.
    #[arg(long, env = "LONGSHORE_REGISTRY_AUTH", value_enum, default_value_t)]
    pub registry_auth: Login,

    /// Where compiled components, and what was fetched from registries, are kept [default:
    /// `longshore` in the platform's cache directory]. Everyone who can write there decides what
    /// the host executes.
    #[arg(long, env = "LONGSHORE_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
}

impl RegistryArgs {
    /// How artifacts are reached.
    pub fn access(&self) -> Access {
        Access::new(self.registry_auth, self.cache_dir.clone(), self.trust_tag)
    }

    /// The component as these flags want it fetched, or why they contradict its name.
    pub fn source(&self, source: Source) -> Result<Source, String> {
        match source {
            Source::Registry(address, _) if self.require_digest && address.digest().is_none() => {
                Err(format!(
                    "--require-digest refuses {address}, a tag; `longshore inspect {address}` shows its digest: name that"
                ))
            }
            Source::Registry(address, _) => Ok(Source::Registry(address, self.access())),
            file => Ok(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RegistryArgs;

    #[test]
    fn a_tag_is_refused_where_a_digest_is_required() {
        let strict = RegistryArgs { require_digest: true, ..RegistryArgs::default() };
        let tag = "oci://registry.example/order:1".parse().unwrap();
        assert!(strict.source(tag).unwrap_err().contains("order:1"));
        let digest = format!("oci://registry.example/order@sha256:{}", "0".repeat(64));
        for accepted in [&digest, "./order.wasm"] {
            assert_eq!(strict.source(accepted.parse().unwrap()).unwrap().to_string(), *accepted);
        }
    }
}
