//! What is around every page.

use maud::{DOCTYPE, Markup, html};

use crate::page::board::Board;
use crate::page::text::AsText;

/// A page with its head, its navigation and its end. `live` is the address of its events.
pub(crate) fn frame(board: &Board, title: &str, live: Option<&str>, content: &Markup) -> Markup {
    let names = &board.names;
    let job = names.job.as_deref().unwrap_or(&names.queue);
    html! {
        (head(&format!("{title} · {job}")))
        body data-live=[live] {
            a.skip href="#content" { "Skip to the content" }
            header.top {
                a.brand href="/" {
                    span.brand-mark aria-hidden="true" { "⚓" }
                    span { "longshore " (names.verb) }
                }
                span.top-job { (AsText(job)) }
                span.top-queue title="the queue" { (AsText(&names.queue)) }
                @if live.is_some() {
                    div.live-group {
                        span #live-state.live role="status" { "live" }
                        button #pause type="button" aria-pressed="false" hidden { "Pause" }
                    }
                }
            }
            main #content tabindex="-1" {
                @if live.is_some() { (gone(names.verb)) }
                noscript { p.note { "Without JavaScript this page shows one moment: load it again for the next one." } }
                (content)
            }
            footer {
                p { "Times are UTC. This page is served to this machine only, by "
                    code { "longshore " (names.verb) } "." }
            }
            dialog #answer aria-live="polite" aria-label="Answer" {}
        }
    }
}

/// What the script shows once nobody answers, or another run does.
fn gone(verb: &str) -> Markup {
    html! {
        div #gone hidden role="alert" {
            p.note #gone-ended hidden {
                code { "longshore " (verb) } " does not answer: it has ended, or cannot be reached. What stands here is as it was at "
                span #gone-at {} " UTC. Start it again, and open the link that it prints."
            }
            p.note #gone-restarted hidden {
                "This tab is of an earlier run, and shows how it ended. Open the link that " code { "longshore " (verb) }
                " has printed since" @if verb == "dev" { "; on its terminal, the key " kbd { "o" } " opens a new one" } "."
            }
        }
    }
}

/// What it is told first.
pub(crate) const OPEN_THE_LINK: &str = "Open the link that the terminal shows: it lets one browser in, once.";

/// The page for a browser that is not let in yet, with words for it.
pub(crate) fn sign_in(words: &str) -> Markup {
    html! {
        (head("longshore"))
        body.sign-in {
            main #content {
                h1 { span.brand-mark aria-hidden="true" { "⚓" } " longshore" }
                p #sign-in-words role="status" { (words) }
                p.quiet { "On the terminal of " code { "longshore dev" } ", the key " kbd { "o" } " opens a new one." }
                noscript {
                    p { "Without JavaScript the page does not see the link\u{2019}s end. Paste the link here:" }
                    form method="post" action="/session" {
                        label for="sign-in-link" { "Link" }
                        input #sign-in-link name="t" type="text" autocomplete="off" spellcheck="false" required;
                        button.primary type="submit" { "Open" }
                    }
                }
            }
            script src="/assets/sign-in.js" defer {}
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en";
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (AsText(title)) }
            link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/assets/page.css";
            script src="/assets/page.js" defer {}
        }
    }
}
