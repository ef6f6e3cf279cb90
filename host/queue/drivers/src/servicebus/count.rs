//! The service's own count of messages, over HTTP, as KEDA asks for it
//! ([Get queue](https://learn.microsoft.com/rest/api/servicebus/get-queue), [Get
//! subscription](https://learn.microsoft.com/rest/api/servicebus/subscriptions)).

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::headers::{AUTHORIZATION, HeaderName, HeaderValue};
use azure_core::http::{HttpClient, Method, Request};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use longshore_azure::SharedHttp;
use longshore_queue::place::Transport;

use crate::servicebus::entity::Entity;

/// How long the answer is awaited: there is another way to count.
const LIMIT: Duration = Duration::from_secs(5);
const VERSION: &str = "2021-05";
const DATE: HeaderName = HeaderName::from_static("date");

#[derive(Deserialize)]
struct AtomEntry {
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    // What a topic tells is none of these: its messages lie in its subscriptions.
    #[serde(rename = "QueueDescription", alias = "SubscriptionDescription")]
    described: Described,
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "CountDetails")]
    counts: Counts,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Counts {
    active_message_count: u64,
    dead_letter_message_count: u64,
}

/// How many active messages there are, or in a dead-letter sub-queue how many at all; `None` if the
/// service does not tell.
pub(super) async fn ask(entity: &Entity, http: &Arc<SharedHttp>) -> Option<u64> {
    // The emulator has its HTTP elsewhere.
    if entity.transport == Transport::Plain {
        return None;
    }
    let url = Url::parse(&format!("{}?api-version={VERSION}", entity.description())).ok()?;
    let counts = timeout(LIMIT, counts(entity, http, url)).await.ok()??;
    Some(if entity.url.is_dead_letter_queue() {
        counts.dead_letter_message_count
    } else {
        counts.active_message_count
    })
}

/// What time it is for the service, and was for us when it said so; `None` if it does not tell.
pub(super) async fn time(entity: &Entity, http: &Arc<SharedHttp>) -> Option<(Timestamp, Timestamp)> {
    if entity.transport == Transport::Plain {
        return None;
    }
    // Whoever asks is told, also with a refusal: no token is needed.
    let request = Request::new(Url::parse(&format!("https://{}/", entity.namespace)).ok()?, Method::Get);
    let answer = timeout(LIMIT, http.execute_request(&request)).await.ok()?.ok()?;
    let ours = Timestamp::now();
    let theirs = DateTimeParser::new().parse_timestamp(answer.headers().get_optional_str(&DATE)?).ok()?;
    Some((theirs, ours))
}

async fn counts(entity: &Entity, http: &Arc<SharedHttp>, url: Url) -> Option<Counts> {
    let token = entity.token().await.ok()?;
    let mut request = Request::new(url, Method::Get);
    request.insert_header(AUTHORIZATION, HeaderValue::from(token.header()));
    let answer = http.execute_request(&request).await.ok()?.try_into_raw_response().await.ok()?;
    if !answer.status().is_success() {
        tracing::debug!(status = %answer.status(), "the service does not tell its count");
        return None;
    }
    // What is not there is answered with an empty list.
    let entry: AtomEntry = azure_core::xml::from_xml(answer.body()).ok()?;
    Some(entry.content.described.counts)
}

#[cfg(test)]
mod fuzz;
