//! Messages: by state, one with its attempts, and one that is sent.

use maud::{Markup, html};

use super::answers::around;
use super::frame::frame;
use super::log::log;
use super::marks::{card, outcome_mark};
use crate::attempt::MessageAttempt;
use crate::history::PastMessage;
use crate::page::board::Board;
use crate::page::poison::PoisonMessage;
use crate::page::snapshot::Snapshot;
use crate::page::text::{AsText, coded, counted, cut, date_and_time, lasted, link, number, time};

/// How much of an id a table shows, in characters.
const SHOWN_ID: usize = 64;

/// Messages by what became of them, and the newest.
pub(super) fn messages(board: &Board, snapshot: &Snapshot) -> Markup {
    if !board.names.tells_of_messages() {
        return html! {};
    }
    let content = html! {
        @if snapshot.messages.is_empty() {
            p.quiet { "No execution has had one yet." }
        } @else {
            ul.states {
                @for (outcome, count) in &snapshot.outcomes {
                    li { a href=(link("/messages", &[("outcome", outcome)])) { (outcome_mark(outcome)) " " b { (number(*count)) } } }
                }
            }
            (table(&snapshot.messages))
        }
    };
    card("messages", "Messages", &html! { a href="/messages" { "all" } }, &content)
}

/// All that are remembered, a page at a time.
pub(crate) fn message_list(
    board: &Board,
    outcome: Option<&str>,
    found: &[PastMessage],
    older: Option<u32>,
) -> Markup {
    let content = html! {
        nav.crumbs aria-label="Where this is" { a href="/" { "Now" } }
        h1 { "Messages" @if let Some(outcome) = outcome { ": " (AsText(outcome)) } }
        section.card {
            @if found.is_empty() { p.quiet { "None." } } @else { (table(found)) }
            @if let Some(from) = older {
                @let from = from.to_string();
                @let query = [("from", &*from), ("outcome", outcome.unwrap_or_default())];
                p { a href=(link("/messages", &query)) { "Older ones" } }
            }
        }
    };
    frame(board, "Messages", None, &content)
}

fn table(messages: &[PastMessage]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of messages" {
            table {
                thead { tr {
                    th scope="col" { "message" } th scope="col" { "became" }
                    th.num scope="col" { "attempts" } th scope="col" { "last" }
                } }
                tbody {
                    @for it in messages {
                        tr {
                            th scope="row" title=(it.id) { a.id href=(link("/message", &[("id", &it.id)])) { (AsText(&cut(&it.id, SHOWN_ID))) } }
                            td { (outcome_mark(&it.outcome)) }
                            td.num { (it.attempts) }
                            td { (time(it.last_ms)) }
                        }
                    }
                }
            }
        }
    }
}

/// What is known of one message.
pub(crate) struct MessageSeen<'a> {
    pub(crate) id: &'a str,
    pub(crate) attempts: &'a [MessageAttempt],
    /// As it lies in the poison queue.
    pub(crate) poison: Option<&'a PoisonMessage>,
    /// The logs of the executions that had it.
    pub(crate) logs: &'a [(String, String)],
}

/// One message with its attempts, its logs, and what can be done with it.
pub(crate) fn message(board: &Board, seen: &MessageSeen<'_>) -> Markup {
    let content = html! {
        nav.crumbs aria-label="Where this is" { a href="/" { "Now" } " / " a href="/messages" { "Messages" } }
        h1.id { (AsText(seen.id)) }
        @if let Some(poison) = seen.poison { (lies_in_poison(board, poison)) }
        (card("attempts", "Attempts", &html! {}, &attempts(seen.attempts)))
        (body_card(board, seen))
        @for (execution, text) in seen.logs {
            section.card {
                div.card-head { h2 { "Log of " a href=(link("/execution", &[("name", execution)])) { (AsText(execution)) } } }
                (log(text, Some(seen.id)))
            }
        }
    };
    frame(board, seen.id, None, &content)
}

