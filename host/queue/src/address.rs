//! Which host an address names.

use std::net::IpAddr;

/// An address without its port.
pub(crate) fn without_port(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => address,
    }
}

/// Whether an address, with a port or without, is on this very host.
pub(crate) fn is_loopback(address: &str) -> bool {
    let host = without_port(address).trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
}
