//! `longshore poison list|show|replay|redrive|purge`.

mod choice;
mod foresee;
mod foreseen;
mod groups;
mod looked;
mod replay;
mod show;
mod stock;
mod sweep;
mod tally;

use std::time::Duration;

use self::choice::Choice;
use self::foresee::foresee;
use self::foreseen::Foreseen;
use self::groups::PoisonGroup;
use self::looked::{Listed, is_wrapped, listed, look};
use self::stock::take_stock;
use self::sweep::{Swept, sweep};
use self::tally::{Tally, Treatment, messages, note_unreadable};
use super::again::{self, AskedAgain};
use super::{confirm, print};
use crate::cli::{Format, PoisonOf, PoisonVerb, PurgeArgs, RedriveArgs, Selection};
use crate::exit::{Clause, Exit, Failure};
use longshore_queue::kind::PoisonPlace;
use longshore_queue::{Outgoing, Queue, QueueError, QueueUrl, Received, Specimen, Whole};
use longshore_queue_drivers::open;
use longshore_worker::poison::Envelope;

pub(super) async fn execute(verb: PoisonVerb, format: Format) -> Result<Exit, Failure> {
    match verb {
        PoisonVerb::List { of, which, all } => list(&of, &which, all, format).await?,
        PoisonVerb::Show { of, id } => show::show(&of, &id, format).await?,
        PoisonVerb::Replay(args) => return replay::execute(&args, format).await,
        PoisonVerb::Redrive(args) => redrive(&args, format).await?,
        PoisonVerb::Purge(args) => purge(&args, format).await?,
    }
    Ok(Exit::Done)
}

async fn list(of: &PoisonOf, which: &Selection, all: bool, format: Format) -> Result<(), Failure> {
    let mut choice = Choice::new(of, which)?;
    let shown = look(&choice).await?;
    let messages = shown.as_ref().map_or(&[][..], |shown| &shown.messages);
    choice.resolve(messages, false)?;
    let limit = usize::try_from(which.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let listed = |it| (it, listed(&choice, it));
    let chosen = messages
        .iter()
        .map(listed)
        .filter(|(it, listed)| choice.matches(&it.message, listed.unreadable, &listed.envelope))
        .map(|(_, listed)| listed)
        .take(limit);
    if !all && which.ids.is_empty() {
        let groups = groups::grouped(chosen);
        if format == Format::Json {
            groups.iter().try_for_each(print::json)?;
        } else {
            let rows = groups.into_iter().map(PoisonGroup::row);
            print::overview(&groups::HEADER, rows, groups::COUNT_AND_REASON)?;
        }
    } else if format == Format::Json {
        chosen.into_iter().try_for_each(|it| print::json(&it))?;
    } else {
        let header = ["id", "reason", "detail", "received", "poisoned"];
        print::table_of_messages(&header, chosen.map(Listed::row))?;
    }
    let passed_over = |it: &&Specimen| {
        it.damaged.is_some() && !choice.matches(&it.message, it.damaged.as_deref(), &choice.read(&it.message))
    };
    if which.detail.is_some() {
        note_unreadable(messages.iter().filter(passed_over).count() as u64);
    }
    if let Some(count) = shown.as_ref().and_then(|shown| shown.of_about) {
        print::note(&format!(
            "looked at {} of about {count} messages; the rest is leased or not shown by the queue",
            messages.len()
        ));
    }
    Ok(())
}

async fn redrive(args: &RedriveArgs, format: Format) -> Result<(), Failure> {
    let mut choice = Choice::new(&args.of, &args.which)?;
    choice.to = args.to.as_ref();
    let queue = open(target(args, &choice)?).await?;
    // What does not fit is known before anything is sent.
    queue.learn_limits().await;
    let verb = "redriven";
    let Some(stock) = take_stock(&choice, args.bounds.inserted_until).await? else {
        choice.resolve(&[], false)?;
        let nothing = Foreseen::default();
        return Tally::default().report(&choice, verb, args.dry_run.then_some(&nothing), format);
    };
    choice.resolve(&stock.look.messages, !stock.look.shows_all)?;
    let sender = Redriver { choice: &choice, queue: &*queue, any_queue: args.any_queue };
    if args.dry_run {
        let fate = |it: &Specimen, envelope: &Envelope<'_>| {
            sender.obstacle(it.damaged.is_some(), envelope, it.whole.as_ref())
        };
        let (tally, foreseen) = foresee(&choice, &stock, args.bounds.at_most, fate);
        return tally.report(&choice, verb, Some(&foreseen), format);
    }
    let (poison, bounds) = stock.bounds(args.bounds.at_most)?;
    let pace = args.rate.map(|rate| Duration::from_secs(1) / rate);
    let act = async |received: &Received, envelope: Envelope<'_>| {
        // In an envelope lies what the worker wrote.
        let whole = match is_wrapped(&envelope) {
            true => None,
            false => again::ask(async || poison.whole(received).await).await.answer?,
        };
        if let Some(reason) = sender.obstacle(received.damaged.is_some(), &envelope, whole.as_ref()) {
            return Ok(sender.stays(received, reason, None));
        }
        match sender.send(&envelope, whole).await? {
            Some((reason, error)) => Ok(sender.stays(received, reason, Some(&error))),
            None => {
                // The copy is safe: a crash here sends it once more, with the same id.
                longshore_failpoint::kill_at("between-redrive-and-delete");
                remove(&*poison, received).await
            }
        }
    };
    let swept = sweep(&*poison, &choice, bounds, pace, print::counter("sent"), act).await?;
    conclude(swept, &choice, verb, format)
}

