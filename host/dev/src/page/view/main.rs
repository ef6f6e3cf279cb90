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
use crate::page::text::{AsText, number};

/// The whole page.
pub(crate) fn main_page(board: &Board, snapshot: &Snapshot) -> Markup {
    let content = html! {
        h1.hidden-words { "The queue and its executions" }
        (note(snapshot))
        (figures(snapshot))
        div.columns {
            div.column.column-wide { (queue(board, snapshot)) (executions(board, snapshot)) (messages(snapshot)) }
            div.column { (poison(board, snapshot)) (send(board)) (cost(board, snapshot)) (trouble(board, snapshot)) }
        }
    };
    frame(board, "Now", Some("/events"), &content)
}

/// The parts that change.
pub(crate) fn parts(board: &Board, snapshot: &Snapshot) -> Vec<Part> {
    vec![
        ("note", note(snapshot)),
        ("figures", figures(snapshot)),
        ("queue", queue(board, snapshot)),
        ("executions", executions(board, snapshot)),
        ("messages", messages(snapshot)),
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
fn figures(snapshot: &Snapshot) -> Markup {
    let depth = snapshot.now.depth;
    let shown = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), number);
    let state = |state| number(snapshot.executed.count(state));
    let waiting = depth.map(|it| it.visible.unwrap_or(it.messages));
    let hidden = depth.and_then(|it| it.hidden());
    let pending = snapshot.executed.count(ExecutionState::Pending);
    html! {
        dl #figures .figures {
            (figure("waiting", &shown(waiting), "can be received now"))
            (figure("hidden", &shown(hidden), "leased, or waits for a retry"))
            (figure("poison", &shown(depth.and_then(|it| it.poison)), "could not be handled"))
            (figure("running", &state(ExecutionState::Running), &format!("executions, {} starting", number(pending))))
            (figure("failed", &state(ExecutionState::Failed), "executions"))
            (figure("completed", &number(snapshot.outcome("completed")), "messages, at their last attempt"))
        }
    }
}

fn figure(name: &str, value: &str, words: &str) -> Markup {
    html! {
        div.figure.{ "figure-" (name) } {
            dt { (name) }
            dd.figure-value { (value) }
            dd.figure-words { (words) }
        }
    }
}
