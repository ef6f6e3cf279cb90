//! `longshore poison list|show|redrive|purge`.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::preview::preview;
use super::print;
use crate::cli::{Format, PoisonOf, PoisonVerb, RedriveArgs, Selection};
use crate::exit::{Exit, Failure};
use longshore_queue::{MAX_RECEIVE, Message, Outgoing, Queue, QueueError, QueueUrl, Received};
use longshore_queue_drivers::open;
use longshore_worker::poison::Envelope;

/// How many messages are shown at most; a Storage queue shows fewer.
const SHOWN: u32 = 4096;
/// For how long messages are leased while they are looked through.
const LEASE: Duration = Duration::from_secs(5 * 60);

pub(super) async fn execute(verb: PoisonVerb, format: Format) -> Result<Exit, Failure> {
    match verb {
        PoisonVerb::List { of, which } => list(&of, &which, format).await?,
        PoisonVerb::Show { of, id } => show(&of, &id, format).await?,
        PoisonVerb::Redrive(args) => redrive(&args, format).await?,
        PoisonVerb::Purge { of, which, dry_run } => purge(&of, &which, dry_run, format).await?,
    }
    Ok(Exit::Done)
}

fn poison_url(of: &PoisonOf) -> Result<QueueUrl, Failure> {
    of.url().map_err(Failure::usage)
}

/// A poison message as an envelope, also where it came without one.
fn read(message: &Message) -> Envelope<'_> {
    Envelope::parse(&message.body).unwrap_or_else(|| Envelope::unwrapped(message))
}

fn matches(which: &Selection, envelope: &Envelope<'_>) -> bool {
    which.reason.as_ref().is_none_or(|reason| envelope.reason == reason.as_str())
}

async fn list(of: &PoisonOf, which: &Selection, format: Format) -> Result<(), Failure> {
    let messages = open(&poison_url(of)?).await?.peek(SHOWN).await?;
    let limit = usize::try_from(which.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let chosen = messages.iter().map(read).filter(|envelope| matches(which, envelope)).take(limit);
    if format == Format::Json {
        for envelope in chosen {
            print::json(&envelope)?;
        }
        return Ok(());
    }
    let row = |it: Envelope<'_>| {
        let poisoned = it.poisoned.strftime("%F %T").to_string();
        let received = it.dequeue_count.to_string();
        vec![it.id.into_owned(), it.reason.into_owned(), it.detail.into_owned(), received, poisoned]
    };
    print::table(&["id", "reason", "detail", "received", "poisoned"], chosen.map(row))
}

async fn show(of: &PoisonOf, id: &str, format: Format) -> Result<(), Failure> {
    let url = poison_url(of)?;
    let messages = open(&url).await?.peek(SHOWN).await?;
    let mut envelopes = messages.iter().map(|message| (message, read(message)));
    let Some((_, envelope)) = envelopes.find(|(message, it)| message.id == id || it.id == id) else {
        return Err(Failure::other(format!(
            "no message {id} among the first {} of {url}; `longshore poison list` shows them",
            messages.len()
        )));
    };
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
    print::fields(&fields, &envelope, format)
}

async fn redrive(args: &RedriveArgs, format: Format) -> Result<(), Failure> {
    let poison = open(&poison_url(&args.of)?).await?;
    let queue = open(&args.of.queue.queue).await?;
    let tally = if args.dry_run {
        let fate =
            |message: &Message, it: &Envelope<'_>| unfit(&*queue, &body(message, it)).map(Treatment::Skipped);
        preview_matches(&*poison, &args.which, fate).await?
    } else {
        let pace = args.rate.map(|rate| Duration::from_secs(1) / rate);
        let act = async |Received { message, receipt, .. }: &Received, envelope: Envelope<'_>| {
            let body = body(message, &envelope);
            if let Some(reason) = unfit(&*queue, &body) {
                let (message_id, id) = (&message.id, &*envelope.id);
                tracing::warn!(message_id, id, reason, "{} does not take it: it stays", queue.url());
                return Ok(Treatment::Skipped(reason));
            }
            queue.send(restored(body, envelope)).await?;
            // The copy is safe: a crash here sends it once more, with the same id.
            poison.delete(&message.id, receipt).await.map(|()| Treatment::Done)
        };
        work_through(&*poison, &args.which, pace, "sent", act).await?
    };
    report(&*queue, &*poison, "redriven", tally, args.dry_run, format)
}

/// The body as it was in its queue; what has no envelope goes as it is.
fn body(message: &Message, envelope: &Envelope<'_>) -> Bytes {
    envelope.body.bytes().unwrap_or_else(|| message.body.clone())
}

/// The message as it was in its queue, under its original id.
fn restored(body: Bytes, envelope: Envelope<'_>) -> Outgoing {
    let (id, properties) = (envelope.id.into_owned(), envelope.properties.into_owned());
    Outgoing { body, id: Some(id), properties, ..Outgoing::default() }
}

/// Why a queue does not take a body, as one word; `None` if it does. A Storage queue takes text
/// only, and another client may have put something else into it.
fn unfit(queue: &dyn Queue, body: &[u8]) -> Option<&'static str> {
    let alone = |character: char| queue.fits(character.encode_utf8(&mut [0; 4]).as_bytes());
    let is_text = || std::str::from_utf8(body).is_ok_and(|text| text.chars().all(alone));
    if queue.fits(body) {
        None
    } else if body.len() > queue.max_body() || is_text() {
        Some("too-large")
    } else {
        Some("not-text")
    }
}

