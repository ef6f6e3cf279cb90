//! The main page, and its parts that change.

use maud::{Markup, html};

use super::cost::cost;
use super::depth::queue;
use super::executions::executions;
use super::frame::frame;
use super::marks::Part;
use super::messages::{messages, send};
use super::poison::poison;
use super::trouble::trouble;
use crate::execution::ExecutionState;
use crate::page::board::Board;
use crate::page::snapshot::Snapshot;
use crate::page::text::{AsText, number, time};

/// What stands for a number that nobody knows.
const NOT_KNOWN: &str = "\u{2013}";

/// The whole page.
pub(crate) fn main_page(board: &Board, snapshot: &Snapshot) -> Markup {
    let content = html! {
        h1.hidden-words { "The queue and its executions" }
        (note(snapshot))
        (figures(board, snapshot))
        div.columns {
            div.column.column-wide { (queue(board, snapshot)) (executions(board, snapshot)) (messages(board, snapshot)) }
            div.column { (poison(board, snapshot)) (send(board)) (cost(board, snapshot)) (trouble(board, snapshot)) }
        }
    };
    frame(board, "Now", Some("/events"), &content)
}

/// The parts that change.
pub(crate) fn parts(board: &Board, snapshot: &Snapshot) -> Vec<Part> {
    vec![
        ("note", note(snapshot)),
        ("figures", figures(board, snapshot)),
        ("queue", queue(board, snapshot)),
        ("executions", executions(board, snapshot)),
        ("messages", messages(board, snapshot)),
        ("poison", poison(board, snapshot)),
        ("cost", cost(board, snapshot)),
        ("trouble", trouble(board, snapshot)),
    ]
}

fn note(snapshot: &Snapshot) -> Markup {
    let note = snapshot.now.note.as_deref().or(snapshot.now.not_counted.as_deref());
    html! {
        div #note { @if let Some(note) = note { p.note role="alert" { (AsText(note)) } } }
    }
}

/// The numbers that are read first.
fn figures(board: &Board, snapshot: &Snapshot) -> Markup {
    let depth = snapshot.now.depth;
    let shown = |count: Option<u64>| count.map_or_else(|| NOT_KNOWN.to_owned(), number);
    // A number that was not counted just now says when it was.
    let stale = depth.filter(|_| snapshot.now.not_counted.is_some()).map(|it| it.at_ms);
    let counted = |words: &str| match stale {
        None => html! { (words) },
        Some(at_ms) => html! { "as counted at " (time(at_ms)) },
    };
    let has_job = board.names.has_job();
    let state = |state| shown(has_job.then(|| snapshot.executed.count(state)));
    let executions = |words: String| html! { @if has_job { (words) } @else { "no job named" } };
    let tells = board.names.tells_of_messages();
    let waiting = depth.map(|it| it.visible.unwrap_or(it.messages));
    let hidden = depth.and_then(|it| it.hidden());
    let pending = snapshot.executed.count(ExecutionState::Pending);
    html! {
        dl #figures .figures {
            (figure("waiting", &shown(waiting), &counted("can be received now")))
            (figure("hidden", &shown(hidden), &counted("leased, or waits for a retry")))
            (figure("poison", &shown(depth.and_then(|it| it.poison)), &counted("could not be handled")))
            (figure("running", &state(ExecutionState::Running), &executions(format!("executions, {} starting", number(pending)))))
            (figure("failed", &state(ExecutionState::Failed), &executions("executions, of the last 500".into())))
            @if tells {
                (figure("completed", &number(snapshot.outcome("completed")), &html! { "of the last 20,000 messages" }))
            }
        }
    }
}

fn figure(name: &str, value: &str, words: &Markup) -> Markup {
    html! {
        div.figure.{ "figure-" (name) } {
            dt { (name) }
            dd.figure-value { (value) }
            dd.figure-words { (words) }
        }
    }
}
