//! The service's own count of messages, over HTTP, as KEDA asks for it
//! ([Get queue](https://learn.microsoft.com/rest/api/servicebus/get-queue)).

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::headers::{AUTHORIZATION, HeaderValue};
use azure_core::http::{HttpClient, Method, Request};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::connection::Target;
use longshore_azure::Http;
use longshore_queue::url::{DEAD_LETTER_PATH, Transport};

/// How long the answer is awaited: there is another way to count.
const LIMIT: Duration = Duration::from_secs(5);
const VERSION: &str = "2021-05";

#[derive(Deserialize)]
struct Entry {
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    #[serde(rename = "QueueDescription")]
    queue: Description,
}

#[derive(Deserialize)]
struct Description {
    #[serde(rename = "CountDetails")]
    counts: Counts,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Counts {
    active_message_count: u64,
    dead_letter_message_count: u64,
}

/// How many active messages there are, or in a dead-letter sub-queue how many at all; `None` if the service does not tell.
pub(super) async fn ask(target: &Target, http: &Arc<Http>) -> Option<u64> {
    // The emulator has its HTTP elsewhere.
    if target.transport == Transport::Plain {
        return None;
    }
    let name = target.url.name();
    let queue = name.strip_suffix(DEAD_LETTER_PATH).unwrap_or(name);
    let url = Url::parse(&format!("https://{}/{queue}?api-version={VERSION}", target.namespace)).ok()?;
    let counts = timeout(LIMIT, counts(target, http, url)).await.ok()??;
    Some(match queue == name {
        true => counts.active_message_count,
        false => counts.dead_letter_message_count,
    })
}

async fn counts(target: &Target, http: &Arc<Http>, url: Url) -> Option<Counts> {
    let token = target.source.token(&target.audience()).await.ok()?;
    let mut request = Request::new(url, Method::Get);
    request.insert_header(AUTHORIZATION, HeaderValue::from(token.header()));
    let answer = http.execute_request(&request).await.ok()?.try_into_raw_response().await.ok()?;
    if !answer.status().is_success() {
        tracing::debug!(status = %answer.status(), "the service does not tell its count");
        return None;
    }
    // What is not there is answered with an empty list.
    let entry: Entry = azure_core::xml::from_xml(answer.body()).ok()?;
    Some(entry.content.queue.counts)
}
