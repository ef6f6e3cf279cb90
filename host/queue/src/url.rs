//! Queues are named by URL: what the forms are, and which kind of queue a URL names.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::kind::{self, FILE, Form, KINDS, Kind, PoisonPlace, Reader, SERVICE_BUS, STORAGE};
use crate::parse::malformed::{Malformed, Parsed};
use crate::parse::name::check_name;
use crate::parse::{connection_string, storage_string};
use crate::place::Place;

/// The address of a queue: its kind, where it is, its name, and a shared access signature if one
/// was given.
///
/// | kind | form |
/// |---|---|
/// | local | `file:./queues/orders`, `file:///var/queues/orders`: a directory, and in it a queue |
/// | Storage queue | `https://ACCOUNT.queue.core.windows.net/orders`, optionally with a SAS query |
/// | the same with a key or a signature | `AccountName=…;AccountKey=…;QueueName=orders` and the like |
/// | Azurite | `http://127.0.0.1:10001/devstoreaccount1/orders`, `UseDevelopmentStorage=true;QueueName=orders` |
/// | Service Bus | `sb://NAMESPACE.servicebus.windows.net/orders`, with `?transport=websockets` if that must be |
/// | the same with a key | `Endpoint=sb://…/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=orders` |
/// | its emulator | the same with `UseDevelopmentEmulator=true` |
///
/// The path of a `file:` URL is taken as it stands: nothing in it is percent-decoded.
/// Neither `Display` nor `Debug` shows the signature.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct QueueUrl {
    place: Place,
    name: String,
}

/// Why a URL names no queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {cause}; {mend}")]
pub struct InvalidQueueUrl {
    /// What was given, without anything that may be a secret.
    pub url: String,
    /// What is wrong with it.
    pub cause: String,
    /// What to write instead.
    pub mend: String,
}

impl QueueUrl {
    /// The name of the queue, within its directory, account or namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which service holds it, and where.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What kind of queue it is.
    pub fn kind(&self) -> &'static Kind {
        match &self.place {
            Place::File { .. } => &FILE,
            Place::Storage { .. } => &STORAGE,
            Place::ServiceBus { .. } => &SERVICE_BUS,
        }
    }

    /// The account or the namespace that it belongs to, by its name; `None` for a queue on this
    /// host.
    ///
    /// It is the first label of the host, or the first segment of the path where the account stands
    /// there.
    pub fn owner(&self) -> Option<&str> {
        match &self.place {
            Place::File { .. } => None,
            Place::Storage { endpoint, .. } => {
                let address = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, address)| address);
                match address.split_once('/') {
                    Some((_, account)) => Some(account),
                    None => address.split('.').next(),
                }
            }
            Place::ServiceBus { namespace, .. } => namespace.split('.').next(),
        }
    }

    /// The poison queue: `<queue>-poison` beside the queue, with the same signature; on Service Bus
    /// the queue's own dead-letter sub-queue.
    ///
    /// # Errors
    /// The name with its suffix would be longer than the service allows, or it is itself a
    /// dead-letter sub-queue.
    pub fn poison(&self) -> Result<Self, InvalidQueueUrl> {
        let name = match self.kind().poison {
            PoisonPlace::Within(_) if self.is_dead_letter_queue() => {
                return Err(InvalidQueueUrl {
                    url: self.to_string(),
                    cause: "a dead-letter sub-queue has no dead letters of its own".into(),
                    mend: "name a poison queue yourself, with `--poison-queue URL`".into(),
                });
            }
            PoisonPlace::Within(path) => format!("{}{path}", self.name),
            PoisonPlace::Beside(suffix) => {
                let name = format!("{}{suffix}", self.name);
                check_name(&name).map_err(|cause| InvalidQueueUrl {
                    url: self.to_string(),
                    cause: format!("its poison queue cannot be called `{name}`: {cause}"),
                    mend: "name a poison queue yourself, with `--poison-queue URL`".into(),
                })?;
                name
            }
        };
        Ok(self.beside(&name))
    }

    /// Another queue of the same directory, account or namespace, with what was given to prove who
    /// asks.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        Self { place: self.place.clone(), name: name.to_owned() }
    }

    /// The name of the queue that a dead-letter sub-queue belongs to; `None` if it is no such
    /// sub-queue.
    pub fn dead_letters_of(&self) -> Option<&str> {
        match self.kind().poison {
            PoisonPlace::Within(path) => self.name.strip_suffix(path),
            PoisonPlace::Beside(_) => None,
        }
    }

    /// Whether it is the dead-letter sub-queue of another queue.
    pub fn is_dead_letter_queue(&self) -> bool {
        self.dead_letters_of().is_some()
    }
}

impl FromStr for QueueUrl {
    type Err = InvalidQueueUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for (kind, form) in forms() {
            if let Reader::Text(read) = &form.read
                && let Some(behind) = behind(text, form.start)
            {
                return named(text, kind, read(behind));
            }
            if let Reader::Fields(read) = &form.read
                && let Some(parsed) = read(text)
            {
                return named(text, kind, parsed);
            }
        }
        let no_kind = |cause: String| invalid(text, cause, format!("write {}", kind::forms()));
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => {
                no_kind("it does not say which kind of queue it is".into())
            }
            error => no_kind(error.to_string()),
        })?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(no_kind("a queue URL has no user, password or fragment".into()));
        }
        for (kind, form) in forms() {
            if let Reader::Url(read) = &form.read
                && form.start.strip_suffix(':') == Some(url.scheme())
            {
                return named(text, kind, read(&url));
            }
        }
        Err(no_kind(format!("no kind of queue is called `{}`", url.scheme())))
    }
}

/// The forms of all kinds.
fn forms() -> impl Iterator<Item = (&'static Kind, &'static Form)> {
    KINDS.into_iter().flat_map(|kind| kind.forms.iter().map(move |form| (kind, form)))
}

/// What comes behind the beginning of a text, in upper or lower case.
fn behind<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (beginning, behind) = text.split_at_checked(start.len())?;
    beginning.eq_ignore_ascii_case(start).then_some(behind)
}

fn named(text: &str, kind: &Kind, parsed: Parsed) -> Result<QueueUrl, InvalidQueueUrl> {
    let (place, name) = parsed.map_err(|Malformed { cause, mend }| {
        invalid(text, cause, mend.map_or_else(|| kind.mend(), str::to_owned))
    })?;
    Ok(QueueUrl { place, name })
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { directory } => write!(f, "file:{}", directory.join(&self.name).display()),
            Place::Storage { endpoint, .. } => write!(f, "{endpoint}/{}", self.name),
            Place::ServiceBus { namespace, .. } => write!(f, "sb://{namespace}/{}", self.name),
        }
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueUrl({self})")
    }
}

fn invalid(text: &str, cause: String, mend: String) -> InvalidQueueUrl {
    InvalidQueueUrl { url: without_secrets(text), cause, mend }
}

/// What may be repeated of a text that is perhaps a connection string, or a URL with a password or
/// a signature.
fn without_secrets(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    if behind(text, connection_string::BEGINNING).is_some() || storage_string::parse(text).is_some() {
        "the connection string".into()
    } else if shown.contains(['@', ';', '=']) || hides_a_mark(shown) {
        "the queue's URL".into()
    } else {
        format!("`{shown}`")
    }
}

/// Whether a mark that stands before secrets, or between them, is there as a percent-encoded byte.
fn hides_a_mark(text: &str) -> bool {
    let marks = ["%3f", "%23", "%40", "%3b", "%3d"];
    let text = text.to_ascii_lowercase();
    marks.into_iter().any(|mark| text.contains(mark))
}
