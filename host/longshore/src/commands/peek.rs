//! `longshore peek`.

use serde::Serialize;

use super::preview::preview;
use super::{again, print};
use crate::cli::{Format, PeekArgs};
use crate::exit::{Exit, Failure};
use longshore_queue::Specimen;
use longshore_queue_drivers::open;
use longshore_worker::poison::Body;

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
    let messages = again::ask(async || queue.examine(args.limit).await).await.answer?;
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
        print::table(&["id", "received", "inserted", "bytes", "body"], messages.iter().map(row))?;
    }
    let shown = messages.len() as u64;
    if shown < u64::from(args.limit) {
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

fn row(Specimen { message, damaged, .. }: &Specimen) -> Vec<String> {
    let inserted = message.inserted.strftime("%F %T").to_string();
    let body = match damaged {
        Some(why) => format!("cannot be read: {why}"),
        None => preview(&Body::of(&message.body), PREVIEW),
    };
    vec![
        message.id.clone(),
        message.dequeue_count.to_string(),
        inserted,
        message.body.len().to_string(),
        body,
    ]
}