async fn purge(of: &PoisonOf, which: &Selection, dry_run: bool, format: Format) -> Result<(), Failure> {
    let poison = open(&poison_url(of)?).await?;
    let queue = open(&of.queue.queue).await?;
    let tally = if dry_run {
        preview_matches(&*poison, which, |_, _| None).await?
    } else {
        let act = async |received: &Received, _: Envelope<'_>| {
            poison.delete(&received.message.id, &received.receipt).await.map(|()| Treatment::Done)
        };
        work_through(&*poison, which, None, "deleted", act).await?
    };
    report(&*queue, &*poison, "purged", tally, dry_run, format)
}

/// What was done with a message that was looked at.
enum Treatment {
    /// What was to be done with it is done.
    Done,
    /// It was not chosen.
    Left,
    /// It was chosen, and stays for this reason.
    Skipped(&'static str),
}

/// How many messages were looked at, what was done to how many of them, and how many stayed
/// although they were chosen.
#[derive(Default)]
struct Tally {
    seen: u64,
    done: u64,
    skipped: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn count(&mut self, fate: &Treatment) {
        match fate {
            Treatment::Done => self.done += 1,
            Treatment::Left => {}
            Treatment::Skipped(reason) => *self.skipped.entry(reason).or_default() += 1,
        }
    }
}

/// What would be done, where `fate` says what would not.
async fn preview_matches(
    poison: &dyn Queue,
    which: &Selection,
    fate: impl Fn(&Message, &Envelope<'_>) -> Option<Treatment>,
) -> Result<Tally, QueueError> {
    let messages = poison.peek(SHOWN).await?;
    let mut tally = Tally { seen: messages.len() as u64, ..Tally::default() };
    for (message, envelope) in messages.iter().map(|message| (message, read(message))) {
        if matches(which, &envelope) && which.limit.is_none_or(|limit| tally.done < limit) {
            tally.count(&fate(message, &envelope).unwrap_or(Treatment::Done));
        }
    }
    Ok(tally)
}

/// Leases every message once, does something to the chosen ones, and releases those that stay.
async fn work_through(
    poison: &dyn Queue,
    which: &Selection,
    pace: Option<Duration>,
    verb: &str,
    act: impl AsyncFn(&Received, Envelope<'_>) -> Result<Treatment, QueueError>,
) -> Result<Tally, QueueError> {
    let bar = print::counter(verb);
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
    act: &impl AsyncFn(&Received, Envelope<'_>) -> Result<Treatment, QueueError>,
    others: &mut Vec<Received>,
) -> Result<Tally, QueueError> {
    let limit = which.limit.unwrap_or(u64::MAX);
    let mut tally = Tally::default();
    let mut seen = HashSet::new();
    let mut next = Instant::now();
    loop {
        let room = u32::try_from(limit - tally.done).unwrap_or(u32::MAX).min(MAX_RECEIVE);
        // With a pace, one at a time: what is leased must not wait longer than its lease.
        let ask = if pace.is_some() { room.min(1) } else { room };
        let batch = if ask == 0 { Vec::new() } else { poison.receive(ask, LEASE).await? };
        if batch.is_empty() {
            return Ok(tally);
        }
        if !batch.iter().all(|received| seen.insert(received.message.id.clone())) {
            // A message that we had released, or leased for too long, has come round: everything
            // was seen.
            others.extend(batch);
            return Ok(tally);
        }
        tally.seen = seen.len() as u64;
        let envelopes = batch.iter().map(|it| Some(read(&it.message)).filter(|it| matches(which, it)));
        let envelopes: Vec<_> = envelopes.collect();
        if let (Some(pace), true) = (pace, envelopes.iter().any(Option::is_some)) {
            sleep_until(next).await;
            next = Instant::now() + pace;
        }
        let acting = batch.iter().zip(envelopes).map(async |(received, envelope)| match envelope {
            Some(envelope) => act(received, envelope).await,
            None => Ok(Treatment::Left),
        });
        let mut failed = None;
        let fates = join_all(acting).await;
        for (received, fate) in batch.into_iter().zip(fates) {
            let fate = fate.unwrap_or_else(|error| {
                failed = Some(error);
                Treatment::Left
            });
            tally.count(&fate);
            if !matches!(fate, Treatment::Done) {
                others.push(received);
            }
        }
        bar.set_position(tally.done);
        if let Some(error) = failed {
            return Err(error);
        }
    }
}

fn report(
    queue: &dyn Queue,
    poison: &dyn Queue,
    verb: &'static str,
    tally: Tally,
    dry_run: bool,
    format: Format,
) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Report {
        queue: String,
        poison_queue: String,
        verb: &'static str,
        seen: u64,
        messages: u64,
        skipped: BTreeMap<&'static str, u64>,
        dry_run: bool,
    }
    let (queue, poison_queue) = (queue.url().to_string(), poison.url().to_string());
    let Tally { seen, done, skipped } = tally;
    let reasons: Vec<_> = skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let mut fields = vec![
        ("queue", queue.clone()),
        ("poison queue", poison_queue.clone()),
        (
            if dry_run { "would be" } else { verb },
            if dry_run { format!("{done} {verb}") } else { done.to_string() },
        ),
        ("looked at", seen.to_string()),
    ];
    if !reasons.is_empty() {
        fields.push(("skipped", reasons.join(", ")));
    }
    let report = Report { queue, poison_queue, verb, seen, messages: done, skipped, dry_run };
    print::fields(&fields, &report, format)
}
