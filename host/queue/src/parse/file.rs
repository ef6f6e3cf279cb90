//! `file:DIRECTORY/QUEUE`. Nothing in the path is percent-decoded.

use std::path::Path;

use crate::parse::malformed::{Malformed, Parsed};
use crate::parse::name::check_name;
use crate::place::Place;

/// Reads what comes behind `file:`.
pub(crate) fn parse(path: &str) -> Parsed {
    let path = match path.strip_prefix("//") {
        Some(rest) => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(Malformed::new("a file URL with two slashes names a host"));
            }
            path
        }
        None => path,
    };
    // Several slashes are one. Shown as they are, they would be the beginning of a host.
    let slashes = path.len() - path.trim_start_matches('/').len();
    let path = Path::new(&path[slashes.saturating_sub(1)..]);
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Malformed::new("no queue is named"))?;
    check_name(name).map_err(|cause| Malformed::new(format!("`{name}` is no queue name: {cause}")))?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Ok((Place::File { directory: directory.to_owned() }, name.to_owned()))
}
