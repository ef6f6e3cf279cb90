//! `https://ACCOUNT.queue.core.windows.net/QUEUE`, and the same for Azurite.

use url::Url;

use crate::parse::malformed::{Malformed, Parsed};
use crate::parse::name::check_name;
use crate::place::{Place, Signature, StorageAccess};
use crate::this_host::is_this_host;

/// Reads the URL of a Storage queue.
pub(crate) fn parse(url: &Url) -> Parsed {
    let host = url.host_str().unwrap_or_default();
    // An account is part of the host's name on Azure. It is the first segment of the path where the
    // host is an address or a name of our own (Azurite, a container beside us).
    let in_host = host.contains(".queue.");
    if in_host && url.scheme() == "http" && !host.ends_with(".localhost") {
        return Err(Malformed::new("a token does not travel in the clear"));
    }
    let path = url.path().trim_matches('/');
    let (account, name) = match path.split_once('/') {
        None if in_host && !path.is_empty() => (None, path),
        Some((account, name)) if !in_host && !account.is_empty() => (Some(account), name),
        _ => return Err(Malformed::new("the path is not that of a queue")),
    };
    check_name(name).map_err(|cause| {
        // What is encoded there may be a query, and a signature in it.
        let shown = if name.contains('%') { "that".to_owned() } else { format!("`{name}`") };
        Malformed::new(format!("{shown} is no queue name: {cause}"))
    })?;
    let signature = match url.query() {
        None | Some("") => None,
        Some(query) if url.query_pairs().any(|(key, _)| key == "sig") => Some(Signature(query.to_owned())),
        Some(_) => {
            return Err(Malformed {
                cause: "the query is not a shared access signature, it has no `sig`".into(),
                mend: Some("give the whole SAS, in quotes so that the shell leaves its `&` alone, or none"),
            });
        }
    };
    let is_here = url.host().is_some_and(|host| is_this_host(&host));
    if signature.is_some() && url.scheme() == "http" && !is_here {
        return Err(Malformed {
            cause: "a signature does not travel in the clear, but on this very host".into(),
            mend: Some("write https"),
        });
    }
    let origin = url.origin().ascii_serialization();
    let endpoint = match account {
        Some(account) => format!("{origin}/{account}"),
        None => origin,
    };
    Ok((Place::Storage { endpoint, access: signature.map(StorageAccess::Signature) }, name.to_owned()))
}
