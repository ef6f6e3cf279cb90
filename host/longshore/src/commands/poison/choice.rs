//! Which poison messages are chosen, and what is believed of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

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

/// What a digest begins with, and how many characters follow.
const SHA256: &str = "sha256:";
const DIGEST_CHARACTERS: usize = 64;

/// Whose poison messages are looked at, and which of them are chosen.
pub(super) struct Choice<'a> {
    pub(super) which: &'a Selection,
    pub(super) queue: &'a QueueUrl,
    pub(super) poison: QueueUrl,
    /// Where a redrive sends them, if that is not their queue.
    pub(super) to: Option<&'a QueueUrl>,
    /// The poison queue is the queue's own, by its name.
    is_own: bool,
    /// The ids of those that were named, each as it is.
    named: Vec<String>,
    /// The digest of the component that was named.
    component: Option<String>,
    /// Only what was poisoned before this moment.
    before: Option<Timestamp>,
    /// Only what was poisoned after this moment.
    after: Option<Timestamp>,
}

impl<'a> Choice<'a> {
    pub(super) fn new(of: &'a PoisonOf, which: &'a Selection) -> Result<Self, Failure> {
        let poison = of.url().map_err(Failure::usage)?;
        if let (Some(older), Some(newer)) = (which.older_than, which.newer_than)
            && older >= newer
        {
            return Err(Failure::usage(format!(
                "no message is both older than {} and newer than {}; give --newer-than the longer time",
                humantime::format_duration(older),
                humantime::format_duration(newer)
            )));
        }
        // One moment for the whole of a long run.
        let now = Timestamp::now();
        Ok(Self {
            which,
            queue: &of.queue.queue,
            poison,
            to: None,
            is_own: of.is_default(),
            named: Vec::new(),
            component: None,
            before: which.older_than.map(|age| ago(now, age)),
            after: which.newer_than.map(|age| ago(now, age)),
        })
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

    /// Whether a message is one of those that were chosen. The envelope is what
    /// [`Choice::read`] believes, and `unreadable` is why the body cannot be read.
    pub(super) fn matches(
        &self,
        message: &Message,
        unreadable: Option<&str>,
        envelope: &Envelope<'_>,
    ) -> bool {
        let is_named = |id: &String| *id == message.id || *id == envelope.id;
        let which = self.which;
        let is_of = |digest: &String| envelope.component.as_deref() == Some(digest.as_str());
        which.reason.as_ref().is_none_or(|reason| envelope.reason == reason.as_str())
            && (which.ids.is_empty() || self.named.iter().any(is_named))
            && which.detail.as_ref().is_none_or(|pattern| pattern.is_match(&shown_detail(envelope, unreadable)))
            // A digest that was not found out yet chooses nothing.
            && (which.component.is_none() || self.component.as_ref().is_some_and(is_of))
            && self.before.is_none_or(|moment| envelope.poisoned < moment)
            && self.after.is_none_or(|moment| envelope.poisoned >= moment)
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
    /// When an id or a digest is none, or that of several; and for a reason that nobody gives.
    pub(super) fn resolve(&mut self, messages: &[Specimen], there_are_more: bool) -> Result<(), Failure> {
        self.check_reason(messages)?;
        self.component = self.digest(messages, there_are_more)?;
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

    /// How many messages have each value of something, where they have one.
    fn counted<'m>(
        &self,
        messages: &'m [Specimen],
        value: impl Fn(Envelope<'m>) -> Option<String>,
    ) -> BTreeMap<String, u64> {
        let mut there = BTreeMap::new();
        for value in messages.iter().filter_map(|it| value(self.read(&it.message))) {
            *there.entry(value).or_default() += 1;
        }
        there
    }

    /// The digest of the component that was named. Where the queue may hold more than it shows,
    /// only a whole digest is taken for one that is not there.
    fn digest(&self, messages: &[Specimen], there_are_more: bool) -> Result<Option<String>, Failure> {
        let Some(wanted) = &self.which.component else { return Ok(None) };
        let hexadecimal = wanted.strip_prefix(SHA256).unwrap_or(wanted).to_ascii_lowercase();
        if hexadecimal.is_empty() || !hexadecimal.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(Failure::usage(format!(
                "`{}` is no digest; write `sha256:` and the beginning of it, as `poison show` prints it",
                crate::shown::shown(&without_secrets(wanted))
            )));
        }
        let digest = format!("{SHA256}{hexadecimal}");
        let there = self.counted(messages, |it| it.component.map(|digest| digest.into_owned()));
        let mut found = there.keys().filter(|it| it.starts_with(&digest));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(Some(one.clone())),
            (None, _) if there_are_more && hexadecimal.len() == DIGEST_CHARACTERS => Ok(Some(digest)),
            (None, _) if there.is_empty() => Err(Failure::usage(format!(
                "none of the {} messages that {} shows says which component it failed on; choose by --reason, --detail or an age",
                messages.len(),
                self.poison
            ))),
            (None, _) => Err(Failure::usage(format!(
                "no message that {} shows was poisoned with the component `{digest}`; there are {}",
                self.poison,
                listed(&there)
            ))),
            (Some(_), Some(_)) => Err(Failure::usage(format!(
                "several components begin with `{digest}`; write more of one: there are {}",
                listed(&there)
            ))),
        }
    }

    /// Refuses a reason that nobody gives and that no message has.
    fn check_reason(&self, messages: &[Specimen]) -> Result<(), Failure> {
        let Some(wanted) = &self.which.reason else { return Ok(()) };
        let there = self.counted(messages, |it| Some(it.reason.into_owned()));
        let ours = OUR_REASONS.map(PoisonReason::as_str);
        if there.contains_key(wanted) || ours.contains(&wanted.as_str()) || wanted == UNKNOWN {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "no message of {} was poisoned for `{}`; there are {}; longshore itself gives `{}`",
            self.poison,
            crate::shown::shown(wanted),
            listed(&there),
            ours.join("`, `")
        )))
    }
}

/// The detail as lists show it: the cause, and why the body cannot be read.
pub(super) fn shown_detail<'a>(envelope: &'a Envelope<'_>, unreadable: Option<&str>) -> Cow<'a, str> {
    match unreadable {
        None => Cow::Borrowed(&*envelope.detail),
        Some(why) if envelope.detail.is_empty() => Cow::Owned(format!("cannot be read: {why}")),
        Some(why) => Cow::Owned(format!("{}; cannot be read: {why}", envelope.detail)),
    }
}

/// What there is, each with how many messages have it.
fn listed(there: &BTreeMap<String, u64>) -> String {
    if there.is_empty() {
        return "none at all".into();
    }
    let each: Vec<_> = there.iter().map(|(value, count)| format!("`{value}` ({count})")).collect();
    each.join(", ")
}

/// The moment so long before another. Time that begins later than that has no such moment.
fn ago(now: Timestamp, age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}
