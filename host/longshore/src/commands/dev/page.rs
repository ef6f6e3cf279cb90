//! The page of `longshore dev`: what it shows, and what its buttons do.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub(super) use super::open_link::open_link;
use crate::cli::{DevArgs, without_secrets};
use crate::commands::page::PoisonProgram;
use longshore_dev::page::{
    ChosenPoison, PageActions, PageNames, PageRights, PoisonSweep, Sample, SweepCount, SweepVerb,
};
use longshore_dev::{JobPlan, Kills, Trouble};
use longshore_queue::QueueUrl;
use longshore_worker::scale::KEDA_VERSION;

/// The memory of a replica for each of its cores, in GiB (`infra/types.bicep`).
const GIB_OF_A_CORE: f64 = 2.0;
/// How many files with samples are read, and how large each may be.
const MAX_SAMPLES: usize = 12;
const MAX_SAMPLE: u64 = 64 * 1024;
/// Where a project keeps messages to try.
const SAMPLES: &str = "samples";
/// An order, as the handler of the first steps takes it.
const ORDER: &str = r#"{"order_id": "o-1", "msg": "two books"}"#;

/// How often the queue is counted for the picture. Nobody pays for these counts.
pub(super) const COUNT_EVERY: Duration = Duration::from_secs(1);
/// The same where each count is a call that is paid for.
pub(super) const COUNT_ELSEWHERE_EVERY: Duration = Duration::from_secs(5);

/// What the page calls everything.
pub(super) fn names(plan: &JobPlan, cpu: f64, queue: &QueueUrl, poison: &QueueUrl) -> PageNames {
    let rule = &plan.rule;
    let shown = |it: Duration| humantime::format_duration(it).to_string();
    let mut about = vec![
        format!("Executions start as KEDA {KEDA_VERSION} would start them."),
        format!(
            "KEDA looks every {}: an execution for {} messages, {} at most.",
            shown(plan.poll),
            rule.length,
            rule.max_executions
        ),
        format!(
            "A start takes {}, an execution {} at most.",
            shown(plan.start_delay),
            shown(plan.replica_timeout)
        ),
        format!("A container that fails is started again {} times.", plan.retry_limit),
    ];
    if plan.speed > 1 {
        about.push(format!("These times pass {} times as fast; leases and retries do not.", plan.speed));
    }
    PageNames {
        verb: "dev",
        job: Some(plan.job.clone()),
        queue: without_secrets(&queue.to_string()),
        poison: Some(without_secrets(&poison.to_string())),
        about,
        poll: Some(plan.poll / plan.speed.max(1)),
        cpu,
        memory_gib: cpu * GIB_OF_A_CORE,
    }
}

/// Whether nobody pays for a queue, nor shares it: a directory, or an emulator without TLS.
pub(super) fn is_on_this_host(queue: &QueueUrl) -> bool {
    queue.directory().is_some() || queue.to_string().starts_with("http://")
}

/// Which buttons there are. What is on Azure is somebody else's as well, and only looked at.
pub(super) fn rights(args: &DevArgs, queue: &QueueUrl) -> PageRights {
    let is_own = is_on_this_host(queue);
    let asks_for_tokens = !args.run.args.sandbox.grants.http_identity.is_empty() || !is_own;
    PageRights {
        messages: is_own,
        bodies: !args.page.no_bodies,
        replay: is_own && PoisonProgram::can_replay(),
        kill: true,
        take_queue: true,
        take_identity: asks_for_tokens,
    }
}

/// The project's messages to try: the files of its folder `samples`.
pub(super) fn samples(project: Option<&Path>) -> Vec<Sample> {
    let folder = project.and_then(Path::parent).unwrap_or(Path::new("")).join(SAMPLES);
    let mut files: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let read = |file: std::fs::DirEntry| {
        let is_small = file.metadata().is_ok_and(|it| it.is_file() && it.len() <= MAX_SAMPLE);
        let body = is_small.then(|| std::fs::read_to_string(file.path()).ok()).flatten()?;
        Some(Sample {
            name: file.path().file_stem()?.to_string_lossy().into_owned(),
            body: body.trim_end().to_owned(),
        })
    };
    let mut found: Vec<_> = files.into_iter().filter_map(read).take(MAX_SAMPLES).collect();
    if found.is_empty() {
        found.push(Sample { name: "order".into(), body: ORDER.into() });
    }
    // The one that is handled comes first.
    found.sort_by_key(|it| it.name != "good");
    found
}

