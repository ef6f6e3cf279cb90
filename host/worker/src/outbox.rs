//! Messages that handlers send: which queues they go to, under which ids, and how they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::telemetry::SendSpan;
use crate::trace::{self, Traced};
use longshore_handler::trace_context::TraceContext;
use longshore_handler::{OutboxMessage, RetryReason, ungranted_outbox};
use longshore_queue::{Outgoing, Queue, QueueError, QueueUrl, Right};

/// What a property takes beside its name and value, in bytes: two constructors and two lengths of
/// four bytes (AMQP 1.0, section 1.6.20).
const PROPERTY_OVERHEAD: usize = 10;

/// How messages for other queues are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutboxFormat {
    /// The body, as the handler sent it.
    #[default]
    Raw,
    /// The body in a `CloudEvents` 1.0 envelope in JSON. The id of the event names the message that
    /// it came from.
    #[value(name = "cloudevents")]
    CloudEvents,
}

/// How a body is written for the queue that it goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutboxEncoding {
    /// As it is.
    #[default]
    Text,
    /// As base64, as Azure Functions reads the messages of a Storage queue by default ([host.json
    /// settings](https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#hostjson-settings),
    /// `messageEncoding`).
    Base64,
}

/// The queues that handlers may send to, by the names that handlers know.
#[derive(Debug, Default)]
pub struct Outboxes {
    queues: BTreeMap<String, (Arc<dyn Queue>, OutboxEncoding)>,
    format: OutboxFormat,
}

/// A message that is ready to be sent.
#[derive(Debug)]
pub(crate) struct PreparedMessage {
    pub(crate) name: String,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) message: Outgoing,
    /// Where somebody listens.
    pub(crate) span: Option<Box<dyn SendSpan>>,
}

/// A message as `CloudEvents` writes it ([JSON event
/// format](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md)).
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: &'static str,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl OutboxFormat {
    fn write(self, id: &str, source: &QueueUrl, trace: Option<&TraceContext>, body: Bytes) -> Bytes {
        if self == Self::Raw {
            return body;
        }
        let (datacontenttype, data, data_base64) = if let Ok(json) = serde_json::from_slice(&body) {
            ("application/json", Some(Data::Json(json)), None)
        } else if let Ok(text) = str::from_utf8(&body) {
            ("text/plain", Some(Data::Text(text)), None)
        } else {
            ("application/octet-stream", None, Some(STANDARD.encode(&body)))
        };
        let (source, r#type) = (source.to_string(), "longshore.output");
        let traceparent = trace.map(TraceContext::traceparent);
        let tracestate = trace.map(|it| it.state.as_str()).filter(|it| !it.is_empty());
        let event = CloudEvent {
            specversion: "1.0",
            id,
            source,
            r#type,
            datacontenttype,
            traceparent,
            tracestate,
            data,
            data_base64,
        };
        // The event holds strings, and JSON that was read as such. Writing those cannot fail.
        serde_json::to_vec(&event).map_or(body.clone(), Bytes::from)
    }
}

impl OutboxEncoding {
    fn write(self, body: Bytes) -> Bytes {
        match self {
            Self::Text => body,
            Self::Base64 => STANDARD.encode(&body).into(),
        }
    }
}

impl Outboxes {
    /// No queues yet, and how messages for them will be written.
    pub fn new(format: OutboxFormat) -> Self {
        Self { queues: BTreeMap::new(), format }
    }

    /// Lets handlers send to a queue under a name.
    pub fn add(&mut self, name: &str, queue: Arc<dyn Queue>, encoding: OutboxEncoding) {
        self.queues.insert(name.to_owned(), (queue, encoding));
    }

    /// Looks whether all of these queues are there. An identity that may only send is often not
    /// told: then the first message tells.
    ///
    /// # Errors
    /// The name of the first queue that is not there, and [`QueueError::QueueNotFound`].
    pub async fn look(&self) -> Result<(), (String, QueueError)> {
        let look = async |(name, (queue, _)): (&String, &(Arc<dyn Queue>, OutboxEncoding))| {
            let asked = match queue.may(Right::Receive).await {
                Err(QueueError::Denied { .. }) => queue.approximate_count().await.map(drop),
                asked => asked,
            };
            match asked {
                Err(error @ QueueError::QueueNotFound { .. }) => Err((name.clone(), error)),
                _ => Ok(()),
            }
        };
        join_all(self.queues.iter().map(look)).await.into_iter().collect()
    }