/// Where poison messages are sent: back to their queue, or to the one that is named.
fn target<'a>(args: &'a RedriveArgs, choice: &Choice<'a>) -> Result<&'a QueueUrl, Failure> {
    let refused = |why: String| Failure::usage(format!("{why}; nothing was sent"));
    match (&args.to, choice.queue.subscription()) {
        (None, None) => Ok(choice.queue),
        (None, Some((topic, _))) => Err(refused(format!(
            "{} is a subscription: what is sent to its topic `{topic}` reaches all other subscriptions as well; \
             hand them to the handler with `longshore run --queue {}`, or name a queue with --to",
            choice.queue, choice.poison
        ))),
        (Some(to), _) if to.is_same_queue(&choice.poison) => {
            Err(refused(format!("--to names the poison queue itself, {to}; name another queue")))
        }
        (Some(to), _) if to.is_topic_of(choice.queue) => Err(refused(format!(
            "--to names the topic of {}, which hands each message to all of its subscriptions; name a queue",
            choice.queue
        ))),
        (Some(to), _) if to.subscription().is_some() => Err(refused(format!(
            "--to names {to}, and nothing can be sent to a subscription: it gets copies of what its topic is sent; \
             name a queue, or hand the messages to the handler with `longshore run --queue {}`",
            choice.poison
        ))),
        (Some(to), _) => Ok(to),
    }
}

/// Deletes what was dealt with.
async fn remove(poison: &dyn Queue, received: &Received) -> Result<Treatment, QueueError> {
    let (id, receipt) = (&received.message.id, &received.receipt);
    let AskedAgain { answer, was_unclear } = again::ask(async || poison.delete(id, receipt).await).await;
    match answer {
        Ok(()) => Ok(Treatment::Done),
        Err(error) if error.is_stale() && was_unclear => Ok(Treatment::Done),
        Err(error) if error.is_stale() => Ok(Treatment::Skipped("lease-lost")),
        Err(error) => Err(error),
    }
}

/// Sends poison messages back, and knows which it cannot send.
struct Redriver<'a> {
    choice: &'a Choice<'a>,
    queue: &'a dyn Queue,
    any_queue: bool,
}

