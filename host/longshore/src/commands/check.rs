//! `longshore check`: what can be known before the first message, without touching any.
//!
//! Each queue says in its own way what the identity may do: see [`Queue::may`].

mod deliveries;
mod finding;
mod job;
mod rule;
mod ruling;

use std::time::Duration;

use self::finding::{Finding, Known};
use super::print;
use crate::cli::{CheckArgs, Format, PoisonArg, PoisonOf, QueueArg};
use crate::exit::{Exit, Failure};
use longshore_azure::Azure;
use longshore_azure::jobs::Job;
use longshore_component::Source;
use longshore_queue::{Outgoing, Queue, QueueError, QueueUrl, Right};
use longshore_queue_drivers::open;
use longshore_sandbox::{Sandbox, Settings};

/// How long the message of `--probe-send` stays hidden, and when it expires.
const PROBE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));

/// Receiving cannot be tried, since it would lease. Deleting needs the same permission
/// (`messages/process/action`, or `p` in a signature). But `messages/delete` alone allows deleting,
/// and receiving needs `messages/read` beside it ([Permissions for Queue service
/// operations](https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-queue-service-operations)).
const INFERRED: &str = "asked by deleting a message that does not exist";

pub(super) async fn execute(args: CheckArgs, format: Format) -> Result<Exit, Failure> {
    args.sandbox.grants.check_outbox().map_err(Failure::usage)?;
    let mut findings = Vec::new();
    let (mut url, mut poison) = (args.queue.map(|it| it.queue), args.poison.poison_queue);
    // Who named the queue: the command line is wrong, or the set-up of the job.
    let blame = if url.is_some() { Failure::usage } else { Failure::fault };
    // A host that only a job's settings name gets no token of ours.
    let (queue_is_named, poison_is_named) = (url.is_some(), poison.is_some());
    let mut job = None;
    if let Some(named) = &args.job {
        let id = &named.job;
        let asked = Job::new(id.clone(), args.arm.arm_endpoint.clone(), Azure::shared());
        let setup = job::Setup::read(&asked.get().await?)
            .map_err(|cause| Failure::fault(format!("{id}: {cause}")))?;
        findings.extend(rule::findings(&setup, &id.to_string()));
        // What is said here comes before what the job says.
        url = url.or_else(|| setup.queue());
        poison = poison.or_else(|| setup.poison_queue());
        job = Some((asked, setup));
    }
    if let Some(url) = &url
        && let Some(limit) = &url.kind().delivery_limit
    {
        findings.push(deliveries::finding(url, limit, job.as_ref()).await);
    }
    match url {
        Some(url) => {
            let trusted = Named { queue: queue_is_named, poison: poison_is_named };
            findings.extend(queues(url, poison, trusted, args.probe_send, blame).await?);
        }
        // Only a job can hide it: without one the queue is required.
        None => findings.push(Finding {
            check: "queue exists",
            of: "the job's queue".into(),
            result: Known::Unknown,
            needed: true,
            detail: "its URL is not in a variable that can be read; name it with --queue".into(),
        }),
    }
    findings.push(match args.component {
        Some(named) => {
            let source = args.sandbox.registry.source(named.component).map_err(Failure::usage)?;
            loads(&source, &args.sandbox.settings(1)).await
        }
        None => Finding {
            check: "component loads",
            of: "the component".into(),
            result: Known::Unknown,
            needed: true,
            detail: "none is named; name it with --component, and what it is granted".into(),
        },
    });
    match format {
        Format::Json => findings.iter().try_for_each(print::json)?,
        Format::Table => {
            let row = |it: &Finding| {
                let result = format!("{:?}", it.result).to_lowercase();
                vec![it.check.to_owned(), result, it.of.clone(), it.detail.clone()]
            };
            print::table(&["check", "result", "of", "detail"], findings.iter().map(row))?;
        }
    }
    let failed =
        findings.iter().any(|it| it.needed && matches!(it.result, Known::No | Known::Denied | Known::Wrong));
    Ok(if failed { Exit::Fault } else { Exit::Done })
}

/// Which queues the operator named, and not only the settings of the job.
#[derive(Clone, Copy, Debug)]
struct Named {
    queue: bool,
    poison: bool,
}

/// That a queue is not asked anything, since this process's token would go to a host that only the
/// job's settings name.
fn not_asked(check: &'static str, url: &QueueUrl, host: &str, flag: &str) -> Finding {
    let detail = format!(
        "not asked: {host} is no host of the service's, and a token goes there only if you name it, with {flag}"
    );
    Finding { check, of: url.to_string(), result: Known::Unknown, needed: true, detail }
}

