//! What a poison queue holds: the message that could not be handled, and why.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::circumstances::{Circumstances, last_that};
use longshore_queue::{DETAIL_PROPERTY, Message, REASON_PROPERTY};

/// What marks an envelope, with its version.
pub const MARK: &str = "poison/1";
/// How the marks of all versions begin.
const MARK_OF_ANY_VERSION: &str = "poison/";
/// The longest detail that an envelope carries, in bytes.
const MAX_DETAIL: usize = 4096;
/// The length that a detail is cut to first when the envelope is too large.
const SHORT_DETAIL: usize = 200;

/// Why a message is poison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoisonReason {
    /// The handler says that no attempt will ever succeed.
    Rejected,
    /// It failed, or was interrupted, as often as it may be received.
    AttemptsExhausted,
    /// The body is not what the queue's encoding says.
    Undecodable,
    /// It failed with so little time to live that a retry might find it expired.
    Expiring,
}

impl PoisonReason {
    /// The reason as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::Undecodable => "undecodable",
            Self::Expiring => "expiring",
        }
    }
}

/// How poison messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PoisonFormat {
    /// One JSON object with the body, the reason and where it came from.
    #[default]
    Envelope,
    /// The body as it was, as Azure Functions does it; the reason is in the log only.
    Raw,
}

/// The JSON object that a poison queue holds for each message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// Always [`MARK`].
    pub longshore: Cow<'a, str>,
    /// One word: a [`PoisonReason`].
    pub reason: Cow<'a, str>,
    /// The cause, for people.
    pub detail: Cow<'a, str>,
    /// The id that the message had in its queue.
    pub id: Cow<'a, str>,
    /// The queue that it was in.
    pub queue: Cow<'a, str>,
    /// How often it was received.
    pub dequeue_count: u32,
    /// When it was put into its queue.
    pub inserted: Timestamp,
    /// When it was poisoned.
    pub poisoned: Timestamp,
    /// The digest of the component that failed on it, if one was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Cow<'a, str>>,
    /// `execution`, `attempt` and `log`: where it failed, when, and what its handler logged last.
    #[serde(flatten)]
    pub circumstances: Circumstances<'a>,
    /// When it would have expired, if it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What it carried beside its body.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub properties: Cow<'a, [(String, String)]>,
    /// The body as it lay in the queue.
    #[serde(flatten)]
    pub body: Body<'a>,
}

/// The bytes of a message, as JSON can hold them: `encoding` and `body`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body<'a> {
    /// How `body` stands for the bytes.
    pub encoding: BodyEncoding,
    /// The bytes as text.
    pub body: Cow<'a, str>,
}

impl<'a> Body<'a> {
    /// Text where the bytes are text, base64 where they are not.
    pub fn of(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { encoding: BodyEncoding::Text, body: Cow::Borrowed(text) },
            Err(_) => Self { encoding: BodyEncoding::Base64, body: Cow::Owned(STANDARD.encode(bytes)) },
        }
    }

    /// The bytes; `None` if they cannot be restored, since the text was changed.
    pub fn bytes(&self) -> Option<Bytes> {
        match self.encoding {
            BodyEncoding::Text => Some(Bytes::copy_from_slice(self.body.as_bytes())),
            BodyEncoding::Base64 => STANDARD.decode(self.body.as_bytes()).ok().map(Bytes::from),
        }
    }
}

/// How an envelope holds a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyEncoding {
    /// As it was: UTF-8 text.
    Text,
    /// As base64 (RFC 4648 section 4), since it was not text.
    Base64,
}

impl<'a> Envelope<'a> {
    /// An envelope around a message, written now. Where it failed is added with
    /// [`Envelope::failed_in`].
    pub fn new(
        message: &'a Message,
        queue: &'a str,
        reason: PoisonReason,
        detail: &'a str,
        component: Option<&'a str>,
    ) -> Self {
        Self {
            longshore: MARK.into(),
            reason: reason.as_str().into(),
            detail: cut(detail, MAX_DETAIL).into(),
            id: message.id.as_str().into(),
            queue: queue.into(),
            dequeue_count: message.dequeue_count,
            inserted: message.inserted,
            poisoned: Timestamp::now(),
            component: component.map(Cow::Borrowed),
            circumstances: Circumstances::default(),
            expires: message.time_to_live.and_then(|left| Timestamp::now().checked_add(left).ok()),
            properties: message.properties.as_slice().into(),
            body: Body::of(&message.body),
        }
    }

