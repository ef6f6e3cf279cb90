//! The queues of an account, and where they are asked for.

use azure_core::http::Url;
use azure_storage_queue::{QueueServiceClient, QueueServiceClientOptions};
use futures_util::TryStreamExt;

use super::error::{Explainer, StorageCall};
use super::{StorageQueue, VERSION, fault};
use longshore_queue::place::{Place, Signature, StorageAccess};
use longshore_queue::{QueueError, QueueUrl};

/// How many queues are listed at most.
const MAX_LISTED: usize = 100_000;

/// The names of the queues of an account, in alphabetical order. The service lists five thousand a
/// page, and each page has the time limit of a call ([List
/// Queues](https://learn.microsoft.com/rest/api/storageservices/list-queues1)).
pub(super) async fn names(queue: &StorageQueue) -> Result<Vec<String>, QueueError> {
    let Place::Storage { endpoint, access } = queue.url.place() else { return Ok(Vec::new()) };
    let address = address(&queue.url, endpoint, access.as_ref(), None)?;
    let options =
        QueueServiceClientOptions { client_options: queue.options.clone(), version: VERSION.into() };
    let explain = |error: &azure_core::Error| {
        Explainer { url: &queue.url, with_token: queue.tokens.is_some() }.explain(StorageCall::List, error)
    };
    let service = QueueServiceClient::new(address, None, Some(options)).map_err(|error| explain(&error))?;
    let mut pages = service.list_queues(None).map_err(|error| explain(&error))?.into_pages();
    let mut names = Vec::new();
    while names.len() < MAX_LISTED {
        let Some(page) = queue.call(StorageCall::List, pages.try_next()).await? else { break };
        let listed = page.into_model().map_err(|_| queue.unclear("the answer is not a list of queues"))?;
        names.extend(listed.queue_items.into_iter().filter_map(|it| it.name));
    }
    names.sort();
    Ok(names)
}

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
