//! Buttons that make trouble.

use maud::{Markup, html};

use super::marks::card;
use crate::page::board::Board;
use crate::page::snapshot::Snapshot;
use crate::page::text::AsText;

/// Makes trouble, and ends it.
pub(super) fn trouble(board: &Board, snapshot: &Snapshot) -> Markup {
    let rights = board.rights;
    if !(rights.kill || rights.take_queue || rights.take_identity) {
        return html! {};
    }
    let button = |what: &str, seconds: &str, words: &str| {
        html! {
            form.inline method="post" action="/trouble" {
                input type="hidden" name="what" value=(what);
                input type="hidden" name="seconds" value=(seconds);
                button type="submit" { (words) }
            }
        }
    };
    let content = html! {
        p { "Azure has bad days. See what the job does in one." }
        @for words in &snapshot.trouble { p.note { (AsText(words)) } }
        div.buttons {
            @if rights.take_queue { (button("queue", "60", "Queue answers 503 for 1 min")) }
            @if rights.take_identity { (button("identity", "60", "No identity endpoint for 1 min")) }
            @if !snapshot.trouble.is_empty() { (button("none", "0", "End the trouble")) }
        }
        @if rights.kill { p.quiet { "\u{201c}Kill\u{201d} beside an execution ends it as a node does that goes away: SIGKILL." } }
        @if !rights.take_identity { p.quiet { "Nothing in this job asks for a token, so that there is no identity endpoint to take away." } }
    };
    card("trouble", "Make trouble", &html! {}, &content)
}
