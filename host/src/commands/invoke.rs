//! `longshore invoke`: one message, no queue, the same sandbox.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::io::AsyncReadExt;

use super::print_fields;
use crate::cli::{Invoke, Output, SandboxArgs};
use crate::component::Handler;
use crate::sandbox::{Invocation, Sandbox, Settings, Verdict};

#[derive(Default, Serialize)]
struct Result {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
    duration_ms: f64,
}

impl SandboxArgs {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            memory: (self.memory as usize) << 20,
            log: (self.log_limit as usize) << 10,
            cache: self.cache_dir.clone(),
            ..Settings::default()
        }
    }
}

pub(super) async fn execute(args: Invoke, output: Output) -> anyhow::Result<ExitCode> {
    let body = args.encoding.decode(&body(&args).await?);
    let body =
        body.map_err(|cause| anyhow::anyhow!("the body cannot be decoded: {cause}; is --encoding right?"))?;
    let settings = Settings { concurrency: 1, ..args.sandbox.settings() };
    let handler = Handler::load(Sandbox::new(&settings)?, args.component).await;
    let invocation = Invocation {
        id: args.id,
        queue: args.queue_name,
        body,
        dequeue_count: args.dequeue_count,
        inserted: Timestamp::now(),
        deadline: args.deadline,
        properties: args.properties,
    };
    let started = Instant::now();
    let verdict = handler.handle(invocation).await;
    let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
    let result = match verdict {
        Verdict::Completed => Result { outcome: "completed", duration_ms, ..Result::default() },
        Verdict::Reject { detail } => {
            Result { outcome: "rejected", detail: Some(detail), duration_ms, ..Result::default() }
        }
        Verdict::Retry { reason, detail, after } => Result {
            outcome: "retry",
            reason: Some(reason.as_str()),
            detail: Some(detail),
            after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            duration_ms,
        },
    };
    let mut fields = vec![("outcome", result.outcome.to_owned())];
    fields.extend(result.reason.map(|reason| ("reason", reason.to_owned())));
    fields.extend(result.detail.clone().map(|detail| ("detail", detail)));
    fields.extend(result.after_ms.map(|ms| ("retry after", format!("{ms} ms"))));
    fields.push(("took", format!("{duration_ms:.3} ms")));
    print_fields(&fields, &result, output)?;
    Ok(if result.outcome == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn body(args: &Invoke) -> anyhow::Result<Bytes> {
    if let Some(path) = &args.file {
        let read = tokio::fs::read(path).await;
        return Ok(read.with_context(|| format!("cannot read {}", path.display()))?.into());
    }
    match args.body.as_deref() {
        Some("-") => {
            let mut body = Vec::new();
            tokio::io::stdin().read_to_end(&mut body).await.context("cannot read standard input")?;
            Ok(body.into())
        }
        Some(body) => Ok(Bytes::copy_from_slice(body.as_bytes())),
        None => bail!("no body was given"),
    }
}
