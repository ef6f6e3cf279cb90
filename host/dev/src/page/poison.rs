//! The poison messages, grouped by what went wrong.

use std::collections::BTreeMap;

use longshore_queue::{Message, QueueUrl, Specimen};
use longshore_worker::poison::{Body, Envelope};

use crate::cause::without_numbers;

/// How many poison messages are looked at. Each may have 64 KiB.
pub(crate) const MAX_LOOKED_AT: u32 = 500;
/// How much is kept of a detail, in characters.
const MAX_DETAIL: usize = 1_000;
/// How many groups are shown.
const MAX_GROUPS: usize = 40;

/// What is kept of a poison message: not its body.
#[derive(Clone, Debug)]
pub(crate) struct PoisonMessage {
    /// Its id in the poison queue.
    pub(crate) id: String,
    /// The id that it had in its queue.
    pub(crate) own_id: String,
    pub(crate) reason: String,
    pub(crate) detail: String,
    /// The detail, without what differs between messages.
    pub(crate) cause: String,
    pub(crate) dequeue_count: u32,
    pub(crate) poisoned_ms: i64,
    pub(crate) component: Option<String>,
}

/// Messages with one reason and one cause.
#[derive(Clone, Debug)]
pub(crate) struct PoisonGroup {
    pub(crate) reason: String,
    pub(crate) cause: String,
    pub(crate) newest_ms: i64,
    pub(crate) ids: Vec<String>,
}

/// What was seen of the poison queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct PoisonSeen {
    pub(crate) messages: Vec<PoisonMessage>,
    /// The queue's own count, where it holds more than was seen.
    pub(crate) of_about: Option<u64>,
    /// Why nothing could be seen.
    pub(crate) problem: Option<String>,
}

impl PoisonSeen {
    /// The groups, the largest first.
    pub(crate) fn groups(&self) -> Vec<PoisonGroup> {
        let mut groups: BTreeMap<(&str, &str), PoisonGroup> = BTreeMap::new();
        for it in &self.messages {
            let group = groups.entry((&it.reason, &it.cause)).or_insert_with(|| PoisonGroup {
                reason: it.reason.clone(),
                cause: it.cause.clone(),
                newest_ms: 0,
                ids: Vec::new(),
            });
            group.newest_ms = group.newest_ms.max(it.poisoned_ms);
            group.ids.push(it.id.clone());
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|it| std::cmp::Reverse((it.ids.len(), it.newest_ms)));
        groups.truncate(MAX_GROUPS);
        groups
    }

    /// The message of this id, be it the one in the poison queue or the one that it had.
    pub(crate) fn message(&self, id: &str) -> Option<&PoisonMessage> {
        self.messages
            .iter()
            .find(|it| it.id == id)
            .or_else(|| self.messages.iter().find(|it| it.own_id == id))
    }
}

/// A poison message as its queue tells of it. What stands in a dead-letter sub-queue is believed
/// only where its sender could not have written it: an envelope there is a body.
pub(crate) fn envelope<'m>(poison: &QueueUrl, message: &'m Message) -> Envelope<'m> {
    let parsed = if poison.is_dead_letter_queue() { None } else { Envelope::parse(&message.body) };
    parsed.unwrap_or_else(|| Envelope::unwrapped(message))
}

impl PoisonMessage {
    pub(crate) fn of(poison: &QueueUrl, specimen: &Specimen) -> Self {
        let message = &specimen.message;
        let envelope = envelope(poison, message);
        let detail: String = envelope.detail.chars().take(MAX_DETAIL).collect();
        Self {
            id: message.id.clone(),
            own_id: envelope.id.to_string(),
            reason: envelope.reason.chars().take(100).collect(),
            cause: without_numbers(&detail),
            detail,
            dequeue_count: envelope.dequeue_count,
            poisoned_ms: envelope.poisoned.as_millisecond(),
            component: envelope.component.map(|it| it.chars().take(100).collect()),
        }
    }
}

/// The body of a message as text, and whether it is base64 since it was no text.
pub(crate) fn body_text(body: &Body<'_>) -> (String, bool) {
    match body.bytes().as_deref().map(std::str::from_utf8) {
        Some(Ok(text)) => (text.to_owned(), false),
        _ => (body.body.to_string(), true),
    }
}
