//! Where a queue, or its account, is asked, and in which version of the protocol.

use azure_core::http::Url;

use super::error::fault;
use longshore_queue::place::{Signature, StorageAccess};
use longshore_queue::{QueueError, QueueUrl};

/// The version of the protocol: the newest that the emulator knows as well.
pub(super) const VERSION: &str = "2025-11-05";

/// The address of a queue, or of the account; with a signature that was given.
pub(super) fn address(
    url: &QueueUrl,
    endpoint: &str,
    access: Option<&StorageAccess>,
    queue: Option<&str>,
) -> Result<Url, QueueError> {
    let address = format!("{endpoint}/{}", queue.unwrap_or_default());
    // The text of a parse error does not repeat the URL.
    let mut address =
        Url::parse(&address).map_err(|error| fault(format!("{url}: {error}"), "look at its spelling"))?;
    if let Some(StorageAccess::Signature(Signature(query))) = access {
        address.set_query(Some(query));
    }
    Ok(address)
}
