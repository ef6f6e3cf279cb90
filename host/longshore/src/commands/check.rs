//! `longshore check`: what can be known before the first message, without touching any.
//!
//! Each queue says in its own way what the identity may do: see [`Queue::may`].

mod deliveries;
pub(super) mod finding;
pub(super) mod job;
mod reach;
mod room;
pub(super) mod rule;
mod ruling;
mod sessions;
mod telemetry;

use std::ffi::OsString;
use std::time::Duration;

use url::Host;

use self::finding::{Finding, Known};
use self::ruling::Ruling;
use self::telemetry::RunPlace;
use super::loading::while_compiling;
use super::print;
use crate::cli::{CheckArgs, Format, OutboxQueue, PoisonArg, PoisonOf, QueueArg};
use crate::exit::{Exit, Failure};
use crate::memory;
use longshore_azure::Azure;
use longshore_azure::jobs::Job;
use longshore_component::Source;
use longshore_queue::{Outgoing, Queue, QueueError, QueueUrl, Right};
use longshore_queue_drivers::open;
use longshore_sandbox::{IdentityGrant, Sandbox, Settings};

/// How long the message of `--probe-send` stays hidden, and when it expires.
const PROBE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));

/// Receiving cannot be tried, since it would lease. Deleting needs the same permission
/// (`messages/process/action`, or `p` in a signature). But `messages/delete` alone allows deleting,
/// and receiving needs `messages/read` beside it ([Permissions for Queue service
/// operations](https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-queue-service-operations)).
const INFERRED: &str = "asked by deleting a message that does not exist";

