//! What the page looks like: a file for each part. Each takes what it shows and returns markup.

mod answers;
mod cost;
mod depth;
mod executions;
mod frame;
mod log;
mod main;
mod messages;
mod poison;
mod timeline;
mod trouble;

pub(crate) use answers::{Question, answer, problem, question};
pub(crate) use executions::{execution, execution_list, execution_parts};
pub(crate) use frame::{frame, sign_in};
pub(crate) use main::{main_page, parts};
pub(crate) use messages::{Body, MessageSeen, body, message, message_list};
pub(crate) use poison::{group_key, poison_list};

use maud::{Markup, html};

use crate::execution::ExecutionState;

/// A part of the page that is replaced when it changes: its id, and its markup.
pub(crate) type Part = (&'static str, Markup);

/// A part with a heading, as a region that screen readers list.
fn card(id: &str, title: &str, aside: &Markup, content: &Markup) -> Markup {
    let heading = format!("{id}-heading");
    html! {
        section.card id=(id) aria-labelledby=(heading) {
            div.card-head { h2 id=(heading) { (title) } (aside) }
            (content)
        }
    }
}

/// The sign and the word of a state: neither is told by colour alone.
fn state_mark(state: ExecutionState) -> Markup {
    let sign = match state {
        ExecutionState::Pending => "○",
        ExecutionState::Running => "●",
        ExecutionState::Succeeded => "✓",
        ExecutionState::Failed => "✕",
        ExecutionState::Stopped => "■",
        ExecutionState::Lost => "?",
    };
    mark(state.as_str(), sign)
}

/// The sign and the word of what became of a message.
fn outcome_mark(outcome: &str) -> Markup {
    let (class, sign) = match outcome {
        "completed" => ("succeeded", "✓"),
        "poisoned" => ("failed", "✕"),
        "retried" => ("stopped", "↻"),
        _ => ("lost", "?"),
    };
    html! { span.mark.{ "mark-" (class) } { span aria-hidden="true" { (sign) } " " (super::text::Shown(outcome)) } }
}

fn mark(word: &str, sign: &str) -> Markup {
    html! { span.mark.{ "mark-" (word) } { span aria-hidden="true" { (sign) } " " (word) } }
}
