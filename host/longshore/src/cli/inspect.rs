//! The flags of `longshore inspect`.

use clap::Args;

use super::args::ComponentPath;
use super::registry::FetchArgs;
use super::sandbox::GrantArgs;

/// Show what a component needs.
#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub(crate) component: ComponentPath,

    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    #[command(flatten)]
    pub(crate) registry: FetchArgs,
}