/// What the buttons of the page do.
pub(super) struct DevActions {
    pub(super) poison: PoisonProgram,
    /// The words of an execution.
    pub(super) run: Vec<OsString>,
    pub(super) kills: Kills,
    pub(super) trouble: Trouble,
    /// What the terminal has asked about, and waits for a yes.
    pub(super) asked: Mutex<Option<PoisonSweep>>,
}

#[async_trait]
impl PageActions for DevActions {
    async fn foresee(&self, sweep: &PoisonSweep) -> Result<SweepCount, String> {
        self.queue_answers()?;
        self.poison.foresee(sweep).await
    }

    async fn sweep(&self, sweep: &PoisonSweep) -> Result<SweepCount, String> {
        self.queue_answers()?;
        self.poison.sweep(sweep).await
    }

    async fn redrive(&self, ids: &[String], dry_run: bool) -> Result<SweepCount, String> {
        if !dry_run {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            return self.sweep(&asked.ok_or("nothing was asked before")?).await;
        }
        let now = Timestamp::now();
        let chosen = ChosenPoison::these(ids.to_vec());
        let mut sweep = PoisonSweep { verb: SweepVerb::Redrive, chosen };
        let mut foreseen = self.foresee(&sweep).await?;
        foreseen.messages = foreseen.of_about.unwrap_or(foreseen.messages);
        sweep.chosen.at_most = Some(foreseen.messages);
        sweep.chosen.until = Some(foreseen.inserted_until.unwrap_or(now));
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(sweep);
        Ok(foreseen)
    }

    async fn replay(&self, id: &str) -> Result<String, String> {
        self.queue_answers()?;
        self.poison.replay(id, &self.run).await
    }

    async fn kill(&self, execution: &str) -> Result<(), String> {
        match self.kills.kill(execution) {
            true => Ok(()),
            false => Err(format!("{execution} does not run any more")),
        }
    }

    async fn take_queue(&self, how_long: Duration) -> Result<(), String> {
        self.trouble.take_queue(how_long).map_err(|error| self.not_written(&error))
    }

    async fn take_identity(&self, how_long: Duration) -> Result<(), String> {
        self.trouble.take_identity(how_long).map_err(|error| self.not_written(&error))
    }

    fn trouble(&self) -> Vec<String> {
        let queue = self.trouble.queue_is_away().map(|left| ("The queue answers 503", left));
        let identity = self.trouble.identity_is_away().map(|left| ("There is no identity endpoint", left));
        let words = |(what, left): (&str, Duration)| format!("{what} for {} s more.", left.as_secs() + 1);
        queue.into_iter().chain(identity).map(words).collect()
    }
}

impl DevActions {
    /// Trouble that was made is there for the page's own calls as well.
    fn queue_answers(&self) -> Result<(), String> {
        match self.trouble.queue_is_away() {
            None => Ok(()),
            Some(left) => Err(format!(
                "the queue answers 503 Server Busy for {} s more, as this page was asked to have it; end the trouble first",
                left.as_secs() + 1
            )),
        }
    }

    fn not_written(&self, error: &std::io::Error) -> String {
        let file = self.trouble.file().display();
        format!("the trouble cannot be written into {file}: {error}; may this user write there?")
    }
}

/// The variables of executions that start while there is no identity endpoint: nobody listens on
/// that port.
pub(super) fn without_identity(trouble: &Trouble) -> Vec<(String, String)> {
    if trouble.identity_is_away().is_none() {
        return Vec::new();
    }
    let variables = [
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:9/msi/token"),
        ("IDENTITY_HEADER", "away"),
        ("LONGSHORE_CREDENTIAL", "managed-identity"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
