//! What the parts of the page have in common: cards, and the signs of states.

use maud::{Markup, html};

use crate::execution::ExecutionState;
use crate::page::text::AsText;

/// A part of the page that is replaced when it changes: its id, and its markup.
pub(crate) type Part = (&'static str, Markup);

/// A part with a heading, as a region that screen readers list.
pub(super) fn card(id: &str, title: &str, aside: &Markup, content: &Markup) -> Markup {
    let heading = format!("{id}-heading");
    html! {
        section.card id=(id) aria-labelledby=(heading) {
            div.card-head { h2 id=(heading) { (title) } (aside) }
            (content)
        }
    }
}

/// The sign and the word of a state: neither is told by colour alone.
pub(super) fn state_mark(state: ExecutionState) -> Markup {
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
pub(super) fn outcome_mark(outcome: &str) -> Markup {
    let (class, sign) = match outcome {
        "completed" => ("succeeded", "✓"),
        "poisoned" => ("failed", "✕"),
        "retried" => ("stopped", "↻"),
        _ => ("lost", "?"),
    };
    html! { span.mark.{ "mark-" (class) } { span aria-hidden="true" { (sign) } " " (AsText(outcome)) } }
}

fn mark(word: &str, sign: &str) -> Markup {
    html! { span.mark.{ "mark-" (word) } { span aria-hidden="true" { (sign) } " " (word) } }
}
