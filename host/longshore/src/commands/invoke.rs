//! `longshore invoke`: one message, no queue, the same sandbox.

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::io::AsyncReadExt;

use super::added::Added;
use super::loading::while_compiling;
use super::print;
use crate::cli::{Format, InvokeArgs, InvokedWith};
use crate::exit::{Clause, Exit, Failure};
use longshore_component::LoadedComponent;
use longshore_handler::trace_context::TraceContext;
use longshore_handler::{Answer, Handler, Invocation, OutboxMessage, SessionChange, SessionState, Verdict};
use longshore_queue::SESSION_ID;
use longshore_sandbox::{Grants, Sandbox};
use longshore_worker::trace;

/// What came of one message that was handed to a component here.
#[derive(Default, Serialize)]
pub(super) struct Invoked {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
    duration_ms: f64,
    cpu_ms: f64,
    peak_memory_bytes: usize,
    outbox: Vec<WouldSend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_state: Option<WouldSet>,
    #[serde(flatten)]
    added: Added,
}

/// A message that the handler would have sent.
#[derive(Serialize)]
struct WouldSend {
    output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    properties: BTreeMap<String, String>,
}

/// What the handler would have made of the state of its session: text or base64, and neither if it
/// would have cleared it.
#[derive(Serialize)]
struct WouldSet {
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl WouldSet {
    fn of(change: SessionChange) -> Option<Self> {
        match change {
            SessionChange::Unchanged => None,
            SessionChange::Cleared => Some(Self { text: None, base64: None }),
            SessionChange::Set(bytes) => {
                let (text, base64) = text_or_base64(&bytes);
                Some(Self { text, base64 })
            }
        }
    }
}

/// The one or the other: what is no text stands as base64.
fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

impl From<OutboxMessage> for WouldSend {
    fn from(OutboxMessage { output, body, properties }: OutboxMessage) -> Self {
        let (body, body_base64) = text_or_base64(&body);
        Self { output, body, body_base64, properties: properties.into_iter().collect() }
    }
}

pub(super) async fn execute(args: InvokeArgs, format: Format) -> Result<Exit, Failure> {
    args.sandbox.grants.check_outbox().map_err(Failure::usage)?;
    let InvokedWith { component, body: word } = args.invoked().map_err(Failure::usage)?;
    let session = session(&args).await?;
    let given = body(&args, word.as_deref()).await?;
    let body = args.encoding.decode(&given).map_err(|cause| {
        Failure::other(format!("the body cannot be decoded: {cause}; is --encoding right?"))
    })?;
    let source = args.sandbox.registry.source(component).map_err(Failure::usage)?;
    let settings = args.sandbox.settings(1).map_err(Failure::usage)?;
    let sandbox = Sandbox::new(&settings)?;
    let named = source.to_string();
    let handler = while_compiling(named, LoadedComponent::load(sandbox, source)).await;
    let properties = trace::given(&properties(args.properties, args.session_id), &given, &body);
    let invocation = Invocation {
        id: args.id,
        queue: args.queue_name,
        body,
        dequeue_count: args.dequeue_count,
        inserted: Timestamp::now(),
        deadline: args.deadline,
        trace: TraceContext::of(&properties),
        properties,
        session,
    };
    let (invoked, exit) = hand(&handler, invocation, &settings.grants).await;
    print::fields(&invoked.fields(), &invoked, format)?;
    Ok(exit)
}

/// Hands a message to a component, and says what came of it. What it would send is not sent.
pub(super) async fn hand(
    handler: &LoadedComponent,
    invocation: Invocation,
    grants: &Grants,
) -> (Invoked, Exit) {
    let started = Instant::now();
    let properties = invocation.properties.clone();
    let Answer { verdict, outbox, session, usage, log: _ } =
        trace::under(&properties, handler.handle(invocation)).await;
    let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
    let measured = Invoked {
        duration_ms: rounded(duration_ms),
        cpu_ms: rounded(usage.cpu.as_secs_f64() * 1000.0),
        peak_memory_bytes: usage.peak_memory,
        outbox: outbox.into_iter().map(WouldSend::from).collect(),
        session_state: WouldSet::of(session),
        added: Added::by(grants),
        ..Invoked::default()
    };
    let exit = match &verdict {
        Verdict::Completed => Exit::Done,
        Verdict::Retry { reason, .. } if reason.is_the_hosts_own() => Exit::Fault,
        Verdict::Reject { .. } | Verdict::Retry { .. } => Exit::Other,
    };
    let result = match verdict {
        Verdict::Completed => Invoked { outcome: "completed", ..measured },
        Verdict::Reject { detail } => Invoked { outcome: "rejected", detail: Some(detail), ..measured },
        Verdict::Retry { reason, detail, after } => Invoked {
            outcome: "retry",
            reason: Some(reason.as_str()),
            detail: Some(detail),
            after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            ..measured
        },
    };
    (result, exit)
}

impl Invoked {
    /// The same for a table of names and values.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("outcome", self.outcome.to_owned())];
        fields.extend(self.reason.map(|reason| ("reason", reason.to_owned())));
        fields.extend(self.detail.clone().map(|detail| ("detail", detail)));
        fields.extend(self.after_ms.map(|ms| ("retry after", format!("{ms} ms"))));
        fields.push(("took", format!("{:.3} ms, {:.3} ms of them computing", self.duration_ms, self.cpu_ms)));
        fields.push(("memory", format!("{} KiB", self.peak_memory_bytes >> 10)));
        for sent in &self.outbox {
            let body = sent.body.as_deref().or(sent.body_base64.as_deref()).unwrap_or_default();
            fields.push(("would send", format!("to {}: {body}", sent.output)));
        }
        if let Some(WouldSet { text, base64 }) = &self.session_state {
            let words = text.as_deref().or(base64.as_deref());
            fields.push((
                "session state",
                words.map_or_else(|| "would be cleared".to_owned(), |words| format!("would be {words}")),
            ));
        }
        fields.extend(self.added.fields());
        fields
    }
}

/// Milliseconds, to the microsecond.
fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

/// The state of the session that the flags name.
async fn session(args: &InvokeArgs) -> Result<SessionState, Failure> {
    match (&args.session_id, &args.session_state) {
        (_, Some(path)) => {
            let read = tokio::fs::read(path).await;
            Ok(SessionState::Set(read.during(|| format!("cannot read {}", path.display()))?.into()))
        }
        (Some(_), None) => Ok(SessionState::Empty),
        (None, None) => Ok(SessionState::NoSession),
    }
}

/// The properties of the message: the id of its session stands first among them, as on a queue.
fn properties(mut given: Vec<(String, String)>, session: Option<String>) -> Vec<(String, String)> {
    if let Some(id) = session {
        given.retain(|(name, _)| name != SESSION_ID);
        given.insert(0, (SESSION_ID.to_owned(), id));
    }
    given
}

async fn body(args: &InvokeArgs, word: Option<&str>) -> Result<Bytes, Failure> {
    if let Some(path) = &args.file {
        let read = tokio::fs::read(path).await;
        return Ok(read.during(|| format!("cannot read {}", path.display()))?.into());
    }
    match word {
        Some("-") => {
            let mut body = Vec::new();
            tokio::io::stdin().read_to_end(&mut body).await.during(|| "cannot read standard input")?;
            Ok(body.into())
        }
        Some(body) => Ok(Bytes::copy_from_slice(body.as_bytes())),
        None => Err(Failure::usage("no body was given")),
    }
}
