//! What a poison queue shows of itself, and its messages as people and programs get them.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::super::again;
use super::choice::{Choice, shown_detail};
use crate::cli::without_secrets;
use crate::exit::Failure;
use longshore_queue::kind::PoisonPlace;
use longshore_queue::{Queue, QueueError, Specimen, session_of};
use longshore_queue_drivers::open;
use longshore_worker::poison::Envelope;

/// How many messages are shown at most; a Storage queue shows fewer.
pub(super) const SHOWN: u32 = 32 * 1024;

/// What a poison queue shows of itself.
pub(super) struct PoisonLook {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) messages: Vec<Specimen>,
    /// The queue's own count, where it holds more than it shows.
    pub(super) of_about: Option<u64>,
    /// It is known to hold no more than it shows.
    pub(super) shows_all: bool,
}

/// Looks at a poison queue; `None` where it was not needed yet, and does not exist.
pub(super) async fn look(choice: &Choice<'_>) -> Result<Option<PoisonLook>, Failure> {
    let queue = open(&choice.poison).await?;
    let messages = match again::ask(async || queue.examine(SHOWN).await).await.answer {
        Err(QueueError::QueueNotFound { .. }) => return not_needed_yet(choice).await.map(|()| None),
        messages => messages?,
    };
    // Whether it may be counted is no condition for looking at it.
    let count = queue.approximate_count().await.ok();
    Ok(Some(PoisonLook::new(queue, messages, count)))
}

/// A poison queue beside its queue is made when a message is first poisoned; without its queue it
/// is a wrong name. A dead-letter sub-queue is there as long as its queue: a topic has none.
pub(super) async fn not_needed_yet(choice: &Choice<'_>) -> Result<(), Failure> {
    if let PoisonPlace::Within(_) = choice.queue.kind().poison {
        return Err(QueueError::QueueNotFound { queue: choice.queue.to_string() }.into());
    }
    match open(choice.queue).await?.peek(1).await {
        Err(error @ QueueError::QueueNotFound { .. }) => Err(error.into()),
        _ => Ok(()),
    }
}

impl PoisonLook {
    pub(super) fn new(queue: Arc<dyn Queue>, messages: Vec<Specimen>, count: Option<u64>) -> Self {
        let of_about = count.filter(|count| *count > messages.len() as u64);
        let shows_all = count.is_some() && of_about.is_none();
        Self { queue, messages, of_about, shows_all }
    }
}

/// A poison message as a list and programs get it.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
    #[serde(flatten)]
    pub(super) envelope: Envelope<'a>,
    /// Why the body cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unreadable: Option<&'a str>,
}

impl Listed<'_> {
    /// The cause, and why the body cannot be read.
    pub(super) fn detail(&self) -> String {
        shown_detail(&self.envelope, self.unreadable).into_owned()
    }

    /// The session that it belongs to, if it does.
    pub(super) fn session(&self) -> Option<String> {
        session_of(&self.envelope.properties).map(str::to_owned)
    }

    /// A row of the table of single messages, behind the session.
    pub(super) fn row(self) -> (Option<String>, Vec<String>) {
        let (session, detail) = (self.session(), self.detail());
        let it = self.envelope;
        let row = vec![
            it.id.into_owned(),
            it.reason.into_owned(),
            detail,
            it.dequeue_count.to_string(),
            to_the_second(it.poisoned),
        ];
        (session, row)
    }
}

/// A time as people read it, in UTC.
pub(super) fn to_the_second(time: Timestamp) -> String {
    time.strftime("%F %T").to_string()
}

/// A message as a list gets it.
pub(super) fn listed<'m>(choice: &Choice<'_>, it: &'m Specimen) -> Listed<'m> {
    Listed { envelope: choice.read(&it.message), unreadable: it.damaged.as_deref() }
}

/// The message that an id names, or a beginning or an end that no other id has.
pub(super) fn find<'m>(
    choice: &Choice<'_>,
    id: &str,
    messages: &'m [Specimen],
) -> Result<Listed<'m>, Failure> {
    let named = choice.named(id, messages)?;
    let is_named = |own: &str| named.as_deref() == Some(own);
    let mut all = messages.iter().map(|it| (it, listed(choice, it)));
    let found = all.find(|(it, listed)| is_named(&it.message.id) || is_named(&listed.envelope.id));
    found.map(|(_, listed)| listed).ok_or_else(|| {
        Failure::other(format!(
            "no message {} among the first {} of {}; `longshore poison list --all` shows them",
            without_secrets(id),
            messages.len(),
            choice.poison
        ))
    })
}

/// Whether a poison message came in an envelope, and does not only look like one.
pub(super) fn is_wrapped(envelope: &Envelope<'_>) -> bool {
    envelope.longshore != "none"
}