fn lies_in_poison(board: &Board, poison: &PoisonMessage) -> Markup {
    let buttons = html! {
        @if board.rights.messages {
            form.inline method="post" action="/poison/redrive" { input type="hidden" name="id" value=(coded(&poison.id)); button type="submit" { "Redrive…" } }
        }
        @if board.rights.replay {
            form.inline method="post" action="/poison/replay" { input type="hidden" name="id" value=(coded(&poison.id)); button type="submit" { "Replay" } }
        }
        @if board.rights.messages {
            form.inline method="post" action="/poison/purge" { input type="hidden" name="id" value=(coded(&poison.id)); button.danger type="submit" { "Purge…" } }
        }
    };
    let content = html! {
        p.note { b { (AsText(&poison.reason)) } @if !poison.detail.is_empty() { ": " (AsText(&poison.detail)) } }
        dl.facts {
            div { dt { "poisoned" } dd { (date_and_time(poison.poisoned_ms)) } }
            div { dt { "received" } dd { (counted(poison.dequeue_count.into(), "time")) } }
            @if let Some(component) = &poison.component { div { dt { "component" } dd.id { (AsText(component)) } } }
        }
        div.buttons { (buttons) }
    };
    card("in-poison", "It lies in the poison queue", &html! {}, &content)
}

fn attempts(attempts: &[MessageAttempt]) -> Markup {
    html! {
        @if attempts.is_empty() {
            p.quiet { "No attempt was seen here." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Table of attempts" {
                table {
                    thead { tr {
                        th.num scope="col" { "receive" } th scope="col" { "became" } th scope="col" { "ended" }
                        th.num scope="col" { "took" } th scope="col" { "why" } th scope="col" { "execution" } th scope="col" { "trace" }
                    } }
                    tbody {
                        @for it in attempts {
                            tr {
                                td.num { (it.dequeue_count) }
                                td { (outcome_mark(&it.outcome)) }
                                td { (time(it.at_ms)) }
                                td.num { (lasted(i64::try_from(it.took_ms).unwrap_or(i64::MAX))) }
                                td.cause { (AsText(&it.reason)) @if !it.detail.is_empty() { ": " (AsText(&it.detail)) } }
                                td { a href=(link("/execution", &[("name", &it.execution)])) { (AsText(&it.execution)) } }
                                td.id { @if let Some(trace) = &it.trace { (AsText(trace)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn body_card(board: &Board, seen: &MessageSeen<'_>) -> Markup {
    let content = html! {
        @if !board.rights.bodies {
            p.quiet { "Bodies are not shown: " code { "--no-bodies" } " says so." }
        } @else {
            form method="post" action="/message/body" data-into="body-shown" {
                input type="hidden" name="id" value=(coded(seen.id));
                button type="submit" { "Show the body" }
            }
            div #body-shown aria-live="polite" {}
        }
    };
    card("body", "Body", &html! {}, &content)
}

/// A body, or why there is none.
pub(crate) struct ShownBody {
    pub(crate) text: String,
    pub(crate) is_base64: bool,
    /// Whether it was cut.
    pub(crate) is_cut: bool,
}

/// What a click on a body shows: beside the button, or on a page of its own.
pub(crate) fn body(board: &Board, found: Option<&ShownBody>, is_page: bool) -> Markup {
    let shown = html! {
        @match found {
            None => p.quiet { "It is in neither queue, or not among the first messages of one: it was completed, or is leased." },
            Some(body) => {
                @if body.is_base64 { p.quiet { "It is no text, and shown as base64." } }
                pre.body tabindex="0" { (AsText(&body.text)) }
                @if body.is_cut { p.quiet { "It goes on: 64 KiB are shown." } }
            }
        }
    };
    if is_page { around(board, "Body", &html! { h2 { "Body" } (shown) }, true) } else { shown }
}

/// Sends a message.
pub(super) fn send(board: &Board) -> Markup {
    if !board.rights.messages {
        return html! {};
    }
    let first = board.samples.first().map_or("", |it| &*it.body);
    let content = html! {
        form #send-form method="post" action="/send" {
            @if board.samples.len() > 1 {
                // They need the script, which shows them.
                div #samples .samples role="group" aria-label="Samples" hidden {
                    @for sample in &board.samples {
                        button.quiet-button type="button" data-sample=(sample.body) { (AsText(&sample.name)) }
                    }
                }
            }
            label for="send-body" { "Body" }
            textarea #send-body name="body" rows="5" spellcheck="false" autocomplete="off" { (AsText(first)) }
            div.buttons {
                label for="send-count" { "how often" }
                input #send-count name="count" type="number" min="1" max="1000" value="1";
                button.primary type="submit" { "Send" }
            }
        }
    };
    card("send", "Send a message", &html! {}, &content)
}
