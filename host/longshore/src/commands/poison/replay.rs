//! `longshore poison replay`: one poison message, handed to a component here. The queue is looked
//! at, and nothing in it is leased, counted or changed.

use serde::Serialize;

use super::super::invoke::{Invoked, hand};
use super::super::loading::while_compiling;
use super::super::print;
use super::choice::Choice;
use super::looked::{Listed, find, is_wrapped, look};
use crate::cli::{Format, ReplayArgs, Selection};
use crate::exit::{Exit, Failure};
use longshore_component::LoadedComponent;
use longshore_handler::trace_context::TraceContext;
use longshore_handler::{Handler, Invocation, SessionState};
use longshore_queue::kind::PoisonPlace;
use longshore_sandbox::Sandbox;
use longshore_worker::poison::Envelope;
use longshore_worker::trace;

/// What came of a replay.
#[derive(Serialize)]
struct Replayed<'a> {
    message: ReplayedMessage<'a>,
    /// The digest of the component that got it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(flatten)]
    invoked: Invoked,
}

/// What was known of the message, without its body.
#[derive(Serialize)]
struct ReplayedMessage<'a> {
    id: &'a str,
    queue: &'a str,
    reason: &'a str,
    detail: &'a str,
    dequeue_count: u32,
    /// The digest of the component that failed on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
}

pub(super) async fn execute(args: &ReplayArgs, format: Format) -> Result<Exit, Failure> {
    args.sandbox.grants.check_outbox().map_err(Failure::usage)?;
    let source = args.sandbox.registry.source(args.component.component.clone()).map_err(Failure::usage)?;
    let settings = args.sandbox.settings(1).map_err(Failure::usage)?;
    let which = Selection::default();
    let choice = Choice::new(&args.of, &which)?;
    let shown = look(&choice).await?;
    let messages = shown.as_ref().map_or(&[][..], |shown| &shown.messages);
    let listed = find(&choice, &args.id, messages)?;
    // What is wrong with the message is said before anything is compiled.
    let invocation = invocation(args, &choice, &listed)?;
    let sandbox = Sandbox::new(&settings)?;
    let named = source.to_string();
    let handler = while_compiling(named, LoadedComponent::load(sandbox, source)).await;
    let (invoked, exit) = hand(&handler, invocation, &settings.grants).await;
    report(&listed.envelope, handler.digest().as_deref(), invoked, format)?;
    Ok(exit)
}

/// The message as a handler in a run would get it.
fn invocation(args: &ReplayArgs, choice: &Choice<'_>, listed: &Listed<'_>) -> Result<Invocation, Failure> {
    let envelope = &listed.envelope;
    let cannot = |cause: &str| Failure::other(format!("{} cannot be replayed: {cause}", envelope.id));
    if let Some(why) = listed.unreadable {
        return Err(cannot(&format!("it cannot be read: {why}")));
    }
    let bytes = envelope.body.bytes().ok_or_else(|| cannot("its body was changed, and is no base64"))?;
    let is_moved_whole = matches!(choice.poison.kind().poison, PoisonPlace::Within(_));
    if !is_wrapped(envelope) && !is_moved_whole && Envelope::is_claimed(&bytes) {
        return Err(cannot("another version of longshore wrote its envelope; replay it with that version"));
    }
    let body = args.encoding.decode(&bytes).map_err(|cause| {
        cannot(&format!("the body cannot be decoded: {cause}; is --encoding that of the run?"))
    })?;
    let properties = trace::given(&envelope.properties, &bytes, &body);
    Ok(Invocation {
        id: envelope.id.to_string(),
        queue: args.of.queue.queue.name().to_owned(),
        body,
        // A message that was moved by its service may never have been received.
        dequeue_count: args.dequeue_count.unwrap_or(envelope.dequeue_count).max(1),
        inserted: envelope.inserted,
        deadline: args.deadline,
        trace: TraceContext::of(&properties),
        properties,
        // That was the session's, and is not kept with the message.
        session: SessionState::NoSession,
    })
}

fn report(
    envelope: &Envelope<'_>,
    component: Option<&str>,
    invoked: Invoked,
    format: Format,
) -> Result<(), Failure> {
    let failed = envelope.component.as_deref();
    let mut fields = vec![
        ("id", envelope.id.to_string()),
        ("was poisoned", format!("{}: {}", envelope.reason, envelope.detail)),
    ];
    fields.extend(component.map(|now| match failed {
        Some(failed) if failed != now => ("component", format!("{now}; it failed on {failed}")),
        _ => ("component", now.to_owned()),
    }));
    fields.extend(invoked.fields());
    let message = ReplayedMessage {
        id: &envelope.id,
        queue: &envelope.queue,
        reason: &envelope.reason,
        detail: &envelope.detail,
        dequeue_count: envelope.dequeue_count,
        component: failed,
    };
    print::fields(&fields, &Replayed { message, component, invoked }, format)
}
