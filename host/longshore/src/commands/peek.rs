//! `longshore peek`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::preview::preview;
use super::{again, ids, print};
use crate::cli::{Format, PeekArgs, without_secrets};
use crate::exit::{Exit, Failure};
use longshore_queue::{Specimen, session_of};
use longshore_queue_drivers::open;
use longshore_worker::poison::Body;

/// Among how many messages those are looked for that are named; a Storage queue shows fewer.
const LOOKED_AT: u32 = 32 * 1024;

/// How much of a body a table shows, in characters.
const PREVIEW: usize = 80;

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    dequeue_count: u32,
    inserted: jiff::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_live_s: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    properties: &'a [(String, String)],
    #[serde(flatten)]
    body: Body<'a>,
    /// Why the body cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'a str>,
}

pub(super) async fn execute(args: &PeekArgs, format: Format) -> Result<Exit, Failure> {
    let queue = open(&args.queue.queue).await?;
    let look_at = if args.ids.is_empty() { args.limit } else { LOOKED_AT };
    let mut messages = again::ask(async || queue.examine(look_at).await).await.answer?;
    if !args.ids.is_empty() {
        let ids = messages.iter().map(|it| (&*it.message.id, &*it.message.id));
        let mut named = BTreeSet::new();
        for text in &args.ids {
            let found = ids::resolve(text, ids.clone())?;
            named.insert(found.ok_or_else(|| {
                Failure::other(format!(
                    "no message {} among the first {} of {} that are visible; `longshore peek` shows them",
                    without_secrets(text),
                    messages.len(),
                    args.queue.queue
                ))
            })?);
        }
        messages.retain(|it| named.contains(&it.message.id));
    }
    if format == Format::Json {
        for Specimen { message, damaged, .. } in &messages {
            print::json(&Shown {
                id: &message.id,
                dequeue_count: message.dequeue_count,
                inserted: message.inserted,
                time_to_live_s: message.time_to_live.map(|left| left.as_secs()),
                properties: &message.properties,
                body: Body::of(&message.body),
                unreadable: damaged.as_deref(),
            })?;
        }
    } else {
        print::table_of_messages(&["id", "received", "inserted", "bytes", "body"], messages.iter().map(row))?;
    }
    let shown = messages.len() as u64;
    if args.ids.is_empty() && shown < u64::from(args.limit) {
        // Whether it may be counted is no condition for looking at it.
        let count = queue.approximate_count().await.unwrap_or_default();
        if count > shown {
            print::note(&format!(
                "showed {shown} of about {count} messages; the rest is leased, delayed, or not shown by the queue"
            ));
        }
    }
    Ok(Exit::Done)
}

/// A message's session, if it has one, and what else is shown of it.
fn row(Specimen { message, damaged, .. }: &Specimen) -> (Option<String>, Vec<String>) {
    let inserted = message.inserted.strftime("%F %T").to_string();
    let body = match damaged {
        Some(why) => format!("cannot be read: {why}"),
        None => preview(&Body::of(&message.body), PREVIEW),
    };
    let row = vec![
        message.id.clone(),
        message.dequeue_count.to_string(),
        inserted,
        message.body.len().to_string(),
        body,
    ];
    (session_of(&message.properties).map(str::to_owned), row)
}
