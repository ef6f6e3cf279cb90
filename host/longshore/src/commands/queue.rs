//! `longshore queue create|list|stats|sessions|delete|compact`.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{again, confirm, print};
use crate::cli::{Format, QueueDeleteArgs, QueueSessionsArgs, QueueVerb};
use crate::exit::{Exit, Failure};
use longshore_queue::queue::Compacted;
use longshore_queue::{Queue, QueueError, QueueUrl, SessionLook, SessionStanding};
use longshore_queue_drivers::open;

/// How many queues are counted at once.
const MAX_COUNTS_IN_FLIGHT: usize = 16;
/// For how long sessions that are held are asked for again: longer than a look at one takes.
const MOMENT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Created {
    queue: String,
    created: bool,
}

#[derive(Serialize)]
struct Listed {
    queue: String,
    name: String,
    /// `None` where it could not be counted.
    approximate_count: Option<u64>,
}

#[derive(Serialize)]
struct Deleted {
    queue: String,
    deleted: bool,
    /// How many messages went with it; `None` where they could not be counted.
    messages: Option<u64>,
    /// The queue's poison queue, if there is one that stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    poison_queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poison_messages: Option<u64>,
}

#[derive(Serialize)]
struct CompactedQueue {
    queue: String,
    before_bytes: u64,
    after_bytes: u64,
}

#[derive(Serialize)]
struct Stats {
    queue: String,
    approximate_count: u64,
}

pub(super) async fn execute(verb: QueueVerb, format: Format) -> Result<Exit, Failure> {
    match verb {
        QueueVerb::Create(args) => {
            let created = open(&args.queue).await?.create().await?;
            let result = Created { queue: args.queue.to_string(), created };
            let what = if created { "created" } else { "it was there" };
            print::fields(&[("queue", result.queue.clone()), ("result", what.into())], &result, format)?;
        }
        QueueVerb::List(args) => list(&args.queue, format).await?,
        QueueVerb::Delete(args) => delete(&args, format).await?,
        QueueVerb::Stats(args) => {
            let approximate_count = open(&args.queue).await?.approximate_count().await?;
            let result = Stats { queue: args.queue.to_string(), approximate_count };
            let fields =
                [("queue", result.queue.clone()), ("approximate count", approximate_count.to_string())];
            print::fields(&fields, &result, format)?;
        }
        QueueVerb::Sessions(args) => sessions(&args, format).await?,
        QueueVerb::Compact(args) => {
            let Compacted { before, after } = open(&args.queue).await?.compact().await?;
            let queue = args.queue.to_string();
            let result = CompactedQueue { queue, before_bytes: before, after_bytes: after };
            let kibibytes = |bytes: u64| format!("{} KiB", bytes >> 10);
            let fields =
                [("queue", result.queue.clone()), ("before", kibibytes(before)), ("after", kibibytes(after))];
            print::fields(&fields, &result, format)?;
        }
    }
    Ok(Exit::Done)
}

/// Lists what lies beside a queue, each with its count.
async fn list(beside: &QueueUrl, format: Format) -> Result<(), Failure> {
    let queue = open(beside).await?;
    let names = again::ask(async || queue.list().await).await.answer?;
    let counting = names.into_iter().map(async |name| {
        let url = beside.beside(&name);
        // Whoever may list may not always count.
        let approximate_count = match open(&url).await {
            Ok(queue) => again::ask(async || queue.approximate_count().await).await.answer.ok(),
            Err(_) => None,
        };
        Listed { queue: url.to_string(), name, approximate_count }
    });
    let listed: Vec<_> = stream::iter(counting).buffered(MAX_COUNTS_IN_FLIGHT).collect().await;
    if format == Format::Json {
        return listed.iter().try_for_each(print::json);
    }
    let row = |it: &Listed| {
        let count = it.approximate_count.map_or_else(|| "not known".to_owned(), |count| count.to_string());
        vec![it.name.clone(), count, it.queue.clone()]
    };
    print::table(&["name", "approximate count", "queue"], listed.iter().map(row))
}

#[derive(Serialize)]
struct Continued<'a> {
    session: &'a str,
    continued: bool,
    /// What it was doing before.
    standing: SessionStanding,
}