    /// The same, with where the message failed.
    #[must_use]
    pub fn failed_in(self, circumstances: Circumstances<'a>) -> Self {
        Self { circumstances, ..self }
    }

    /// Describes a poison message that has no envelope: another program wrote it, or its envelope
    /// was too large. Its properties give the reason, on queues that keep one there.
    pub fn unwrapped(message: &'a Message) -> Self {
        let property =
            // The queue writes its own behind those of the sender, which may have the same names.
            |name| message.properties.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let own = |name: &str| message.properties.iter().rposition(|(key, _)| key == name);
        let own = [own(REASON_PROPERTY), own(DETAIL_PROPERTY)];
        let text = property(DETAIL_PROPERTY).unwrap_or_default();
        let (detail, circumstances) =
            Circumstances::parse(text).unwrap_or_else(|| (text, Circumstances::default()));
        Self {
            longshore: "none".into(),
            reason: property(REASON_PROPERTY).unwrap_or("unknown").into(),
            detail: detail.into(),
            id: message.id.as_str().into(),
            queue: "".into(),
            dequeue_count: message.dequeue_count,
            inserted: message.inserted,
            poisoned: message.inserted,
            component: None,
            circumstances,
            properties: message
                .properties
                .iter()
                .enumerate()
                .filter(|(place, _)| !own.contains(&Some(*place)))
                .map(|(_, property)| property.clone())
                .collect(),
            expires: None,
            body: Body::of(&message.body),
        }
    }

    /// Reads an envelope; `None` if it is something else.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let envelope: Self = serde_json::from_slice(body).ok()?;
        (envelope.longshore == MARK).then_some(envelope)
    }

    /// Whether a body says that it is an envelope, of whatever version.
    pub fn is_claimed(body: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Claim<'c> {
            #[serde(borrow)]
            longshore: Cow<'c, str>,
        }
        serde_json::from_slice::<Claim<'_>>(body)
            .is_ok_and(|it| it.longshore.starts_with(MARK_OF_ANY_VERSION))
    }

    /// The envelope as it goes into the queue. It is always XML text, since a Storage queue takes
    /// no other. JSON escapes every character that XML does not have, but for two.
    pub fn to_bytes(&self) -> Bytes {
        let json = serde_json::to_string(self)
            .expect("an envelope has string keys only, and writing to memory does not fail");
        if !json.contains(['\u{fffe}', '\u{ffff}']) {
            return json.into();
        }
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff").into()
    }

    /// What to try to send, in this order, until the service takes one. First comes the envelope,
    /// with as many of the last lines of the log as have room beside everything else: `fits` says
    /// whether a body does. Then come the envelope without a log, with its detail cut short, and
    /// with none. Then comes the body as it was received, and last the body as base64.
    ///
    /// A body that looks like an envelope would be taken for one: it is never sent as it was
    /// received.
    pub fn fallbacks(
        &self,
        format: PoisonFormat,
        received: &Bytes,
        fits: impl Fn(&[u8]) -> bool,
    ) -> impl Iterator<Item = Bytes> {
        let misleading = Envelope::is_claimed(received);
        let cuts = match format {
            PoisonFormat::Raw if !misleading => &[][..],
            PoisonFormat::Envelope | PoisonFormat::Raw => &[MAX_DETAIL, SHORT_DETAIL, 0],
        };
        let logged = (!cuts.is_empty() && !self.circumstances.log.is_empty()).then(|| {
            let lines = last_that(&self.circumstances.log, |lines| fits(&self.with_log(lines).to_bytes()));
            self.with_log(lines)
        });
        let logged = logged.filter(|it| !it.circumstances.log.is_empty()).map(|it| it.to_bytes());
        let unlogged = self.with_log(&[]);
        let mut newest = usize::MAX;
        let envelopes = cuts.iter().filter_map(move |length| {
            let detail = cut(&unlogged.detail, *length);
            if detail.len() == newest {
                return None;
            }
            newest = detail.len();
            Some(Envelope { detail: Cow::Borrowed(detail), ..unlogged.clone() }.to_bytes())
        });
        let received = received.clone();
        let bare = (usize::from(misleading)..2).map(move |step| match step {
            0 => received.clone(),
            _ => STANDARD.encode(&received).into(),
        });
        logged.into_iter().chain(envelopes).chain(bare)
    }

    /// The same with so much of the log.
    fn with_log<'b>(&'b self, lines: &'b [String]) -> Envelope<'b> {
        Envelope { circumstances: self.circumstances.with_log(lines), ..self.clone() }
    }
}

/// At most `length` bytes of `text`, cut between characters.
fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

#[cfg(test)]
mod tests;
