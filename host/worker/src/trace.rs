//! The trace of the message in hand: where it comes from, and which lines of the log are under it.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::LazyLock;

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde::Deserialize;

use crate::report::Outcome;
use crate::telemetry::{AttemptSpan, SendSpan, Telemetry};
use longshore_handler::Usage;
use longshore_handler::trace_context::{DIAGNOSTIC_ID, TRACEPARENT, TraceContext, TraceIds};
use longshore_queue::{Message, Properties, QueueUrl};

tokio::task_local! {
    /// The trace of the message that this task handles.
    static CURRENT: Cell<Option<TraceIds>>;
}

/// The trace and the span that a line of the log is under; `None` where it is under no message, or
/// under one without a trace.
pub fn current() -> Option<TraceIds> {
    CURRENT.try_with(Cell::get).ok().flatten()
}

/// Runs a message's task, whose lines in the log are under its trace as soon as that is known.
pub(crate) async fn scope<T>(task: impl Future<Output = T>) -> T {
    CURRENT.scope(Cell::new(None), task).await
}

/// The trace of one attempt: its sender's, and a span of its own where somebody listens.
#[derive(Debug)]
pub(crate) struct Traced {
    /// What is to be continued.
    context: Option<TraceContext>,
    /// Whether the sender named a trace.
    is_carried: bool,
    span: Option<Box<dyn AttemptSpan>>,
}

impl Traced {
    /// The trace that a message carries.
    pub(crate) fn of(message: &Message) -> Self {
        let context = TraceContext::of(&message.properties).or_else(|| of_event(&message.body));
        let traced = Self { is_carried: context.is_some(), context, span: None };
        traced.log_under();
        traced
    }

    /// An attempt begins at this time, with this body if it could be decoded.
    pub(crate) fn begin(
        &mut self,
        telemetry: Option<&dyn Telemetry>,
        message: &Message,
        decoded: Option<&[u8]>,
        at: Timestamp,
    ) {
        if self.context.is_none() {
            self.context = decoded.and_then(of_event);
            self.is_carried = self.context.is_some();
        }
        if let Some(telemetry) = telemetry {
            let span = telemetry.attempt(message, self.context.as_ref(), at);
            self.context = span.context().or_else(|| self.context.take());
            self.span = Some(span);
        }
        self.log_under();
    }

    /// What the handler and its calls are to continue.
    pub(crate) fn context(&self) -> Option<&TraceContext> {
        self.context.as_ref()
    }

    /// What the handler sees beside the body: the message's properties, and what is to be continued
    /// where its sender named a trace. One property more in every message costs a microsecond, and
    /// the host continues the trace in the handler's calls without it.
    pub(crate) fn given(&self, properties: &Properties) -> Properties {
        let mut given = properties.clone();
        if let Some(context) = self.context.as_ref().filter(|_| self.is_carried) {
            context.write(&mut given);
        }
        given
    }

    /// The handler has answered at this time.
    pub(crate) fn answered(&mut self, usage: Usage, at: Timestamp) {
        if let Some(span) = &mut self.span {
            span.answered(usage, at);
        }
    }

    /// What a message to that queue carries, and its span.
    pub(crate) fn sending(&mut self, to: &QueueUrl) -> (Option<TraceContext>, Option<Box<dyn SendSpan>>) {
        let span = self.span.as_mut().map(|span| span.sending(to));
        let context = span.as_ref().and_then(|span| span.context());
        (context.or_else(|| self.context.clone()), span)
    }

    /// The message is about to be settled.
    pub(crate) fn settling(&mut self) {
        if let Some(span) = &mut self.span {
            span.settling();
        }
    }

    /// The message has ended.
    pub(crate) fn ended(self, outcome: &Outcome) {
        if let Some(span) = self.span {
            span.ended(outcome);
        }
    }

    fn log_under(&self) {
        let ids = self.context.as_ref().map(|it| it.ids);
        // Some tests handle messages in no task of their own.
        let _ = CURRENT.try_with(|current| current.set(ids));
    }
}

/// The context of a message as it lies in a queue, as far as that says it without being decoded.
pub fn carried(message: &Message) -> Option<TraceContext> {
    TraceContext::of(&message.properties).or_else(|| of_event(&message.body))
}

/// What a handler that is called outside of a run sees beside the body: the same as in a run to
/// which nobody listens. `body` lies in the queue, and was decoded.
pub fn given(properties: &[(String, String)], body: &[u8], decoded: &[u8]) -> Properties {
    let context = TraceContext::of(properties).or_else(|| of_event(body)).or_else(|| of_event(decoded));
    let mut given = properties.to_vec();
    if let Some(context) = context {
        context.write(&mut given);
    }
    given
}

/// Runs a handler's call, whose lines in the log are under the trace that it was given.
pub async fn under<T>(given: &[(String, String)], call: impl Future<Output = T>) -> T {
    CURRENT.scope(Cell::new(TraceContext::of(given).map(|it| it.ids)), call).await
}

/// What a copy of a message carries of its trace beside its body.
pub(crate) fn kept(properties: &Properties) -> Properties {
    use longshore_handler::trace_context::TRACESTATE;
    let names = [TRACEPARENT, TRACESTATE, DIAGNOSTIC_ID];
    properties.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect()
}

/// Has a message for a queue that keeps properties carry a context, unless it carries one.
pub(crate) fn stamp(properties: &mut Properties, context: &TraceContext) {
    if TraceContext::of(properties).is_some() {
        return;
    }
    context.write(properties);
    // Clients of Service Bus from before 2021 read no other name.
    properties.retain(|(name, _)| name != DIAGNOSTIC_ID);
    properties.push((DIAGNOSTIC_ID.to_owned(), context.traceparent()));
}

