//! Which URLs lead back to this very host.

use url::{Host, Url};

/// Whether a token does not travel in the clear to a URL: what goes to this very host is not on any
/// wire.
pub(crate) fn may_get_token(url: &Url) -> bool {
    url.scheme() == "https" || is_this_host(url)
}

/// Whether a URL leads back to this very host.
pub fn is_this_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => is_name_of_this_host(name),
        None => false,
    }
}

/// Whether a host's name is one of this very host ([RFC 6761, section
/// 6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
pub(super) fn is_name_of_this_host(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}
