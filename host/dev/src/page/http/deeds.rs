//! Answers that change something, or show a body. Each is a form that was sent.

use std::time::Duration;

use axum::extract::{Form, FromRequest, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::guard::cookie_name;
use super::{ARRIVES_WITHIN, Site};
use crate::page::actions::SweepCount;
use crate::page::board::Board;
use crate::page::poison::body_text;
use crate::page::text::{counted, cut, decoded};
use crate::page::view::{self, Question};
use longshore_queue::Outgoing;
use longshore_worker::poison::Body;

/// How often a message is sent at once.
const MAX_SENT: u32 = 1_000;
/// How much of a body is shown, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How much of what a handler said is shown, in characters.
const MAX_REPLAY: usize = 8_000;
/// The longest trouble.
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

/// Which poison messages, and whether they were asked about.
#[derive(Deserialize)]
struct Chosen {
    id: Option<String>,
    group: Option<String>,
    all: Option<String>,
    confirmed: Option<String>,
}

/// A form, if it arrives in time and is one.
async fn form<T: DeserializeOwned>(request: Request, site: &Site) -> Result<(T, bool), Response> {
    let is_page = is_navigation(request.headers());
    match tokio::time::timeout(ARRIVES_WITHIN, Form::<T>::from_request(request, site)).await {
        Ok(Ok(Form(form))) => Ok((form, is_page)),
        Ok(Err(refused)) => Err(refused.into_response()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the form took too long").into_response()),
    }
}

/// Whether the answer takes the place of the page, and is no part of it.
fn is_navigation(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-mode").is_some_and(|it| it == "navigate")
}

/// The token of a link, for a cookie.
pub(super) async fn session(State(site): State<Site>, request: Request) -> Response {
    let (form, _) = match form::<TokenForm>(request, &site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    match site.sessions.exchange(&form.t) {
        Some(cookie) => {
            let name = cookie_name(site.port);
            let cookie = format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Strict");
            (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
        }
        None => (StatusCode::FORBIDDEN, "this link was used, or is of another run").into_response(),
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

fn was(count: u64) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(count, "message"))
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
    view::body(shown.as_ref()).into_response()
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

/// Poison messages, back to their queue.
pub(super) async fn redrive(State(site): State<Site>, request: Request) -> Response {
    sweep(&site, request, Sweep::Redrive).await
}

/// Poison messages, deleted.
pub(super) async fn purge(State(site): State<Site>, request: Request) -> Response {
    sweep(&site, request, Sweep::Purge).await
}

#[derive(Clone, Copy)]
enum Sweep {
    Redrive,
    Purge,
}

impl Sweep {
    async fn perform(self, board: &Board, ids: &[String], dry_run: bool) -> Result<SweepCount, String> {
        match self {
            Self::Redrive => board.actions.redrive(ids, dry_run).await,
            Self::Purge => board.actions.purge(ids, dry_run).await,
        }
    }

    fn ask<'a>(self, fields: &'a [(&'a str, &'a str)], words: &'a [String], yes: &'a str) -> Question<'a> {
        match self {
            Self::Redrive => Question {
                title: "Send them back?",
                words,
                action: "/poison/redrive",
                fields,
                yes,
                is_danger: false,
            },
            Self::Purge => Question {
                title: "Delete them for good?",
                words,
                action: "/poison/purge",
                fields,
                yes,
                is_danger: true,
            },
        }
    }
}

async fn sweep(site: &Site, request: Request, sweep: Sweep) -> Response {
    let board = &site.board;
    let (chosen, is_page) = match form::<Chosen>(request, site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    if !board.rights.messages {
        return not_allowed(board, is_page);
    }
    let (name, value, ids) = match (&chosen.id, &chosen.group, &chosen.all) {
        (Some(id), None, None) => ("id", id.as_str(), vec![decoded(id)]),
        (None, Some(group), None) => {
            let groups = board.look().await.groups();
            let found = groups.into_iter().find(|it| view::group_key(it) == *group);
            let Some(found) = found else {
                return refused(board, "none of this group lies in the poison queue any more", is_page);
            };
            ("group", group.as_str(), found.ids)
        }
        (None, None, Some(_)) => ("all", "1", Vec::new()),
        _ => return refused(board, "the form has to name one message, one group, or all", is_page),
    };
    let is_confirmed = chosen.confirmed.is_some();
    let swept = match sweep.perform(board, &ids, !is_confirmed).await {
        Ok(swept) => swept,
        Err(words) => return refused(board, &words, is_page),
    };
    let messages = counted(swept.messages, "message");
    let stays = swept
        .skipped
        .iter()
        .map(|(reason, count)| format!("{} would stay: {reason}", counted(*count, "message")));
    if !is_confirmed {
        let first = match sweep {
            Sweep::Redrive => format!("{messages} would go back to the queue, and be handled anew."),
            Sweep::Purge => format!("{messages} would be deleted. Nobody can bring them back."),
        };
        let words: Vec<_> = std::iter::once(first).chain(stays).collect();
        let yes = match sweep {
            Sweep::Redrive => format!("Redrive {messages}"),
            Sweep::Purge => format!("Delete {messages}"),
        };
        if swept.messages == 0 {
            return view::answer(board, "Nothing to do", &words, is_page).into_response();
        }
        let fields = [(name, value)];
        let asked = sweep.ask(&fields, &words, &yes);
        return view::question(board, &asked, is_page).into_response();
    }
    board.forget_look().await;
    let (title, first) = match sweep {
        Sweep::Redrive => ("Sent back", format!("{} sent back to the queue.", was(swept.messages))),
        Sweep::Purge => ("Deleted", format!("{} deleted.", was(swept.messages))),
    };
    let stayed = swept
        .skipped
        .iter()
        .map(|(reason, count)| format!("{} stayed: {reason}", counted(*count, "message")));
    let words: Vec<_> = std::iter::once(first).chain(stayed).collect();
    view::answer(board, title, &words, is_page).into_response()
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

fn not_allowed(board: &Board, is_page: bool) -> Response {
    let words = format!("`longshore {}` was not started so that this is allowed", board.names.verb);
    (StatusCode::FORBIDDEN, view::problem(board, &words, is_page)).into_response()
}

fn refused(board: &Board, words: &str, is_page: bool) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, view::problem(board, words, is_page)).into_response()
}
