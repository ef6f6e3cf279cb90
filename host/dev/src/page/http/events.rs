//! What changes, sent to a browser while it looks.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{Site, pages};
use crate::page::snapshot::Snapshot;
use crate::page::view::{self, Part};

/// How often a browser hears of changes, at most.
const PAUSE: Duration = Duration::from_secs(1);

/// What a browser looks at.
#[derive(Deserialize)]
pub(super) struct Looking {
    /// An execution; nothing for the main page.
    execution: Option<String>,
}

/// What one browser was sent.
struct Listener {
    site: Site,
    looking: Looking,
    sent: BTreeMap<&'static str, String>,
    _place: OwnedSemaphorePermit,
}

/// A stream of the parts that have changed.
pub(super) async fn events(State(site): State<Site>, Query(looking): Query<Looking>) -> Response {
    let Ok(place) = site.listeners.clone().try_acquire_owned() else {
        let words = "as many browsers listen as may; close one of them, or load this page again by hand";
        return (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    };
    let listener = Listener { site, looking, sent: BTreeMap::new(), _place: place };
    let changes = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(changes).keep_alive(KeepAlive::default()).into_response()
}

impl Listener {
    /// The parts that differ from what was sent, once there are any; `None` once there can be none.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::time::sleep(PAUSE).await;
            let parts = self.parts().await?;
            let mut changed = Vec::new();
            for (id, markup) in parts {
                let markup = markup.into_string();
                if self.sent.get(id) != Some(&markup) {
                    changed.push(serde_json::json!({ "id": id, "html": markup }));
                    self.sent.insert(id, markup);
                }
            }
            if !changed.is_empty() {
                // Without a line feed, whatever the markup has.
                return Some(
                    Event::default().event("parts").data(serde_json::Value::Array(changed).to_string()),
                );
            }
        }
    }

    async fn parts(&self) -> Option<Vec<Part>> {
        let board = &self.site.board;
        let Some(name) = &self.looking.execution else {
            return Some(view::parts(board, &Snapshot::take(board).await));
        };
        let (record, log) = pages::recorded(board, name).await?;
        Some(view::execution_parts(board, &record, &log, Timestamp::now().as_millisecond()))
    }
}
