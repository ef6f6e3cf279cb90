//! The queues of an account.

use azure_core::http::pager::PageIterator;
use azure_core::http::{ClientOptions, Response, XmlFormat};
use azure_storage_queue::models::ListQueuesResponse;
use azure_storage_queue::{QueueServiceClient, QueueServiceClientOptions};

use super::address::{VERSION, address};
use super::error::{Explainer, StorageCall};
use longshore_queue::QueueError;
use longshore_queue::place::Place;

/// How many queues are listed at most.
pub(super) const MAX_LISTED: usize = 100_000;

/// One page of queues.
pub(super) type Page = Response<ListQueuesResponse, XmlFormat>;

/// The queues of the account that a queue is in, five thousand a page ([List
/// Queues](https://learn.microsoft.com/rest/api/storageservices/list-queues1)); `None` for a queue
/// that is in no account.
pub(super) fn pages(
    explainer: &Explainer<'_>,
    client_options: ClientOptions,
) -> Result<Option<PageIterator<Page>>, QueueError> {
    let Place::Storage { endpoint, access } = explainer.url.place() else { return Ok(None) };
    let address = address(explainer.url, endpoint, access.as_ref(), None)?;
    let options = QueueServiceClientOptions { client_options, version: VERSION.into() };
    let explain = |error: azure_core::Error| explainer.explain(StorageCall::List, &error);
    let service = QueueServiceClient::new(address, None, Some(options)).map_err(explain)?;
    Ok(Some(service.list_queues(None).map_err(explain)?.into_pages()))
}

/// The names on a page.
///
/// # Errors
/// The page is no list of queues.
pub(super) fn names(page: Page) -> azure_core::Result<impl Iterator<Item = String>> {
    Ok(page.into_model()?.queue_items.into_iter().filter_map(|it| it.name))
}
