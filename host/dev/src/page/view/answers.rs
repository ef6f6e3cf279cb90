//! Answers to buttons: in a dialog of the page that was there, or on a page of their own.

use maud::{Markup, html};

use super::frame::frame;
use crate::page::board::Board;
use crate::page::text::AsText;

/// Something that is asked before it is done.
pub(crate) struct Question<'a> {
    pub(crate) title: &'a str,
    pub(crate) words: &'a [String],
    pub(crate) action: &'a str,
    /// What is sent with a yes.
    pub(crate) fields: &'a [(&'a str, &'a str)],
    pub(crate) yes: &'a str,
    pub(crate) is_danger: bool,
}

/// The question, with a yes and a no. Of what cannot be undone, the no has the focus: Enter is
/// pressed quickly.
pub(crate) fn question(board: &Board, asked: &Question<'_>, is_page: bool) -> Markup {
    let content = html! {
        h2 { (asked.title) }
        @for words in asked.words { p { (AsText(words)) } }
        div.buttons {
            form.inline method="post" action=(asked.action) {
                @for (name, value) in asked.fields { input type="hidden" name=(name) value=(value); }
                button.(if asked.is_danger { "danger" } else { "primary" }) type="submit" autofocus[!asked.is_danger] { (asked.yes) }
            }
            a.button href="/" data-close autofocus[asked.is_danger] { "Leave it" }
        }
    };
    around(board, asked.title, &content, is_page)
}

/// What was done.
pub(crate) fn answer(board: &Board, title: &str, words: &[String], is_page: bool) -> Markup {
    let content = html! {
        h2 { (title) }
        @for words in words { p.answer-words { (AsText(words)) } }
        div.buttons { a.button href="/" data-close autofocus { "Close" } }
    };
    around(board, title, &content, is_page)
}

/// Why it was not done.
pub(crate) fn problem(board: &Board, words: &str, is_page: bool) -> Markup {
    let content = html! {
        h2 { "That did not work" }
        p.note role="alert" { (AsText(words)) }
        div.buttons { a.button href="/" data-close autofocus { "Close" } }
    };
    around(board, "That did not work", &content, is_page)
}

/// In the dialog that is there, or on a page of its own.
pub(super) fn around(board: &Board, title: &str, content: &Markup, is_page: bool) -> Markup {
    if is_page {
        return frame(board, title, None, &html! { section.card { (content) } });
    }
    html! { div.answer { (content) } }
}
