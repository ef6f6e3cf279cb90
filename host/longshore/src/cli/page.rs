//! The flags of the page, which `dev` and `ui` show.

use clap::Args;

/// The heading of what is about the page.
pub(super) const PAGE: &str = "The page";

/// How the page is shown.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = PAGE)]
#[cfg_attr(not(feature = "dev"), allow(dead_code, reason = "a host without `dev` has no page"))]
pub(crate) struct PageArgs {
    /// The port of loopback that the page is served on [default: one that is free].
    ///
    /// The page is for this machine only. The link that is printed lets one browser in, once.
    #[arg(long, value_name = "N", hide_default_value = true, default_value_t = 0, hide_short_help = true)]
    pub port: u16,

    /// Serve the page as `http://127.0.0.1:N`, for a browser that finds no name below `localhost`.
    ///
    /// Each run has a name of its own otherwise. A browser sends the cookies of 127.0.0.1 to every
    /// port there, whoever listens.
    #[arg(long, hide_short_help = true)]
    pub numeric_address: bool,

    /// Show no body of a message on the page, not even on a click.
    #[arg(long, hide_short_help = true)]
    pub no_bodies: bool,
}
