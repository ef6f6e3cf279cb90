//! What a dry run says: which messages would be taken, and which would stay.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::super::print;
use super::choice::Choice;
use super::looked::{PoisonLook, to_the_second};
use super::tally::{Tally, Treatment};
use crate::exit::Failure;
use longshore_queue::Specimen;
use longshore_worker::poison::Envelope;

/// The messages that were chosen, by what would become of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Foreseen<'a> {
    would_take: Vec<ForeseenMessage<'a>>,
    would_stay: Vec<ForeseenMessage<'a>>,
}

/// A message that was chosen, without its body.
#[derive(Debug, Serialize)]
struct ForeseenMessage<'a> {
    id: Cow<'a, str>,
    reason: Cow<'a, str>,
    detail: Cow<'a, str>,
    dequeue_count: u32,
    inserted: Timestamp,
    poisoned: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Cow<'a, str>>,
    /// Why it would stay, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

impl<'a> ForeseenMessage<'a> {
    fn of(envelope: Envelope<'a>, why: Option<&'static str>) -> Self {
        let Envelope { id, reason, detail, dequeue_count, inserted, poisoned, component, .. } = envelope;
        Self { id, reason, detail, dequeue_count, inserted, poisoned, component, why }
    }
}

/// What would be done, where `obstacle` says what would not.
pub(super) fn foresee<'m>(
    choice: &Choice<'_>,
    shown: &'m PoisonLook,
    obstacle: impl Fn(&Specimen, &Envelope<'_>) -> Option<&'static str>,
) -> (Tally, Foreseen<'m>) {
    let mut tally = Tally { of_about: shown.of_about, ..Tally::default() };
    let mut foreseen = Foreseen::default();
    for it in &shown.messages {
        if choice.which.limit.is_some_and(|limit| tally.done >= limit) {
            break;
        }
        let envelope = choice.read(&it.message);
        if !choice.matches(&it.message, &envelope) {
            tally.count(Treatment::NotChosen);
            continue;
        }
        let why = obstacle(it, &envelope);
        tally.count(why.map_or(Treatment::Done, Treatment::Skipped));
        let place = if why.is_some() { &mut foreseen.would_stay } else { &mut foreseen.would_take };
        place.push(ForeseenMessage::of(envelope, why));
    }
    (tally, foreseen)
}

impl Foreseen<'_> {
    /// Prints a table of them, if there are any.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let all = self.would_take.iter().chain(&self.would_stay);
        let rows: Vec<_> = all.map(|it| it.row(self.would_stay.is_empty())).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let header = ["id", "reason", "detail", "received", "poisoned", "stays"];
        let columns = if self.would_stay.is_empty() { header.len() - 1 } else { header.len() };
        print::table(&header[..columns], rows)?;
        print::text("");
        Ok(())
    }
}

impl ForeseenMessage<'_> {
    fn row(&self, all_go: bool) -> Vec<String> {
        let mut row = vec![
            self.id.to_string(),
            self.reason.to_string(),
            self.detail.to_string(),
            self.dequeue_count.to_string(),
            to_the_second(self.poisoned),
        ];
        if !all_go {
            row.push(self.why.unwrap_or_default().to_owned());
        }
        row
    }
}
