//! `longshore poison list|show|redrive|purge`.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::peek::preview;
use super::{counter, poison_url, print_fields, print_json, print_table};
use crate::cli::{Output, Poison, PoisonOf, Redrive, Selection};
use crate::queue::url::open;
use crate::queue::{MAX_RECEIVE, Message, Outgoing, Queue, QueueError, Received};
use crate::worker::poison::Envelope;

/// How many messages are shown at most; a Storage queue shows fewer.
const SHOWN: u32 = 4096;
/// For how long messages are leased while they are looked through.
const LEASE: Duration = Duration::from_secs(5 * 60);

pub(super) async fn execute(verb: Poison, output: Output) -> anyhow::Result<ExitCode> {
    match verb {
        Poison::List { of, which } => list(&of, &which, output).await?,
        Poison::Show { of, id } => show(&of, &id, output).await?,
        Poison::Redrive(args) => redrive(&args, output).await?,
        Poison::Purge { of, which, dry_run } => purge(&of, &which, dry_run, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A poison message as an envelope, also where it came without one.
fn read(message: &Message) -> Envelope<'_> {
    Envelope::parse(&message.body).unwrap_or_else(|| Envelope::unwrapped(message))
}

fn matches(which: &Selection, message: &Message) -> bool {
    which.reason.as_ref().is_none_or(|reason| read(message).reason == reason.as_str())
}

async fn list(of: &PoisonOf, which: &Selection, output: Output) -> anyhow::Result<()> {
    let messages = open(&poison_url(of)).await?.peek(SHOWN).await?;
    let limit = usize::try_from(which.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let chosen = messages.iter().filter(|message| matches(which, message)).take(limit).map(read);
    if output == Output::Json {
        for envelope in chosen {
            print_json(&envelope)?;
        }
        return Ok(());
    }
    let row = |it: Envelope<'_>| {
        let poisoned = it.poisoned.strftime("%F %T").to_string();
        let received = it.dequeue_count.to_string();
        vec![it.id.into_owned(), it.reason.into_owned(), it.detail.into_owned(), received, poisoned]
    };
    print_table(&["id", "reason", "detail", "received", "poisoned"], chosen.map(row))
}

async fn show(of: &PoisonOf, id: &str, output: Output) -> anyhow::Result<()> {
    let url = poison_url(of);
    let messages = open(&url).await?.peek(SHOWN).await?;
    let Some(message) = messages.iter().find(|message| message.id == id || read(message).id == id) else {
        bail!(
            "no message {id} among the first {} of {url}; `longshore poison list` shows them",
            messages.len()
        );
    };
    let envelope = read(message);
    let fields = [
        ("id", envelope.id.to_string()),
        ("queue", envelope.queue.to_string()),
        ("reason", envelope.reason.to_string()),
        ("detail", envelope.detail.to_string()),
        ("received", envelope.dequeue_count.to_string()),
        ("inserted", envelope.inserted.to_string()),
        ("poisoned", envelope.poisoned.to_string()),
        ("component", envelope.component.as_deref().unwrap_or("none was loaded").to_owned()),
        ("body", preview(&envelope.body, usize::MAX)),
    ];
    print_fields(&fields, &envelope, output)
}

async fn redrive(args: &Redrive, output: Output) -> anyhow::Result<()> {
    let poison = open(&poison_url(&args.of)).await?;
    let queue = open(&args.of.queue.queue).await?;
    let tally = if args.dry_run {
        preview_matches(&*poison, &args.which).await?
    } else {
        let pace = args.rate.map(|rate| Duration::from_secs(1) / rate);
        let act = async |received: &Received| {
            queue.send(restored(&received.message)).await?;
            // The copy is safe: a crash here sends it once more, with the same id.
            poison.delete(&received.message.id, &received.receipt).await
        };
        work_through(&*poison, &args.which, pace, "sent", act).await?
    };
    report(&*queue, &*poison, "redriven", tally, args.dry_run, output)
}

/// The message as it was in its queue, under its original id; what has no envelope goes as it is.
fn restored(message: &Message) -> Outgoing {
    let envelope = read(message);
    Outgoing {
        body: envelope.body.bytes().unwrap_or_else(|| message.body.clone()),
        id: Some(envelope.id.into_owned()),
        properties: envelope.properties.into_owned(),
        ..Outgoing::default()
    }
}

async fn purge(of: &PoisonOf, which: &Selection, dry_run: bool, output: Output) -> anyhow::Result<()> {
    let poison = open(&poison_url(of)).await?;
    let queue = open(&of.queue.queue).await?;
    let tally = if dry_run {
        preview_matches(&*poison, which).await?
    } else {
        let act = async |received: &Received| poison.delete(&received.message.id, &received.receipt).await;
        work_through(&*poison, which, None, "deleted", act).await?
    };
    report(&*queue, &*poison, "purged", tally, dry_run, output)
}

/// How many messages were looked at, and how many of them chosen.
#[derive(Clone, Copy, Default)]
struct Tally {
    seen: u64,
    chosen: u64,
}

async fn preview_matches(poison: &dyn Queue, which: &Selection) -> Result<Tally, QueueError> {
    let messages = poison.peek(SHOWN).await?;
    let chosen = messages.iter().filter(|message| matches(which, message)).count() as u64;
    Ok(Tally { seen: messages.len() as u64, chosen: chosen.min(which.limit.unwrap_or(u64::MAX)) })
}

/// Leases every message once, does something to the chosen ones, and releases the others.
async fn work_through(
    poison: &dyn Queue,
    which: &Selection,
    pace: Option<Duration>,
    verb: &str,
    act: impl AsyncFn(&Received) -> Result<(), QueueError>,
) -> Result<Tally, QueueError> {
    let bar = counter(verb);
    let mut others = Vec::new();
    let done = choose(poison, which, pace, &bar, &act, &mut others).await;
    for received in others {
        // Should this fail, the end of the lease releases it.
        let _ = poison.update(&received.message.id, &received.receipt, Duration::ZERO).await;
    }
    bar.finish_and_clear();
    done
}

async fn choose(
    poison: &dyn Queue,
    which: &Selection,
    pace: Option<Duration>,
    bar: &ProgressBar,
    act: &impl AsyncFn(&Received) -> Result<(), QueueError>,
    others: &mut Vec<Received>,
) -> Result<Tally, QueueError> {
    let limit = which.limit.unwrap_or(u64::MAX);
    let mut tally = Tally::default();
    let mut seen = HashSet::new();
    let mut next = Instant::now();
    loop {
        let room = u32::try_from(limit - tally.chosen).unwrap_or(u32::MAX).min(MAX_RECEIVE);
        // With a pace, one at a time: what is leased must not wait longer than its lease.
        let ask = if pace.is_some() { room.min(1) } else { room };
        let batch = if ask == 0 { Vec::new() } else { poison.receive(ask, LEASE).await? };
        if batch.is_empty() {
            return Ok(tally);
        }
        let first_time = batch.iter().all(|received| seen.insert(received.message.id.clone()));
        let (chosen, rest): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|received| first_time && matches(which, &received.message));
        others.extend(rest);
        if !first_time {
            // A message that we had released, or leased for too long, has come round: everything was seen.
            return Ok(tally);
        }
        tally.seen = seen.len() as u64;
        if let (Some(pace), false) = (pace, chosen.is_empty()) {
            sleep_until(next).await;
            next = Instant::now() + pace;
        }
        try_join_all(chosen.iter().map(|received| act(received))).await?;
        tally.chosen += chosen.len() as u64;
        bar.set_position(tally.chosen);
    }
}

fn report(
    queue: &dyn Queue,
    poison: &dyn Queue,
    verb: &'static str,
    tally: Tally,
    dry_run: bool,
    output: Output,
) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Report {
        queue: String,
        poison_queue: String,
        verb: &'static str,
        seen: u64,
        messages: u64,
        dry_run: bool,
    }
    let (queue, poison_queue) = (queue.url().to_string(), poison.url().to_string());
    let Tally { seen, chosen } = tally;
    let fields = [
        ("queue", queue.clone()),
        ("poison queue", poison_queue.clone()),
        (
            if dry_run { "would be" } else { verb },
            if dry_run { format!("{chosen} {verb}") } else { chosen.to_string() },
        ),
        ("looked at", seen.to_string()),
    ];
    print_fields(&fields, &Report { queue, poison_queue, verb, seen, messages: chosen, dry_run }, output)
}
