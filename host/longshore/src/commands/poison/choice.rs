//! Which poison messages are chosen, and what is believed of them.

use std::collections::BTreeMap;

use super::super::ids;
use crate::cli::{PoisonOf, Selection, without_secrets};
use crate::exit::Failure;
use longshore_queue::kind::PoisonPlace;
use longshore_queue::{Message, QueueUrl, REASON_PROPERTY, Specimen};
use longshore_worker::poison::{Envelope, PoisonReason};

/// The reason of a message that has no envelope and no property that says one.
const UNKNOWN: &str = "unknown";
/// The reasons that this host gives.
const OUR_REASONS: [PoisonReason; 4] = [
    PoisonReason::Rejected,
    PoisonReason::AttemptsExhausted,
    PoisonReason::Undecodable,
    PoisonReason::Expiring,
];

/// Whose poison messages are looked at, and which of them are chosen.
pub(super) struct Choice<'a> {
    pub(super) which: &'a Selection,
    pub(super) queue: &'a QueueUrl,
    pub(super) poison: QueueUrl,
    /// The poison queue is the queue's own, by its name.
    is_own: bool,
    /// The ids of those that were named, each as it is.
    named: Vec<String>,
}

impl<'a> Choice<'a> {
    pub(super) fn new(of: &'a PoisonOf, which: &'a Selection) -> Result<Self, Failure> {
        let poison = of.url().map_err(Failure::usage)?;
        Ok(Self { which, queue: &of.queue.queue, poison, is_own: of.is_default(), named: Vec::new() })
    }

    /// A poison message as an envelope, also where it came without one.
    ///
    /// What its sender can have written is not believed: a service that moves messages itself
    /// leaves their bodies as they were, and marks what it moved.
    pub(super) fn read<'m>(&self, message: &'m Message) -> Envelope<'m> {
        let moves = matches!(self.poison.kind().poison, PoisonPlace::Within(_));
        let was_moved = || message.properties.iter().any(|(name, _)| name == REASON_PROPERTY);
        if moves && (self.poison.is_dead_letter_queue() || was_moved()) {
            return Envelope::unwrapped(message);
        }
        Envelope::parse(&message.body).unwrap_or_else(|| Envelope::unwrapped(message))
    }

    /// Whether a message is one of those that were chosen.
    pub(super) fn matches(&self, message: &Message, envelope: &Envelope<'_>) -> bool {
        let is_named = |id: &String| *id == message.id || *id == envelope.id;
        self.which.reason.as_ref().is_none_or(|reason| envelope.reason == reason.as_str())
            && (self.which.ids.is_empty() || self.named.iter().any(is_named))
    }

    /// The id that a text names among these messages.
    pub(super) fn named(&self, text: &str, messages: &[Specimen]) -> Result<Option<String>, Failure> {
        let envelopes: Vec<_> = messages.iter().map(|it| (self.read(&it.message), &*it.message.id)).collect();
        ids::resolve(text, envelopes.iter().map(|(envelope, other)| (&*envelope.id, *other)))
    }

    /// Finds out which messages are meant, from those that the queue shows. Where it may hold more
    /// than it shows, an id that is not among them is taken for a whole one: it may be that of a
    /// message that is leased, and the beginning of another's.
    ///
    /// # Errors
    /// When an id is none, or that of several; and for a reason that nobody gives.
    pub(super) fn resolve(&mut self, messages: &[Specimen], there_are_more: bool) -> Result<(), Failure> {
        self.check_reason(messages)?;
        for text in &self.which.ids {
            let named = match self.named(text, messages)? {
                Some(id) if id == *text || !there_are_more => id,
                _ if there_are_more => text.clone(),
                _ => {
                    return Err(Failure::other(format!(
                        "no message {} among the {} of {}; `longshore poison list --all` shows them",
                        without_secrets(text),
                        messages.len(),
                        self.poison
                    )));
                }
            };
            self.named.push(named);
        }
        Ok(())
    }

    /// Why a message is not to be sent to the queue, as one word: it is another queue's, or may be.
    pub(super) fn stranger(&self, envelope: &Envelope<'_>) -> Option<&'static str> {
        if self.poison.is_dead_letter_queue() {
            let own = self.queue.poison().is_ok_and(|own| own.is_same_queue(&self.poison));
            return (!own).then_some("other-queue");
        }
        if envelope.queue.is_empty() {
            return (!self.is_own).then_some("unknown-queue");
        }
        let Ok(origin) = envelope.queue.parse::<QueueUrl>() else { return Some("unknown-queue") };
        // A directory or an account may have moved with all that is in it.
        let same = origin.is_same_queue(self.queue)
            || self.is_own && origin.name().eq_ignore_ascii_case(self.queue.name())
            || self.lies_below(&envelope.queue);
        (!same).then_some("other-queue")
    }

    /// Whether a relative path, as a worker in another working directory wrote it, can be that of
    /// our queue.
    fn lies_below(&self, origin: &str) -> bool {
        let path = |url: &str| url.strip_prefix("file:").map(|path| path.trim_start_matches("./").to_owned());
        match (path(origin), path(&self.queue.to_string())) {
            (Some(origin), Some(queue)) if !origin.starts_with(['/', '.']) => {
                queue.strip_suffix(&origin).is_some_and(|rest| rest.ends_with('/'))
            }
            _ => false,
        }
    }

    /// Refuses a reason that nobody gives and that no message has.
    fn check_reason(&self, messages: &[Specimen]) -> Result<(), Failure> {
        let Some(wanted) = &self.which.reason else { return Ok(()) };
        let mut there = BTreeMap::<String, u64>::new();
        for Specimen { message, .. } in messages {
            *there.entry(self.read(message).reason.into_owned()).or_default() += 1;
        }
        let ours = OUR_REASONS.map(PoisonReason::as_str);
        if there.contains_key(wanted) || ours.contains(&wanted.as_str()) || wanted == UNKNOWN {
            return Ok(());
        }
        let there: Vec<_> = there.iter().map(|(reason, count)| format!("`{reason}` ({count})")).collect();
        let there = if there.is_empty() { "none at all".to_owned() } else { there.join(", ") };
        Err(Failure::usage(format!(
            "no message of {} was poisoned for `{}`; there are {there}; longshore itself gives `{}`",
            self.poison,
            crate::shown::shown(wanted),
            ours.join("`, `")
        )))
    }
}
