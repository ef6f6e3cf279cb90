//! `longshore check`: what can be known before the first message, without touching any.
//!
//! Each queue says in its own way what the identity may do: see [`Queue::may`].

mod deliveries;
mod job;
mod rule;

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::{FAULT, poison_url, print_json, print_table, source};
use crate::cli::{Check, Format, PoisonArg, PoisonOf, QueueArg};
use longshore_azure::Azure;
use longshore_azure::jobs::Job;
use longshore_component::Source;
use longshore_queue::{Outgoing, Queue, QueueError, QueueUrl, Right};
use longshore_queue_drivers::open;
use longshore_sandbox::{Sandbox, Settings};

/// How long the message of `--probe-send` stays hidden, and when it expires.
const PROBE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));

/// Receiving cannot be asked for, since it would lease. Deleting needs the same permission (`messages/process/action`, of a
/// signature `p`); but `messages/delete` is enough for it, and not for receiving without `messages/read`
/// ([Permissions for Queue service operations](https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-queue-service-operations)).
const INFERRED: &str = "asked by deleting a message that does not exist";

/// What is known of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Known {
    /// It is there, or it loads.
    Yes,
    /// It is not.
    No,
    /// The identity may.
    Allowed,
    /// It may not.
    Denied,
    /// It is set as it should be.
    Ok,
    /// It is not.
    Wrong,
    /// Nobody can say without doing it, or there was no clear answer.
    Unknown,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    of: String,
    result: Known,
    /// Whether a run cannot do without.
    needed: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

pub(super) async fn execute(args: Check, format: Format) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    let (mut url, mut poison) = (args.queue.clone(), args.poison.poison_queue.clone());
    let mut job = None;
    if let Some(id) = &args.job {
        let asked = Job::new(id.clone(), args.arm.arm_endpoint.clone(), Azure::shared());
        let setup =
            job::Setup::read(&asked.get().await?).map_err(|cause| anyhow::anyhow!("{id}: {cause}"))?;
        findings.extend(rule::findings(&setup, &id.to_string()));
        // What is said here comes before what the job says.
        url = url.or_else(|| setup.queue());
        poison = poison.or_else(|| setup.poison_queue());
        job = Some((asked, setup));
    }
    if let Some(url) = &url
        && let Some(limit) = url.kind().delivery_limit
    {
        findings.push(deliveries::finding(url, limit, job.as_ref()).await);
    }
    match url {
        Some(url) => queues(url, poison, args.probe_send, &mut findings).await?,
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
        Some(component) => loads(&source(&args.sandbox.registry, component), &args.sandbox.settings(1)).await,
        None => Finding {
            check: "component loads",
            of: "the component".into(),
            result: Known::Unknown,
            needed: true,
            detail: "none is named; name it with --component, and what it is granted".into(),
        },
    });
    match format {
        Format::Json => findings.iter().try_for_each(print_json)?,
        Format::Table => {
            let row = |it: &Finding| {
                let result = format!("{:?}", it.result).to_lowercase();
                vec![it.check.to_owned(), result, it.of.clone(), it.detail.clone()]
            };
            print_table(&["check", "result", "of", "detail"], findings.iter().map(row))?;
        }
    }
    let failed =
        findings.iter().any(|it| it.needed && matches!(it.result, Known::No | Known::Denied | Known::Wrong));
    Ok(if failed { ExitCode::from(FAULT) } else { ExitCode::SUCCESS })
}

/// What can be known of the queue and its poison queue, for the identity that asks.
async fn queues(
    url: QueueUrl,
    poison: Option<QueueUrl>,
    probe_send: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), QueueError> {
    let poison = poison_url(&PoisonOf {
        queue: QueueArg { queue: url.clone() },
        poison: PoisonArg { poison_queue: poison },
    });
    let (queue, poison) = (open(&url).await?, open(&poison).await?);
    permissions(&*queue, findings).await?;
    let receive = poison.may(Right::Receive).await;
    findings.push(exists(&*poison, "poison queue exists", receive).await?);
    // What is moved to a dead-letter sub-queue is not sent: whoever may receive may do that.
    if !poison.url().is_dead_letter_queue() {
        findings.push(may_send(&*poison, probe_send).await?);
    }
    Ok(())
}

/// Whether the queue is there, and whether its messages may be received, renewed and counted.
async fn permissions(queue: &dyn Queue, findings: &mut Vec<Finding>) -> Result<(), QueueError> {
    let receive = queue.may(Right::Receive).await;
    findings.push(exists(queue, "queue exists", receive.clone()).await?);
    let renew = queue.may(Right::Update).await;
    let count = queue.approximate_count().await.map(drop);
    for (check, needed, answer, inferred) in
        [("receive", true, receive, INFERRED), ("renew", false, renew, ""), ("count", false, count, "")]
    {
        let (result, detail) = permission(answer)?;
        let detail = if result == Known::Allowed { inferred.into() } else { detail };
        findings.push(Finding { check, of: queue.url().to_string(), result, needed, detail });
    }
    Ok(())
}

/// Whether the queue is there, from what came of asking for the right to receive. Where that is denied, counting
/// tells. It comes second, since on Service Bus it may be peeking at every message.
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

/// Sends nothing unless asked to; then a message that nobody sees: it expires a second after it would be visible.
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
    let loaded = async {
        let sandbox = Sandbox::new(settings)?;
        source.load(&sandbox).await?;
        anyhow::Ok(())
    };
    let (result, detail) = match loaded.await {
        Ok(()) => (Known::Yes, String::new()),
        Err(error) => (Known::No, format!("{error:#}")),
    };
    Finding { check: "component loads", of: source.to_string(), result, needed: true, detail }
}
