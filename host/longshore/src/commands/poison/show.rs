//! One poison message with all that is known of it.

use jiff::Timestamp;

use super::super::preview::preview;
use super::super::print;
use super::choice::Choice;
use super::looked::{Listed, find, is_wrapped, look, to_the_second};
use crate::cli::{Format, PoisonOf, Selection};
use crate::exit::Failure;

pub(super) async fn show(of: &PoisonOf, id: &str, format: Format) -> Result<(), Failure> {
    let which = Selection::default();
    let choice = Choice::new(of, &which)?;
    let shown = look(&choice).await?;
    let messages = shown.as_ref().map_or(&[][..], |shown| &shown.messages);
    let listed = find(&choice, id, messages)?;
    print::fields(&fields(&listed), &listed, format)
}

fn fields(listed: &Listed<'_>) -> Vec<(&'static str, String)> {
    let envelope = &listed.envelope;
    let mut fields = vec![("id", envelope.id.to_string())];
    fields.extend(listed.session().map(|session| ("session", session)));
    // Only an envelope says where and when it was poisoned, and what failed on it.
    let wrapped = is_wrapped(envelope);
    fields.extend(wrapped.then(|| ("queue", envelope.queue.to_string())));
    fields.extend([
        ("reason", envelope.reason.to_string()),
        ("detail", listed.detail()),
        ("received", envelope.dequeue_count.to_string()),
        ("inserted", to_the_second(envelope.inserted)),
    ]);
    fields.extend(wrapped.then(|| ("poisoned", to_the_second(envelope.poisoned))));
    let component = || envelope.component.as_deref().unwrap_or("none was loaded").to_owned();
    fields.extend(wrapped.then(|| ("component", component())));
    let circumstances = &envelope.circumstances;
    fields.extend(circumstances.execution.as_deref().map(|name| ("execution", name.to_owned())));
    fields.extend(circumstances.attempt.map(|it| ("attempt", from_to(it.started, it.ended))));
    fields.push(("body", preview(&envelope.body, usize::MAX)));
    // One line each, the name before the first.
    let names = std::iter::once("log").chain(std::iter::repeat(""));
    fields.extend(names.zip(circumstances.log.iter().cloned()));
    fields
}

/// When an attempt began, and for how long it lasted.
fn from_to(started: Timestamp, ended: Timestamp) -> String {
    format!("{}, for {} ms", to_the_second(started), ended.duration_since(started).as_millis())
}
