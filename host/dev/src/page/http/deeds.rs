//! Answers that change something, or show a body. Each is a form that was sent.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::form::{form, not_allowed, refused};
use super::guard::cookie_name;
use super::{Site, pages};
use crate::execution::ExecutionState;
use crate::page::board::Board;
use crate::page::poison::body_text;
use crate::page::text::{cut, decoded, was};
use crate::page::view;
use longshore_queue::Outgoing;
use longshore_worker::poison::Body;

/// What a browser is told whose link lets nobody in.
const NOT_LET_IN: &str = "this link was used, is too old, or is of another run; longshore makes new ones";

/// How often a message is sent at once.
const MAX_SENT: u32 = 1_000;
/// How much of a body is shown, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How much of what a handler said is shown, in characters.
const MAX_REPLAY: usize = 8_000;
/// How much of a name is said again, in characters.
const MAX_NAME: usize = 100;
/// The longest trouble, in seconds.
const MAX_TROUBLE: u64 = 600;

#[derive(Deserialize)]
struct TokenForm {
    t: String,
}

#[derive(Deserialize)]
struct SendForm {
    body: String,
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
struct MessageId {
    id: String,
}

#[derive(Deserialize)]
struct ExecutionName {
    name: String,
}

#[derive(Deserialize)]
struct TroubleForm {
    what: String,
    #[serde(default)]
    seconds: u64,
}

/// The token of a link, for a cookie.
pub(super) async fn session(State(site): State<Site>, request: Request) -> Response {
    let (form, is_page) = match form::<TokenForm>(request, &site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    // Without JavaScript a person has written it, or the whole link.
    let token = form.t.trim().rsplit("#t=").next().unwrap_or_default();
    match site.sessions.exchange(token) {
        Some(cookie) => {
            let name = cookie_name(site.host.port());
            let cookie = [(SET_COOKIE, format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Strict"))];
            if is_page {
                return (cookie, Redirect::to("/")).into_response();
            }
            (StatusCode::NO_CONTENT, cookie).into_response()
        }
        // Without JavaScript another link can be pasted there.
        None if is_page => (StatusCode::FORBIDDEN, view::sign_in(NOT_LET_IN)).into_response(),
        None => (StatusCode::FORBIDDEN, NOT_LET_IN).into_response(),
    }
}

/// A message for the queue.
pub(super) async fn send(State(site): State<Site>, request: Request) -> Response {
    let board = &site.board;
    let (form, is_page) = match form::<SendForm>(request, &site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    if !board.rights.messages {
        return not_allowed(board, is_page);
    }
    // A browser writes line feeds in its own way.
    let body: bytes::Bytes = form.body.replace("\r\n", "\n").into();
    if !board.queue.fits(&body) {
        let words = format!("the body has {} bytes, and the queue does not take so many", body.len());
        return refused(board, &words, is_page);
    }
    let count = form.count.clamp(1, MAX_SENT);
    for number in 0..count {
        let message = Outgoing { body: body.clone(), ..Outgoing::default() };
        if let Err(error) = board.queue.send(message).await {
            return refused(board, &format!("{number} were sent; then: {error}"), is_page);
        }
    }
    board.count().await;
    let words = format!("{} sent. KEDA counts it at the next poll.", was(u64::from(count)));
    view::answer(board, "Sent", &[words], is_page).into_response()
}

/// The body of one message.
pub(super) async fn body(State(site): State<Site>, request: Request) -> Response {
    let board = &site.board;
    let (form, is_page) = match form::<MessageId>(request, &site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    if !board.rights.bodies {
        return refused(board, "bodies are not shown: `--no-bodies` says so", is_page);
    }
    let shown = find_body(board, &decoded(&form.id)).await;
    view::body(board, shown.as_ref(), is_page).into_response()
}

async fn find_body(board: &Board, id: &str) -> Option<view::ShownBody> {
    let shown = |body: &Body<'_>| {
        let (mut text, is_base64) = body_text(body);
        let is_cut = text.len() > MAX_BODY;
        if is_cut {
            let end = (0..=MAX_BODY).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.shrink_to_fit();
        }
        view::ShownBody { text, is_base64, is_cut }
    };
    board.find_body(id, shown).await
}

/// One poison message, for the handler, here.
pub(super) async fn replay(State(site): State<Site>, request: Request) -> Response {
    let board = &site.board;
    let (form, is_page) = match form::<MessageId>(request, &site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    if !board.rights.replay {
        return not_allowed(board, is_page);
    }
    match board.actions.replay(&decoded(&form.id)).await {
        Ok(said) => {
            view::answer(board, "Replayed", &[cut(&said, MAX_REPLAY).into_owned()], is_page).into_response()
        }
        Err(words) => refused(board, &cut(&words, MAX_REPLAY), is_page),
    }
}

/// The end of an execution.
pub(super) async fn kill(State(site): State<Site>, request: Request) -> Response {
    let board = &site.board;
    let (form, is_page) = match form::<ExecutionName>(request, &site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    if !board.rights.kill {
        return not_allowed(board, is_page);
    }
    // One that has not started has no process, and would be killed at its start.
    let state = pages::recorded(board, &form.name).await.map(|(record, _)| record.state);
    let why_not = match state {
        Some(ExecutionState::Running) => None,
        Some(ExecutionState::Pending) => Some("is still starting, and has no process; kill it when it runs"),
        Some(_) => Some("has ended already"),
        None => Some("is no execution in the history"),
    };
    if let Some(why_not) = why_not {
        return refused(board, &format!("{} {why_not}", cut(&form.name, MAX_NAME)), is_page);
    }
    match board.actions.kill(&form.name).await {
        Ok(()) => {
            let words = format!("{} is killed. Its messages come back when their leases end.", form.name);
            view::answer(board, "Killed", &[words], is_page).into_response()
        }
        Err(words) => refused(board, &words, is_page),
    }
}

/// Trouble, or its end.
pub(super) async fn trouble(State(site): State<Site>, request: Request) -> Response {
    let board = &site.board;
    let (form, is_page) = match form::<TroubleForm>(request, &site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    let how_long = Duration::from_secs(form.seconds.min(MAX_TROUBLE));
    let rights = board.rights;
    let (done, words) = match &*form.what {
        "queue" if rights.take_queue => (
            board.actions.take_queue(how_long).await,
            "The queue answers 503 to every execution, and to this page.",
        ),
        "identity" if rights.take_identity => (
            board.actions.take_identity(how_long).await,
            "Executions that start from now on find no identity endpoint.",
        ),
        "none" if rights.take_queue || rights.take_identity => {
            let ended = board.actions.take_queue(Duration::ZERO).await;
            (ended.and(board.actions.take_identity(Duration::ZERO).await), "The trouble is over.")
        }
        _ => return not_allowed(board, is_page),
    };
    match done {
        Ok(()) => view::answer(board, "Trouble", &[words.to_owned()], is_page).into_response(),
        Err(words) => refused(board, &words, is_page),
    }
}
