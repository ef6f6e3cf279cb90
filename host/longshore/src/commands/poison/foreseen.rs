//! What a dry run says: which messages would be taken, and which would stay.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::super::print;
use super::looked::to_the_second;
use crate::exit::Failure;
use longshore_queue::Horizon;
use longshore_worker::poison::Envelope;

/// The messages that were chosen, by what would become of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Foreseen<'a> {
    /// What was put in later is not among them, where the queue knows when that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    inserted_until: Option<Timestamp>,
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

impl<'a> Foreseen<'a> {
    /// Nothing yet, of what is within this horizon.
    pub(super) fn until(horizon: &Horizon) -> Self {
        let inserted_until = match horizon {
            Horizon::Until(moment) => Some(*moment),
            Horizon::Keys(_) => None,
        };
        Self { inserted_until, ..Self::default() }
    }

    /// A message would stay for this reason, or be taken without one.
    pub(super) fn add(&mut self, envelope: Envelope<'a>, why: Option<&'static str>) {
        let place = if why.is_some() { &mut self.would_stay } else { &mut self.would_take };
        place.push(ForeseenMessage::of(envelope, why));
    }

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
