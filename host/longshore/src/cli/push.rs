//! The flags of `longshore push`.

use clap::{Args, ValueHint};

use super::registry::RegistryLogin;
use super::values::{Unquoted, property};
use longshore_component::Source;
use longshore_component::registry::Address;

/// Push a component to a registry.
#[derive(Debug, Args)]
// Where a variable or a project file names the component, the address stands alone.
#[command(allow_missing_positional = true)]
pub struct PushArgs {
    /// The component: `./order.wasm`.
    #[arg(value_name = "FILE", env = "LONGSHORE_COMPONENT", hide_env_values = true, value_hint = ValueHint::FilePath, value_parser = Unquoted::<Source>::new())]
    pub component: Source,

    /// Where to: `oci://REGISTRY/REPOSITORY:TAG`.
    #[arg(value_name = "ADDRESS")]
    pub to: Address,

    /// Compile the component, and push the result beside it.
    ///
    /// No host has to compile it then.
    #[arg(long)]
    pub precompiled: bool,

    /// The system to compile for, instead of this machine's.
    ///
    /// It is named as in `aarch64-unknown-linux-gnu`. Can be repeated.
    #[arg(long, value_name = "TRIPLE", requires = "precompiled")]
    pub target: Vec<String>,

    /// An annotation for the registry, such as `org.opencontainers.image.version=1.2.0`. Can be
    /// repeated.
    #[arg(long = "annotation", value_name = "NAME=VALUE", value_parser = property, hide_short_help = true)]
    pub annotations: Vec<(String, String)>,

    #[command(flatten)]
    pub(crate) registry: RegistryLogin,
}