impl Redriver<'_> {
    /// Why a message is not sent back, as one word.
    fn obstacle(
        &self,
        damaged: bool,
        envelope: &Envelope<'_>,
        whole: Option<&Whole>,
    ) -> Option<&'static str> {
        if !self.any_queue
            && let Some(reason) = self.choice.stranger(envelope)
        {
            return Some(reason);
        }
        let poison = self.choice.poison.kind();
        let keeps_types = matches!(poison.poison, PoisonPlace::Within(_));
        if !is_wrapped(envelope) && keeps_types && poison.name == self.queue.url().kind().name {
            // As its sender sent it, or not at all.
            return whole.is_none().then_some("undecodable");
        }
        let Some(body) = envelope.body.bytes().filter(|_| !damaged) else { return Some("undecodable") };
        // Another version wrote it, whose body this one cannot take out.
        if !is_wrapped(envelope) && !keeps_types && Envelope::is_claimed(&body) {
            return Some("undecodable");
        }
        unfit(self.queue, &body)
    }

    /// Sends it. What the queue does not take of this one message is a reason, with the cause.
    async fn send(
        &self,
        envelope: &Envelope<'_>,
        whole: Option<Whole>,
    ) -> Result<Option<(&'static str, QueueError)>, QueueError> {
        let life =
            envelope.expires.and_then(|at| Duration::try_from(at.duration_since(envelope.inserted)).ok());
        let message = Outgoing {
            body: envelope.body.bytes().unwrap_or_default(),
            id: Some(envelope.id.to_string()),
            time_to_live: life.filter(|life| !life.is_zero()),
            properties: envelope.properties.to_vec(),
            whole,
            ..Outgoing::default()
        };
        match again::ask(async || self.queue.send(message.clone()).await).await.answer {
            Ok(_) => Ok(None),
            Err(error @ QueueError::TooLarge { .. }) => Ok(Some(("too-large", error))),
            Err(error @ QueueError::Fault { .. }) => Ok(Some(("refused", error))),
            Err(error @ QueueError::Unclear { .. }) => Ok(Some(("unclear", error))),
            Err(error) => Err(error),
        }
    }

    fn stays(&self, received: &Received, reason: &'static str, error: Option<&QueueError>) -> Treatment {
        let error = error.map(tracing::field::display);
        tracing::warn!(
            message_id = received.message.id,
            reason,
            error,
            "not sent to {}: it stays",
            self.queue.url()
        );
        Treatment::Skipped(reason)
    }
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

async fn purge(args: &PurgeArgs, format: Format) -> Result<(), Failure> {
    let mut choice = Choice::new(&args.of, &args.which)?;
    let verb = "purged";
    if !args.yes && !args.dry_run && !confirm::has_keyboard() && !args.which.chooses() {
        return Err(Failure::usage(format!(
            "nothing was deleted: no id and no filter says which messages of {} are meant, and there is no terminal to ask on; give --yes to delete all of them",
            choice.poison
        )));
    }
    let Some(stock) = take_stock(&choice, args.bounds.inserted_until).await? else {
        choice.resolve(&[], false)?;
        let nothing = Foreseen::default();
        return Tally::default().report(&choice, verb, args.dry_run.then_some(&nothing), format);
    };
    choice.resolve(&stock.look.messages, !stock.look.shows_all)?;
    let (tally, foreseen) = foresee(&choice, &stock, args.bounds.at_most, |_, _| None);
    if args.dry_run {
        return tally.report(&choice, verb, Some(&foreseen), format);
    }
    if !args.yes && confirm::is_unheard() {
        return Err(Failure::usage(
            "the question cannot be shown, since standard error is no terminal; give --yes if they are to be deleted",
        ));
    }
    let mut at_most = args.bounds.at_most;
    if !args.yes && confirm::is_attended() {
        // A filter may choose any of those that the queue does not show.
        let room = args.which.limit.unwrap_or(u64::MAX).min(at_most.unwrap_or(u64::MAX));
        let more = stock.not_shown().min(room.saturating_sub(tally.done));
        let asked = asked_about(tally.done, more, &choice.poison);
        confirm::confirm_deletion(&asked)?;
        at_most = Some(tally.done + more);
    }
    let (poison, bounds) = stock.bounds(at_most)?;
    let act = async |received: &Received, _: Envelope<'_>| remove(&*poison, received).await;
    let swept = sweep(&*poison, &choice, bounds, None, print::counter("deleted"), act).await?;
    conclude(swept, &choice, verb, format)
}

/// What a person is asked about: messages that were shown, and more that were not.
fn asked_about(shown: u64, more: u64, poison: &QueueUrl) -> String {
    let messages = messages(shown);
    match more {
        0 => format!("{messages} of {poison}"),
        _ => format!("{messages} of {poison}, and up to {more} more that it does not show,"),
    }
}

/// Says what was done, and whether that is all that was asked for.
fn conclude(swept: Swept, choice: &Choice<'_>, verb: &'static str, format: Format) -> Result<(), Failure> {
    let Swept { tally, ended } = swept;
    if ended.is_none() || tally.seen > 0 {
        tally.report(choice, verb, None, format)?;
    }
    if let Some(failure) = ended {
        let were = if tally.done == 1 { "was" } else { "were" };
        return Err(failure).during(|| format!("{} {were} {verb} before this", messages(tally.done)));
    }
    tally.complete(choice, verb)
}