/// What can be known of the queue and its poison queue, for the identity that asks.
async fn queues(
    url: QueueUrl,
    poison: Option<QueueUrl>,
    named: Named,
    probe_send: bool,
    blame: fn(String) -> Failure,
) -> Result<Vec<Finding>, Failure> {
    let of = PoisonOf { queue: QueueArg { queue: url }, poison: PoisonArg { poison_queue: poison } };
    let poison_url = of.url().map_err(blame)?;
    // A poison queue that nobody named lies beside the queue.
    let poison_is_named = named.poison || (named.queue && of.poison.poison_queue.is_none());
    let mut findings = match of.queue.queue.token_goes_to_stranger() {
        Some(host) if !named.queue => vec![not_asked("queue exists", &of.queue.queue, host, "--queue")],
        _ => permissions(&*open(&of.queue.queue).await?).await?,
    };
    if let Some(host) = poison_url.token_goes_to_stranger()
        && !poison_is_named
    {
        findings.push(not_asked("poison queue exists", &poison_url, host, "--poison-queue"));
        return Ok(findings);
    }
    let poison = open(&poison_url).await?;
    let receive = poison.may(Right::Receive).await;
    findings.push(exists(&*poison, "poison queue exists", receive).await?);
    // What is moved to a dead-letter sub-queue is not sent: the right to receive is enough for
    // that.
    if !poison.url().is_dead_letter_queue() {
        findings.push(may_send(&*poison, probe_send).await?);
    }
    Ok(findings)
}

/// Whether the queue is there, and whether its messages may be received, renewed and counted.
async fn permissions(queue: &dyn Queue) -> Result<Vec<Finding>, QueueError> {
    let receive = queue.may(Right::Receive).await;
    let mut findings = vec![exists(queue, "queue exists", receive.clone()).await?];
    let renew = queue.may(Right::Update).await;
    let count = queue.approximate_count().await.map(drop);
    for (check, needed, answer, inferred) in
        [("receive", true, receive, INFERRED), ("renew", false, renew, ""), ("count", false, count, "")]
    {
        let (result, detail) = permission(answer)?;
        let detail = if result == Known::Allowed { inferred.into() } else { detail };
        findings.push(Finding { check, of: queue.url().to_string(), result, needed, detail });
    }
    Ok(findings)
}

/// Whether the queue is there, from what came of asking for the right to receive. Where that is
/// denied, counting tells. It comes second, since on Service Bus it may be peeking at every
/// message.
async fn exists(
    queue: &dyn Queue,
    check: &'static str,
    receive: Result<(), QueueError>,
) -> Result<Finding, QueueError> {
    let answer = match receive {
        Err(QueueError::Denied { .. }) => queue.approximate_count().await.map(drop),
        receive => receive,
    };
    let (result, detail) = match answer {
        Ok(()) => (Known::Yes, String::new()),
        Err(error @ QueueError::QueueNotFound { .. }) => (Known::No, error.to_string()),
        Err(error) => (Known::Unknown, tell(error)?),
    };
    Ok(Finding { check, of: queue.url().to_string(), result, needed: true, detail })
}

/// Sends nothing unless asked to. Then it sends a message that expires a second after it becomes
/// visible.
async fn may_send(poison: &dyn Queue, probe: bool) -> Result<Finding, QueueError> {
    let (result, detail) = if probe {
        let (delay, life) = PROBE;
        let body = "{\"longshore\":\"check\"}".into();
        let message = Outgoing { body, delay, time_to_live: Some(life), ..Outgoing::default() };
        permission(poison.send(message).await.map(drop))?
    } else {
        (Known::Unknown, "only sending tells: try with --probe-send".into())
    };
    Ok(Finding { check: "send poison", of: poison.url().to_string(), result, needed: true, detail })
}

fn permission(answer: Result<(), QueueError>) -> Result<(Known, String), QueueError> {
    match answer {
        Ok(()) => Ok((Known::Allowed, String::new())),
        Err(error @ QueueError::Denied { .. }) => Ok((Known::Denied, error.to_string())),
        Err(error) => Ok((Known::Unknown, tell(error)?)),
    }
}

/// A fault, such as no token, is the same for every question: it ends the check.
fn tell(error: QueueError) -> Result<String, QueueError> {
    match error {
        QueueError::Fault { .. } => Err(error),
        error => Ok(error.to_string()),
    }
}

async fn loads(source: &Source, settings: &Settings) -> Finding {
    let loaded = match Sandbox::new(settings) {
        Ok(sandbox) => source.load(&sandbox).await.map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(Failure::from(error).message()),
    };
    let (result, detail) = match loaded {
        Ok(()) => (Known::Yes, String::new()),
        Err(error) => (Known::No, error),
    };
    Finding { check: "component loads", of: source.to_string(), result, needed: true, detail }
}
