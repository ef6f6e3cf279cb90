//! A message body on one line, for tables.

use longshore_worker::poison::{Body, BodyEncoding};

/// The first `length` characters of a body, on one line.
pub(super) fn preview(body: &Body<'_>, length: usize) -> String {
    let text = body.body.chars().map(|c| if c.is_control() { '·' } else { c });
    let short: String = text.take(length).collect();
    let more = if body.body.chars().nth(length).is_some() { "…" } else { "" };
    match body.encoding {
        BodyEncoding::Text => format!("{short}{more}"),
        BodyEncoding::Base64 => format!("base64:{short}{more}"),
    }
}