/// The context of a body that is a `CloudEvent` in JSON ([Distributed Tracing
/// extension](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md)).
/// No other body is parsed.
fn of_event(body: &[u8]) -> Option<TraceContext> {
    /// What makes an object a `CloudEvent`, and what it says of its trace.
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "specversion")]
        version: Cow<'a, str>,
        #[serde(borrow, rename = "id")]
        _id: Cow<'a, str>,
        #[serde(borrow, rename = "source")]
        _source: Cow<'a, str>,
        #[serde(borrow, rename = "type")]
        _type: Cow<'a, str>,
        #[serde(borrow)]
        traceparent: Cow<'a, str>,
        #[serde(borrow, default)]
        tracestate: Option<Cow<'a, str>>,
    }
    /// What prepares to find a text costs several times as much as to find it in a body.
    static NAMES: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| ["\"traceparent\"", "\"specversion\""].map(Finder::new));
    // Looking for both costs a fraction of reading JSON, and nearly all bodies have none.
    if NAMES.iter().any(|name| name.find(body).is_none()) {
        return None;
    }
    let event: Event<'_> = serde_json::from_slice(body).ok()?;
    if !event.version.starts_with("1.") {
        return None;
    }
    TraceContext::parse(&event.traceparent, event.tracestate.as_deref())
}

#[cfg(test)]
mod tests {
    use longshore_handler::trace_context::TRACESTATE;
    use serde_json::{Value, json};

    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn message(body: &str, properties: Properties) -> Message {
        Message {
            id: "m-1".into(),
            body: body.to_owned().into(),
            dequeue_count: 1,
            inserted: Timestamp::UNIX_EPOCH,
            time_to_live: None,
            properties,
        }
    }

    fn event(change: impl Fn(&mut Value)) -> String {
        let mut event = json!({
            "specversion": "1.0", "id": "1", "source": "/shop", "type": "ordered", "traceparent": SENT, "tracestate": "a=1",
        });
        change(&mut event);
        event.to_string()
    }

    #[test]
    fn a_body_says_its_trace_only_where_it_is_a_cloud_event() {
        let whole = of_event(event(|_| ()).as_bytes()).unwrap();
        assert_eq!((whole.traceparent().as_str(), whole.state.as_str()), (SENT, "a=1"));
        let text = of_event(event(|it| it["tracestate"] = Value::Null).as_bytes()).unwrap();
        assert_eq!(text.state, "");
        for (name, other) in [
            ("specversion", json!("0.3")),
            ("specversion", json!(1)),
            ("id", Value::Null),
            ("type", json!({})),
            ("source", json!(7)),
            ("traceparent", json!("none")),
        ] {
            assert_eq!(of_event(event(|it| it[name] = other.clone()).as_bytes()), None, "{name} {other}");
        }
        let order = json!({ "order": "1", "traceparent": SENT }).to_string();
        assert_eq!(of_event(order.as_bytes()), None);
        assert_eq!(of_event(format!("[{}]", event(|_| ())).as_bytes()), None);
    }

    #[test]
    fn the_handler_gets_the_context_as_properties_whatever_it_came_in() {
        let given = [pair(TRACEPARENT, SENT), pair(TRACESTATE, "a=1")];
        assert_eq!(Traced::of(&message(&event(|_| ()), Vec::new())).given(&Vec::new()), given);
        let older = vec![pair("tenant", "7"), pair(DIAGNOSTIC_ID, SENT)];
        let traced = Traced::of(&message("{}", older.clone()));
        assert_eq!(traced.given(&older), [older[0].clone(), older[1].clone(), pair(TRACEPARENT, SENT)]);
        let mut decoded = Traced::of(&message("base64", Vec::new()));
        decoded.begin(
            None,
            &message("base64", Vec::new()),
            Some(event(|_| ()).as_bytes()),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(decoded.given(&Vec::new()), given);
        assert_eq!(Traced::of(&message("{}", Vec::new())).given(&older[..1].to_vec()), older[..1]);
    }

    #[test]
    fn outside_of_a_run_the_handler_gets_the_same() {
        let context = [pair(TRACEPARENT, SENT), pair(TRACESTATE, "a=1")];
        let event = event(|_| ());
        assert_eq!(super::given(&[], event.as_bytes(), b"{}"), context);
        assert_eq!(super::given(&[], b"base64", event.as_bytes()), context);
        let older = vec![pair(DIAGNOSTIC_ID, SENT)];
        assert_eq!(super::given(&older, b"{}", b"{}"), [older[0].clone(), pair(TRACEPARENT, SENT)]);
        assert_eq!(super::given(&[], b"{}", b"{}"), []);
    }

    #[test]
    fn a_message_is_not_stamped_twice_and_its_copy_keeps_what_it_has() {
        let context = TraceContext::parse(SENT, None).unwrap();
        let mut own = vec![pair(TRACEPARENT, &SENT.replace("4bf9", "5bf9"))];
        let before = own.clone();
        stamp(&mut own, &context);
        assert_eq!(own, before);
        let mut stamped = vec![pair("tenant", "7")];
        stamp(&mut stamped, &context);
        assert_eq!(stamped[1..], [pair(TRACEPARENT, SENT), pair(DIAGNOSTIC_ID, SENT)]);
        assert_eq!(kept(&stamped), stamped[1..]);
    }

    #[tokio::test]
    async fn lines_are_under_a_message_s_trace_in_its_task_and_nowhere_else() {
        let ids = TraceContext::parse(SENT, None).unwrap().ids;
        let inside = scope(async {
            assert_eq!(current(), None);
            let _traced = Traced::of(&message("{}", vec![pair(TRACEPARENT, SENT)]));
            current()
        });
        assert_eq!(inside.await, Some(ids));
        assert_eq!(current(), None);
    }
}
