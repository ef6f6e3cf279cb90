//! `longshore peek`.

use serde::Serialize;

use super::preview::preview;
use super::print;
use crate::cli::{Format, PeekArgs};
use crate::exit::{Exit, Failure};
use longshore_queue::Message;
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
}

pub(super) async fn execute(args: &PeekArgs, format: Format) -> Result<Exit, Failure> {
    let messages = open(&args.queue.queue).await?.peek(args.limit).await?;
    if format == Format::Json {
        for message in &messages {
            print::json(&Shown {
                id: &message.id,
                dequeue_count: message.dequeue_count,
                inserted: message.inserted,
                time_to_live_s: message.time_to_live.map(|left| left.as_secs()),
                properties: &message.properties,
                body: Body::of(&message.body),
            })?;
        }
    } else {
        print::table(&["id", "received", "inserted", "bytes", "body"], messages.iter().map(row))?;
    }
    Ok(Exit::Done)
}

fn row(message: &Message) -> Vec<String> {
    let inserted = message.inserted.strftime("%F %T").to_string();
    let body = preview(&Body::of(&message.body), PREVIEW);
    vec![
        message.id.clone(),
        message.dequeue_count.to_string(),
        inserted,
        message.body.len().to_string(),
        body,
    ]
}