/// Lists the sessions of a queue, or lets those go on that are named.
async fn sessions(args: &QueueSessionsArgs, format: Format) -> Result<(), Failure> {
    let url = &args.queue.queue;
    let queue = open(url).await?;
    if !args.go_on.is_empty() {
        return go_on(&*queue, &args.go_on, format).await;
    }
    let Some(sessions) = again::ask(async || queue.look_at_groups().await).await.answer? else {
        return Err(Failure::usage(format!(
            "{url} has no sessions; name a queue or a subscription of Service Bus that requires them"
        )));
    };
    if sessions.len() >= SessionLook::MOST_LISTED {
        print::note(&format!("showed {} sessions, and looked at no more", sessions.len()));
    }
    if format == Format::Json {
        return sessions.iter().try_for_each(print::json);
    }
    let row = |it: &SessionLook| {
        let more = if it.messages >= u64::from(SessionLook::MOST_COUNTED) { " or more" } else { "" };
        vec![it.id.clone(), format!("{}{more}", it.messages), words(it.standing).to_owned()]
    };
    print::table(&["session", "messages", "standing"], sessions.iter().map(row))
}

fn words(standing: SessionStanding) -> &'static str {
    match standing {
        SessionStanding::Free => "free",
        SessionStanding::Taken => "held by a run",
        SessionStanding::StandsStill => "stands still after a poisoned message",
    }
}

/// Lets sessions go on. Whoever looks at one holds it for a moment, and who has just left it still
/// does: those are asked for again.
async fn go_on(queue: &dyn Queue, sessions: &[String], format: Format) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut tell = |session: &str, standing| {
        let continued = standing == SessionStanding::StandsStill;
        let result = if continued { "goes on" } else { words(standing) };
        rows.push(vec![session.to_owned(), result.to_owned()]);
        match format {
            Format::Json => print::json(&Continued { session, continued, standing }),
            Format::Table => Ok(()),
        }
    };
    let mut left: Vec<&str> = sessions.iter().map(String::as_str).collect();
    let mut ends = None;
    loop {
        let mut held = Vec::new();
        for session in left {
            match again::ask(async || queue.let_go_on(session).await).await.answer? {
                SessionStanding::Taken => held.push(session),
                standing => tell(session, standing)?,
            }
        }
        left = held;
        if left.is_empty() || Instant::now() >= *ends.get_or_insert_with(|| Instant::now() + MOMENT) {
            break;
        }
        sleep(MOMENT / 10).await;
    }
    left.iter().try_for_each(|session| tell(session, SessionStanding::Taken))?;
    if format == Format::Table {
        print::table(&["session", "result"], rows)?;
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::other(format!(
        "held by a run: {}. It keeps what stands still until it ends: try again then",
        left.join(", ")
    )))
}

/// Deletes a queue, and says what went with it and what stays.
async fn delete(args: &QueueDeleteArgs, format: Format) -> Result<(), Failure> {
    let url = &args.queue.queue;
    let queue = open(url).await?;
    let mut messages = counted(&*queue).await?;
    if !args.yes {
        let holds = messages.map_or_else(|| "all".to_owned(), |count| count.to_string());
        let what = format!("{url} and the {holds} messages in it");
        if !confirm::is_attended() {
            return Err(Failure::usage(format!(
                "nothing was deleted, since there is no terminal to ask on: {what} would be gone; give --yes"
            )));
        }
        confirm::confirm_deletion(&what)?;
        let asked_about = messages;
        messages = counted(&*queue).await?;
        if messages > asked_about {
            return Err(Failure::other(format!(
                "nothing was deleted: {url} holds {} messages now, more than you were asked about; run this again",
                messages.unwrap_or_default()
            )));
        }
    }
    let deleting = again::ask(async || queue.delete_queue().await).await;
    match deleting.answer {
        // The first try has done it.
        Err(QueueError::QueueNotFound { .. }) if deleting.was_unclear => {}
        answer => answer?,
    }
    let poison = left_behind(url).await;
    let (poison_queue, poison_messages) = poison.map(|(url, count)| (url.to_string(), count)).unzip();
    let result = Deleted { queue: url.to_string(), deleted: true, messages, poison_queue, poison_messages };
    let gone = messages.map_or_else(|| "not counted".to_owned(), |count| count.to_string());
    let mut fields =
        vec![("queue", result.queue.clone()), ("result", "deleted".into()), ("messages deleted", gone)];
    if let (Some(poison), Some(count)) = (&result.poison_queue, result.poison_messages) {
        fields.push(("poison queue", format!("{poison} stays, with {count} messages")));
    }
    print::fields(&fields, &result, format)
}

/// How many messages a queue holds; `None` for those who may delete it, and may not count.
async fn counted(queue: &dyn Queue) -> Result<Option<u64>, Failure> {
    match again::ask(async || queue.approximate_count().await).await.answer {
        Ok(count) => Ok(Some(count)),
        Err(QueueError::Denied { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The poison queue that a queue leaves behind, and how many messages it holds.
async fn left_behind(url: &QueueUrl) -> Option<(QueueUrl, u64)> {
    let poison = url.poison().ok().filter(|poison| !poison.is_dead_letter_queue())?;
    let count = open(&poison).await.ok()?.approximate_count().await.ok()?;
    Some((poison, count))
}
