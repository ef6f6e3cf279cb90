//! Poison messages, by reason and cause.

use maud::{Markup, html};

use super::frame::frame;
use super::marks::card;
use crate::page::actions::SweepVerb;
use crate::page::board::Board;
use crate::page::poison::{PoisonGroup, PoisonSeen};
use crate::page::snapshot::Snapshot;
use crate::page::text::{AsText, coded, counted, cut, link, number, time, was};
use crate::page::work::WorkSeen;

/// How many groups the main page shows.
const SHOWN: usize = 8;
/// How much of a cause is shown, in characters.
const SHOWN_CAUSE: usize = 160;

/// What a form says of a group.
pub(crate) fn group_key(group: &PoisonGroup) -> String {
    format!("{}/{}", coded(&group.reason), coded(&group.cause))
}

/// The groups, with what can be done about each.
pub(super) fn poison(board: &Board, snapshot: &Snapshot) -> Markup {
    let Some(queue) = &board.names.poison else {
        return card("poison", "Poison", &html! {}, &html! { p.quiet { "This queue has no poison queue." } });
    };
    let look = &snapshot.poison;
    let groups = look.groups();
    let content = html! {
        (work(snapshot))
        @if let Some(problem) = &look.problem { p.note { (AsText(problem)) } }
        @else if groups.is_empty() { p.quiet { "Nothing lies in it." } }
        @else {
            ul.groups { @for group in groups.iter().take(SHOWN) { (row(board, group)) } }
            (about(look, groups.len()))
            @if board.rights.messages {
                div.buttons {
                    (form("redrive", "all", "1", "", "Redrive all…"))
                    (form("purge", "all", "1", "danger", "Purge all…"))
                }
            }
        }
    };
    let aside = html! { span.quiet title=(queue) { "by cause" } };
    card("poison", "Poison", &aside, &content)
}

/// What is done with them now, and what came of it a short time ago.
fn work(snapshot: &Snapshot) -> Markup {
    let poison = snapshot.now.depth.and_then(|it| it.poison);
    html! {
        @if !snapshot.work.is_empty() {
            div role="status" {
                ul.work { @for it in &snapshot.work { li { (work_words(it, poison)) } } }
            }
        }
    }
}

fn work_words(work: &WorkSeen, poison: Option<u64>) -> Markup {
    let (doing, done) = match work.verb {
        SweepVerb::Redrive => ("Redriving", "sent back"),
        SweepVerb::Purge => ("Deleting", "deleted"),
    };
    html! {
        @match &work.end {
            None => {
                span.busy aria-hidden="true" { "● " }
                (doing) " " (counted(work.messages, "message")) " since " (time(work.begun_ms))
                @if let Some((before, now)) = work.poison.zip(poison) {
                    ": about " (number(before.saturating_sub(now).min(work.messages))) " done"
                }
            },
            Some((at_ms, Ok(count))) => {
                span.good aria-hidden="true" { "✓ " } (was(*count)) " " (done) " at " (time(*at_ms)) "."
            },
            Some((at_ms, Err(why))) => {
                span.bad aria-hidden="true" { "✕ " } (doing) " ended at " (time(*at_ms)) ": " (AsText(&cut(why, SHOWN_CAUSE)))
            },
        }
    }
}

fn about(look: &PoisonSeen, groups: usize) -> Markup {
    html! {
        @if let Some(count) = look.of_about {
            p.quiet { "Looked at " (number(look.messages.len() as u64)) " of about " (number(count))
                "; \u{201c}all\u{201d} takes the rest as well." }
        }
        @if groups > SHOWN { p.quiet { a href="/poison" { "All " (groups) " causes" } } }
    }
}

fn row(board: &Board, group: &PoisonGroup) -> Markup {
    let key = group_key(group);
    let count = counted(group.ids.len() as u64, "message");
    html! {
        li.group {
            p.group-words {
                b.group-count { (number(group.ids.len() as u64)) } " "
                span.reason { (AsText(&group.reason)) } " "
                span.cause { (AsText(&cut(&group.cause, SHOWN_CAUSE))) }
            }
            div.buttons {
                a href=(link("/poison", &[("group", &key)])) { "Show " (count) } span.quiet { "newest " (time(group.newest_ms)) }
                @if board.rights.messages {
                    (form("redrive", "group", &key, "", "Redrive…"))
                    (form("purge", "group", &key, "danger", "Purge…"))
                }
            }
        }
    }
}

fn form(verb: &str, name: &str, value: &str, class: &str, words: &str) -> Markup {
    html! {
        form.inline method="post" action={ "/poison/" (verb) } {
            input type="hidden" name=(name) value=(value);
            button.(class) type="submit" { (words) }
        }
    }
}

/// The messages of one group, or all groups.
pub(crate) fn poison_list(board: &Board, look: &PoisonSeen, group: Option<&str>) -> Markup {
    let groups = look.groups();
    let found = group.and_then(|key| groups.iter().find(|it| group_key(it) == key));
    let content = html! {
        nav.crumbs aria-label="Where this is" { a href="/" { "Now" } @if group.is_some() { " / " a href="/poison" { "Poison" } } }
        @match (group, found) {
            (None, _) => {
                h1 { "Poison messages by cause" }
                section.card { ul.groups { @for group in &groups { (row(board, group)) } } (about(look, 0)) }
            }
            (Some(_), None) => { h1 { "Poison messages" } p.quiet { "None of this group lies in the poison queue any more." } }
            (Some(_), Some(group)) => {
                h1 { (AsText(&group.reason)) }
                p.note { (AsText(&group.cause)) }
                section.card {
                    div.scroll tabindex="0" role="region" aria-label="Table of poison messages" { table {
                        thead { tr { th scope="col" { "message" } th scope="col" { "poisoned" } th.num scope="col" { "received" } th scope="col" { "detail" } } }
                        tbody { @for it in look.messages.iter().filter(|it| group.ids.contains(&it.id)) { tr {
                            th scope="row" { a.id href=(link("/message", &[("id", &it.own_id)])) { (AsText(&cut(&it.own_id, 64))) } }
                            td { (time(it.poisoned_ms)) }
                            td.num { (it.dequeue_count) }
                            td.cause { (AsText(&cut(&it.detail, SHOWN_CAUSE))) }
                        } } }
                    } }
                }
            }
        }
    };
    frame(board, "Poison messages", None, &content)
}
