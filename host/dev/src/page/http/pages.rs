//! Answers that change nothing.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::Markup;
use serde::Deserialize;

use super::Site;
use crate::execution::ExecutionRecord;
use crate::history::History;
use crate::page::board::Board;
use crate::page::snapshot::Snapshot;
use crate::page::view::{self, MessageSeen};

/// How many rows a list has.
const ROWS: u32 = 100;
/// How many attempts at one message are shown.
const ATTEMPTS: u32 = 100;
/// Of how many executions a message's page shows the logs.
const LOGS: usize = 3;

/// What the browser loads beside the page, by name.
const ASSETS: [(&str, &str, &str); 4] = [
    ("page.css", "text/css; charset=utf-8", include_str!("../assets/page.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("../assets/page.js")),
    ("sign-in.js", "text/javascript; charset=utf-8", include_str!("../assets/sign-in.js")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
];

/// Where a list begins, and what it is of.
#[derive(Deserialize)]
pub(super) struct ListQuery {
    from: Option<u32>,
    outcome: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ExecutionQuery {
    name: String,
}

#[derive(Deserialize)]
pub(super) struct MessageQuery {
    id: String,
}

#[derive(Deserialize)]
pub(super) struct GroupQuery {
    group: Option<String>,
}

/// The main page.
pub(super) async fn now(State(site): State<Site>) -> Markup {
    view::main_page(&site.board, &Snapshot::take(&site.board).await)
}

/// All executions.
pub(super) async fn executions(State(site): State<Site>, Query(listing): Query<ListQuery>) -> Response {
    let from = listing.from.unwrap_or(0);
    read(
        &site.board,
        move |history| history.page(from, ROWS),
        |board, records| {
            view::execution_list(
                board,
                &records,
                Timestamp::now().as_millisecond(),
                next(from, records.len()),
            )
        },
    )
    .await
}

/// One execution.
pub(super) async fn execution(State(site): State<Site>, Query(named): Query<ExecutionQuery>) -> Response {
    match recorded(&site.board, &named.name).await {
        Some((record, log)) => {
            view::execution(&site.board, &record, &log, Timestamp::now().as_millisecond()).into_response()
        }
        None => missing(&site.board, "no such execution is in the history"),
    }
}

/// An execution with its log, as it is now.
pub(super) async fn recorded(board: &Arc<Board>, name: &str) -> Option<(ExecutionRecord, String)> {
    let (board, name) = (board.clone(), name.to_owned());
    let found = tokio::task::spawn_blocking(move || {
        let record = board.history.execution(&name).ok().flatten()?;
        let log = board.logs.text(&name).or_else(|| board.history.log(&name).ok().flatten());
        Some((record, log.unwrap_or_default()))
    });
    found.await.ok().flatten()
}

/// All messages that are remembered.
pub(super) async fn messages(State(site): State<Site>, Query(listing): Query<ListQuery>) -> Response {
    let (from, outcome) = (listing.from.unwrap_or(0), listing.outcome.filter(|it| !it.is_empty()));
    let wanted = outcome.clone();
    read(
        &site.board,
        move |history| history.messages(wanted.as_deref(), from, ROWS),
        |board, found| view::message_list(board, outcome.as_deref(), &found, next(from, found.len())),
    )
    .await
}

/// One message.
pub(super) async fn message(State(site): State<Site>, Query(named): Query<MessageQuery>) -> Response {
    let board = &site.board;
    let look = board.look().await;
    let poison = look.message(&named.id);
    let id = poison.map_or(named.id.clone(), |it| it.own_id.clone());
    let read = (board.clone(), id.clone());
    let found = tokio::task::spawn_blocking(move || {
        let (board, id) = read;
        let attempts = board.history.attempts(&id, ATTEMPTS).unwrap_or_default();
        let mut executions: Vec<_> = attempts.iter().rev().map(|it| it.execution.clone()).collect();
        executions.dedup();
        executions.truncate(LOGS);
        let log = |name: String| {
            let text = board.logs.text(&name).or_else(|| board.history.log(&name).ok().flatten())?;
            Some((name, text))
        };
        let logs: Vec<_> = executions.into_iter().filter_map(log).collect();
        (attempts, logs)
    });
    let (attempts, logs) = found.await.unwrap_or_default();
    if attempts.is_empty() && poison.is_none() {
        return missing(board, "no execution has had this message, and it is not in the poison queue");
    }
    let seen = MessageSeen { id: &id, attempts: &attempts, poison, logs: &logs };
    view::message(board, &seen).into_response()
}

/// Poison messages.
pub(super) async fn poison(State(site): State<Site>, Query(grouped): Query<GroupQuery>) -> Markup {
    let look = site.board.look().await;
    view::poison_list(&site.board, &look, grouped.group.as_deref())
}

/// Whether this is the path of what a browser loads beside the page.
pub(super) fn is_asset(path: &str) -> bool {
    path.strip_prefix("/assets/").is_some_and(|name| ASSETS.iter().any(|(it, ..)| *it == name))
}

/// What the browser loads beside the page.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    // Anybody may have these: an answer says nothing of the queue.
    match ASSETS.iter().find(|(it, ..)| *it == name) {
        Some((_, kind, text)) => ([(CONTENT_TYPE, *kind)], *text).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}

/// Whether this run still answers, and knows who asks.
pub(super) async fn alive() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Anything else.
pub(super) async fn not_found(State(site): State<Site>) -> Response {
    missing(&site.board, "there is no such page")
}

fn missing(board: &Board, words: &str) -> Response {
    (StatusCode::NOT_FOUND, view::problem(board, words, true)).into_response()
}

/// Where the next rows begin, if there may be some.
fn next(from: u32, found: usize) -> Option<u32> {
    (found >= ROWS as usize).then(|| from.saturating_add(ROWS))
}

/// Reads the history, and shows what is found.
async fn read<T: Send + 'static>(
    board: &Arc<Board>,
    find: impl FnOnce(&History) -> rusqlite::Result<T> + Send + 'static,
    show: impl FnOnce(&Board, T) -> Markup,
) -> Response {
    let reading = board.clone();
    match tokio::task::spawn_blocking(move || find(&reading.history)).await {
        Ok(Ok(found)) => show(board, found).into_response(),
        Ok(Err(error)) => {
            let words = format!("the history cannot be read: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, view::problem(board, &words, true)).into_response()
        }
        // The process is ending.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
