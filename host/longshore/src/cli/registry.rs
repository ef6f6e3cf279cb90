//! The flags of components in registries, and of the cache.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use longshore_component::Source;
use longshore_component::registry::{Access, Login};

/// The heading of these flags.
const REGISTRY: &str = "Components from a registry";

/// Who the host is to a registry.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct RegistryLogin {
    /// Who the host is to a registry.
    #[arg(long, env = "LONGSHORE_REGISTRY_AUTH", value_enum, default_value_t, help_heading = REGISTRY, hide_short_help = true)]
    pub registry_auth: Login,
}

impl RegistryLogin {
    /// How a registry is reached that nothing is run from.
    pub fn access(&self) -> Access {
        Access::new(self.registry_auth, None, false)
    }
}

/// How a component is fetched, to be looked at or compiled.
#[derive(Clone, Debug, Default, Args)]
pub struct FetchArgs {
    /// Refuse a component that is named by a tag. A tag can be moved by everyone with the right to
    /// push.
    #[arg(long, env = "LONGSHORE_REQUIRE_DIGEST", value_parser = BoolishValueParser::new(), help_heading = REGISTRY, hide_short_help = true)]
    pub require_digest: bool,

    #[command(flatten)]
    pub(crate) login: RegistryLogin,

    /// Where compiled components, and what was fetched from registries, are kept [default:
    /// `longshore` in the platform's cache directory]. Everyone who can write there decides what
    /// the host executes.
    #[arg(long, env = "LONGSHORE_CACHE_DIR", value_name = "DIR", help_heading = REGISTRY, hide_short_help = true)]
    pub cache_dir: Option<PathBuf>,
}

impl FetchArgs {
    /// The component as these flags want it fetched, or why they contradict its name.
    ///
    /// # Errors
    /// When a tag is named where a digest is required.
    pub fn source(&self, source: Source) -> Result<Source, String> {
        self.source_from(source, false)
    }

    fn source_from(&self, source: Source, trust_tag: bool) -> Result<Source, String> {
        match source {
            Source::Registry(address, _) if self.require_digest && address.digest().is_none() => {
                Err(format!(
                    "--require-digest refuses {address}, a tag; `longshore inspect {address}` shows its digest: name that"
                ))
            }
            Source::Registry(address, _) => {
                let access = Access::new(self.login.registry_auth, self.cache_dir.clone(), trust_tag);
                Ok(Source::Registry(address, access))
            }
            file => Ok(file),
        }
    }
}

/// How a component is fetched, to be run.
#[derive(Clone, Debug, Default, Args)]
pub struct RegistryArgs {
    #[command(flatten)]
    pub(crate) fetch: FetchArgs,

    /// Run what `push --precompiled` made of a component also if a tag names it. Without this flag
    /// only a digest is trusted that far. It is machine code that nothing checks. Everyone with the
    /// right to push to the tag decides what the host executes.
    #[arg(long, env = "LONGSHORE_TRUST_TAG", value_parser = BoolishValueParser::new(), conflicts_with = "require_digest", help_heading = REGISTRY, hide_short_help = true)]
    pub trust_tag: bool,
}

impl RegistryArgs {
    /// The component as these flags want it fetched, or why they contradict its name.
    ///
    /// # Errors
    /// When a tag is named where a digest is required.
    pub fn source(&self, source: Source) -> Result<Source, String> {
        self.fetch.source_from(source, self.trust_tag)
    }
}

#[cfg(test)]
mod tests {
    use super::FetchArgs;

    #[test]
    fn a_tag_is_refused_where_a_digest_is_required() {
        let strict = FetchArgs { require_digest: true, ..FetchArgs::default() };
        let tag = "oci://registry.example/order:1".parse().unwrap();
        assert!(strict.source(tag).unwrap_err().contains("order:1"));
        let digest = format!("oci://registry.example/order@sha256:{}", "0".repeat(64));
        for accepted in [&digest, "./order.wasm"] {
            assert_eq!(strict.source(accepted.parse().unwrap()).unwrap().to_string(), *accepted);
        }
    }
}