pub(super) async fn execute(args: CheckArgs, format: Format) -> Result<Exit, Failure> {
    // Not clap's to say: it does not see that a project file names one of them.
    if args.queue.is_none() && args.job.is_none() {
        return Err(Failure::usage(
            "there is nothing to check: name the queue with --queue, or the job that unloads it with --job",
        ));
    }
    args.sandbox.grants.check_outbox().map_err(Failure::usage)?;
    let settings = args.sandbox.settings(1).map_err(Failure::usage)?;
    let mut findings = Vec::new();
    let (mut url, mut poison) = (args.queue, args.poison.poison_queue);
    // A token goes to these, whatever they are. To what only the job names it does not.
    let named =
        Named([url.as_ref(), poison.as_ref()].into_iter().flatten().map(QueueUrl::token_host).collect());
    // Who named the queue: the command line is wrong, or the set-up of the job.
    let blame = if url.is_some() { Failure::usage } else { Failure::fault };
    let mut outbox = args.sandbox.grants.outbox();
    let mut job = None;
    if let Some(id) = &args.job {
        let asked = Job::new(id.clone(), args.arm.arm_endpoint.clone(), Azure::shared());
        let setup = job::Setup::read(&asked.get().await?)
            .map_err(|cause| Failure::fault(format!("{id}: {cause}")))?;
        findings.extend(rule::findings(&setup, &id.to_string()));
        // What is said here comes before what the job says.
        url = url.or_else(|| setup.queue());
        poison = poison.or_else(|| setup.poison_queue());
        if outbox.is_empty() {
            outbox = setup.outbox();
            outbox.retain(|OutboxQueue { name, url }| {
                let withheld = named.withheld(url, "outbox exists", "--outbox");
                let is_asked = withheld.is_none();
                findings.extend(withheld.map(|it| Finding { of: format!("{name}: {}", it.of), ..it }));
                is_asked
            });
        }
        job = Some((asked, setup));
    }
    if let Some(url) = &url
        && let Some(limit) = url.delivery_limit()
    {
        findings.push(deliveries::finding(url, limit, job.as_ref()).await);
    }
    match url {
        Some(url) => {
            let of_sessions = of_sessions(url.clone(), &named, job.as_ref());
            let of_queues = queues(url, poison, &named, args.probe_send, blame);
            // At once: a service that does not answer is waited for once.
            let (of_queues, of_sessions) = tokio::try_join!(of_queues, of_sessions)?;
            findings.extend(of_queues);
            findings.extend(of_sessions);
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
    for queue in outbox {
        findings.extend(of_outbox(queue, args.probe_outbox).await?);
    }
    findings.extend(match &job {
        Some((_, setup)) if settings.grants.identities.is_empty() => {
            reach::findings(&setup.identities(), IdentityGrant::is_known_service).await
        }
        _ => reach::findings(&settings.grants.identities, |_| true).await,
    });
    findings.extend(match &job {
        Some((_, setup)) => {
            let set = setup.variables().map(|(name, value)| (name, value.into()));
            telemetry::findings(set, RunPlace::Job).await
        }
        None => telemetry::findings(of_this_process(), RunPlace::Here).await,
    });
    if job.is_none() {
        // Nobody but the kernel knows the memory of this process, and of no other.
        let Ruling(result, detail) = match memory::container() {
            Some(container) => room::ruling(container, args.concurrency.concurrency, &args.sandbox),
            None => Ruling::unknown(
                "no limit of memory is set for this process; name the job with --job to ask for its container's",
            ),
        };
        findings.push(Finding { check: "memory", of: "this process".into(), result, needed: false, detail });
    }
    findings.push(match args.component {
        Some(named) => {
            let source = args.sandbox.registry.source(named).map_err(Failure::usage)?;
            loads(&source, &settings).await
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

/// The variables of this process.
fn of_this_process() -> impl Iterator<Item = (String, OsString)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
}

/// The hosts that the command line names.
struct Named(Vec<Option<Host>>);

impl Named {
    /// What is not known of a queue, since only the job names it, at a host that may be anybody's:
    /// a token that is sent there could be used by whoever gets it.
    fn withheld(&self, url: &QueueUrl, check: &'static str, flag: &str) -> Option<Finding> {
        let host = url.token_goes_elsewhere().filter(|_| !self.0.contains(&url.token_host()))?;
        let service = url.kind().name;
        let detail = format!(
            "it was not asked, since it would get your token: only the job names {host}, which is no host of the service that has {service}; if you trust it, name the queue with {flag}"
        );
        Some(Finding { check, of: url.to_string(), result: Known::Unknown, needed: true, detail })
    }
}

/// Whether the job's scale rule fits the queue's sessions, if it has any.
async fn of_sessions(
    url: QueueUrl,
    named: &Named,
    job: Option<&(Job, job::Setup)>,
) -> Result<Option<Finding>, Failure> {
    match job {
        Some((_, setup)) if named.withheld(&url, "sessions", "--queue").is_none() => {
            Ok(sessions::finding(&url, &*open(&url).await?, setup).await?)
        }
        _ => Ok(None),
    }
}

/// What can be known of the queue and its poison queue, for the identity that asks.
async fn queues(
    url: QueueUrl,
    poison: Option<QueueUrl>,
    named: &Named,
    probe_send: bool,
    blame: fn(String) -> Failure,
) -> Result<Vec<Finding>, Failure> {
    let of = PoisonOf { queue: QueueArg { queue: url }, poison: PoisonArg { poison_queue: poison } };
    let poison = of.url().map_err(blame)?;
    let of_queue = async {
        match named.withheld(&of.queue.queue, "queue exists", "--queue") {
            Some(withheld) => Ok(vec![withheld]),
            None => permissions(&*open(&of.queue.queue).await?).await,
        }
    };
    let of_poison = async {
        match named.withheld(&poison, "poison queue exists", "--poison-queue") {
            Some(withheld) => Ok(vec![withheld]),
            None => poison_permissions(&*open(&poison).await?, probe_send).await,
        }
    };
    // At once: a service that does not answer is waited for once.
    let (mut findings, of_poison) = tokio::try_join!(of_queue, of_poison)?;
    findings.extend(of_poison);
    Ok(findings)
}

/// Whether the poison queue is there, and may be sent to.
async fn poison_permissions(poison: &dyn Queue, probe_send: bool) -> Result<Vec<Finding>, QueueError> {
    let receive = poison.may(Right::Receive).await;
    let mut found = exists(poison, "poison queue exists", receive).await?;
    if found.result == Known::No && poison.url().kind().is_made_when_needed() {
        (found.result, found.detail) =
            (Known::Ok, "it is not there yet, and is made when it is needed".into());
    }
    let mut findings = vec![found];
    // What is moved to a dead-letter sub-queue is not sent: the right to receive is enough for
    // that.
    if !poison.url().is_dead_letter_queue() {
        let tells = "only sending tells: try with --probe-send";
        findings.push(may_send(poison, "send poison", probe_send, tells).await?);
    }
    Ok(findings)
}

/// Whether a queue that handlers send to is there, and may be sent to. Where a service does not say
/// it before it is sent anything, a message is sent only where that is asked for by a flag of its
/// own: nobody but the queue's owner knows who reads it.
async fn of_outbox(OutboxQueue { name, url }: OutboxQueue, probe: bool) -> Result<[Finding; 2], QueueError> {
    const TELLS: &str =
        "only sending tells: try with --probe-outbox, whose message its readers may see for a second";
    let queue = open(&url).await?;
    let told = queue.may_send().await;
    let there = match &told {
        // Whoever may send finds it there. A topic cannot be asked for the right to receive.
        Some(Ok(()) | Err(QueueError::QueueNotFound { .. })) => told.clone().unwrap_or(Ok(())),
        _ => queue.may(Right::Receive).await,
    };
    let found = exists(&*queue, "outbox exists", there).await?;
    let is_there = found.result != Known::No;
    let mut sent = match told {
        Some(answer) if is_there => {
            let (result, detail) = permission(answer)?;
            Finding { check: "send outbox", of: url.to_string(), result, needed: true, detail }
        }
        _ => may_send(&*queue, "send outbox", probe && is_there, TELLS).await?,
    };
    if !is_there {
        sent.detail = "there is no queue to send to".into();
    }
    Ok([found, sent].map(|it| Finding { of: format!("{name}: {}", it.of), ..it }))
}

/// Whether the queue is there, and whether its messages may be received, renewed and counted.
async fn permissions(queue: &dyn Queue) -> Result<Vec<Finding>, QueueError> {
    let (receive, renew, count) =
        tokio::join!(queue.may(Right::Receive), queue.may(Right::Update), queue.approximate_count());
    let count = count.map(drop);
    let mut findings = vec![exists(queue, "queue exists", receive.clone()).await?];
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
async fn may_send(
    queue: &dyn Queue,
    check: &'static str,
    probe: bool,
    tells: &str,
) -> Result<Finding, QueueError> {
    let (result, detail) = if probe {
        let (delay, life) = PROBE;
        let body = "{\"longshore\":\"check\"}".into();
        let message = Outgoing { body, delay, time_to_live: Some(life), ..Outgoing::default() };
        permission(queue.send(message).await.map(drop))?
    } else {
        (Known::Unknown, tells.to_owned())
    };
    Ok(Finding { check, of: queue.url().to_string(), result, needed: true, detail })
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
        Ok(sandbox) => {
            while_compiling(source, source.load(&sandbox)).await.map(drop).map_err(|error| error.to_string())
        }
        Err(error) => Err(Failure::from(error).message()),
    };
    let (result, detail) = match loaded {
        Ok(()) => (Known::Yes, String::new()),
        Err(error) => (Known::No, error),
    };
    Finding { check: "component loads", of: source.to_string(), result, needed: true, detail }
}