    /// Gives each message its queue and its id: the id of the message that it came from, a slash,
    /// and its place (rule 6).
    ///
    /// All or none. If one queue cannot take its message, no other queue must have got one before
    /// that is known.
    pub(crate) fn prepare(
        &self,
        source: &QueueUrl,
        id: &str,
        traced: &mut Traced,
        outbox: Vec<OutboxMessage>,
    ) -> Result<Vec<PreparedMessage>, (RetryReason, String)> {
        let prepare = |(index, OutboxMessage { output: name, body, mut properties })| {
            let Some((queue, encoding)) = self.queues.get(&name) else {
                return Err((RetryReason::UnknownOutput, ungranted_outbox(&name, self.queues.keys())));
            };
            let queue = Arc::clone(queue);
            let id = format!("{id}/{index}");
            let (context, span) = traced.sending(queue.url());
            // What the handler named itself is the trace of this message.
            let context = TraceContext::of(&properties).or(context);
            let write = |context, body| encoding.write(self.format.write(&id, source, context, body));
            let written = write(context.as_ref(), body.clone());
            let mut stamped = properties.clone();
            if let Some(context) = context.as_ref().filter(|_| queue.url().kind().keeps_properties) {
                trace::stamp(&mut stamped, context);
            }
            // A message that is too large with its trace goes without.
            let fits = queue.fits(&written)
                && written.len() + kept_properties(&*queue, &stamped) <= queue.max_body();
            let body = if fits {
                properties = stamped;
                written
            } else {
                write(None, body)
            };
            let beside = kept_properties(&*queue, &properties);
            if !queue.fits(&body) || body.len().saturating_add(beside) > queue.max_body() && beside > 0 {
                let (bytes, url) = (body.len() + beside, queue.url());
                let detail = if bytes > queue.max_body() {
                    format!("{name}: {url} does not take a message of {bytes} bytes")
                } else {
                    format!(
                        "{name}: {url} takes text, and the body is none; send it as base64, with `--outbox-encoding {name}=base64`"
                    )
                };
                return Err((RetryReason::OutputTooLarge, detail));
            }
            let message = Outgoing { body, id: Some(id), properties, ..Outgoing::default() };
            Ok(PreparedMessage { name, queue, message, span })
        };
        outbox.into_iter().enumerate().map(prepare).collect()
    }
}

/// What the properties take of a message's size, in bytes, on queues that keep them.
fn kept_properties(queue: &dyn Queue, properties: &[(String, String)]) -> usize {
    if !queue.url().kind().keeps_properties {
        return 0;
    }
    properties.iter().map(|(name, value)| PROPERTY_OVERHEAD + name.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::{Bytes, OutboxEncoding, OutboxFormat};

    #[test]
    fn a_cloud_event_holds_the_body_as_it_was_and_the_id_of_its_origin() {
        let source = "file:./queues/orders".parse().unwrap();
        for (body, expected) in [
            (
                &br#"{"b": 1.50, "a": 2}"#[..],
                r#""datacontenttype":"application/json","data":{"b": 1.50, "a": 2}}"#,
            ),
            (b"two books", r#""datacontenttype":"text/plain","data":"two books"}"#),
            (b"\xff\x00", r#""datacontenttype":"application/octet-stream","data_base64":"/wA="}"#),
        ] {
            let write = |format: OutboxFormat| format.write("m-1/0", &source, None, Bytes::from_static(body));
            let event = write(OutboxFormat::CloudEvents);
            let text = str::from_utf8(&event).unwrap();
            let start = r#"{"specversion":"1.0","id":"m-1/0","source":"file:./queues/orders","type":"longshore.output","#;
            assert_eq!(text, format!("{start}{expected}"));
            assert_eq!(write(OutboxFormat::Raw), body);
        }
    }

    #[test]
    fn base64_is_written_around_the_format() {
        let source = "file:./queues/orders".parse().unwrap();
        let event = OutboxFormat::CloudEvents.write("m-1/0", &source, None, Bytes::from_static(b"[1]"));
        assert!(event.starts_with(b"{\"specversion\""));
        assert!(OutboxEncoding::Base64.write(event).starts_with(b"eyJzcGVjdmVyc2lvbi"));
        let binary = Bytes::from_static(b"\xff\x00");
        assert_eq!(OutboxEncoding::Base64.write(binary.clone()), "/wA=");
        assert_eq!(OutboxEncoding::Text.write(binary.clone()), binary);
    }
}
