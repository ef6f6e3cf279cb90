//! `longshore ui`: the page on any queue, and on a job of Azure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::page::{BoundPage, PoisonProgram};
use super::print;
use super::stop_signals::StopSignals;
use crate::cli::{Format, UiArgs, without_secrets};
use crate::exit::{Clause, Exit, Failure};
use longshore_azure::Azure;
use longshore_azure::jobs::{Execution, Job};
use longshore_dev::page::{Board, PageActions, PageNames, PageRights, PoisonSweep, Sample, SweepCount};
use longshore_dev::{ExecutionRecord, ExecutionState, History};
use longshore_queue::Queue;
use longshore_queue_drivers::open;

/// How often the queues are counted. Each count is a call that is paid for.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// How often the executions are asked for.
const EXECUTIONS_EVERY: Duration = Duration::from_secs(10);
/// What a replica has, where nothing is known of the job.
const REPLICA_CPU: f64 = 0.5;
const REPLICA_GIB: f64 = 1.0;

pub(super) async fn execute(args: UiArgs, format: Format) -> Result<Exit, Failure> {
    let mut signals = StopSignals::listen()?;
    print::wait_for_nobody(format);
    // A queue, a job or a login that does not answer holds up no stop.
    tokio::select! {
        biased;
        _ = signals.next() => Ok(Exit::Done),
        ended = show(args, format) => ended,
    }
}

/// Shows the page for ever.
async fn show(args: UiArgs, format: Format) -> Result<Exit, Failure> {
    let poison_url = args.of.url().map_err(Failure::usage)?;
    let queue = open(&args.of.queue.queue).await?;
    // A name that is wrong is said on the terminal.
    queue.approximate_count().await?;
    let poison: Arc<dyn Queue> = open(&poison_url).await?;
    let job =
        args.job.clone().map(|id| Arc::new(Job::new(id, args.arm.arm_endpoint.clone(), Azure::shared())));
    let mut names = PageNames {
        verb: "ui",
        job: job.as_ref().map(|it| it.id().to_string().rsplit('/').next().unwrap_or_default().to_owned()),
        queue: without_secrets(&queue.url().to_string()),
        poison: Some(without_secrets(&poison_url.to_string())),
        about: Vec::new(),
        poll: None,
        cpu: REPLICA_CPU,
        memory_gib: REPLICA_GIB,
    };
    if let Some(job) = &job {
        learn(&mut names, &job.get().await?);
    }
    let rights = PageRights {
        messages: args.allow_actions,
        bodies: !args.page.no_bodies,
        kill: args.allow_actions && job.is_some(),
        ..PageRights::default()
    };
    let actions = UiActions { poison: PoisonProgram::of_this_process()?, job: job.clone() };
    let history = Arc::new(History::in_memory()?);
    let board = Board::new(names, rights, history.clone(), queue, Some(poison), Arc::new(actions));
    let board = Arc::new(board.with_samples(vec![Sample { name: "empty".into(), body: "{}".into() }]));
    let page = BoundPage::bind(&args.page).await?;
    let link = page.sign_in().link();
    let serving = page.serve(board.clone());
    tokio::spawn(board.clone().keep_counting(COUNT_EVERY));
    if let Some(job) = job {
        tokio::spawn(follow(job, history, board));
    }
    match format {
        Format::Json => print::json(&json!({ "event": "page", "link": link }))?,
        Format::Table => {
            // Alone on its line, as wide as it is: a link that wraps cannot be clicked.
            print::line(&link);
            let may = if args.allow_actions {
                "It can change things."
            } else {
                "It only looks: --allow-actions gives it buttons."
            };
            print::line(&format!(
                "The link lets one browser in, once. The page is served until Ctrl-C. {may}"
            ));
        }
    }
    print::caught_up().await;
    serving.await.during(|| "the task that serves the page panicked")?;
    Ok(Exit::Done)
}

/// What the job is told, as ARM has it.
fn learn(names: &mut PageNames, job: &serde_json::Value) {
    let properties = &job["properties"];
    let container = &properties["template"]["containers"][0]["resources"];
    names.cpu = container["cpu"].as_f64().unwrap_or(names.cpu);
    let memory = container["memory"].as_str().and_then(|it| it.strip_suffix("Gi")?.parse().ok());
    names.memory_gib = memory.unwrap_or(names.memory_gib);
    let configuration = &properties["configuration"];
    let scale = &configuration["eventTriggerConfig"]["scale"];
    if let (Some(poll), Some(most)) = (scale["pollingInterval"].as_u64(), scale["maxExecutions"].as_u64()) {
        names.about.push(format!("KEDA looks every {poll} s, and starts {most} executions at most."));
    }
    if let Some(timeout) = configuration["replicaTimeout"].as_u64() {
        names.about.push(format!("An execution lasts {timeout} s at most."));
    }
}

/// Asks for the executions again and again.
async fn follow(job: Arc<Job>, history: Arc<History>, board: Arc<Board>) {
    let known = Mutex::new(BTreeMap::<String, ExecutionState>::new());
    loop {
        match job.executions().await {
            Ok(executions) => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                for it in &executions {
                    let record = recorded(it);
                    // What has ended does not change any more.
                    let before = known.insert(record.execution.clone(), record.state);
                    if before != Some(record.state) || record.ended_ms.is_none() {
                        history.put(&record);
                    }
                }
                board.say(None);
            }
            Err(error) => board.say(Some(error.to_string())),
        }
        tokio::time::sleep(EXECUTIONS_EVERY).await;
    }
}

/// An execution of Azure, as the history keeps those of this machine.
fn recorded(execution: &Execution) -> ExecutionRecord {
    let properties = &execution.properties;
    let state = match () {
        () if !execution.is_over() => ExecutionState::Running,
        () if execution.succeeded() => ExecutionState::Succeeded,
        () if properties.status.eq_ignore_ascii_case("Stopped") => ExecutionState::Stopped,
        () => ExecutionState::Failed,
    };
    let started_ms = properties.start_time.map(|it| it.as_millisecond());
    let words = [&properties.reason, &properties.message].into_iter().flatten().filter(|it| !it.is_empty());
    let cause = words.cloned().collect::<Vec<_>>().join(": ");
    ExecutionRecord {
        execution: execution.name.clone(),
        state,
        created_ms: started_ms.unwrap_or_default(),
        started_ms,
        ended_ms: properties.end_time.filter(|_| execution.is_over()).map(|it| it.as_millisecond()),
        exit_code: execution.exit_code(),
        signal: None,
        restarts: 0,
        cause: Some(cause).filter(|it| !it.is_empty() && state != ExecutionState::Succeeded),
        summary: None,
        failures: Vec::new(),
        log: String::new(),
    }
}

/// What the buttons do on Azure.
struct UiActions {
    poison: PoisonProgram,
    job: Option<Arc<Job>>,
}

#[async_trait]
impl PageActions for UiActions {
    async fn foresee(&self, sweep: &PoisonSweep) -> Result<SweepCount, String> {
        self.poison.foresee(sweep).await
    }

    async fn sweep(&self, sweep: &PoisonSweep) -> Result<SweepCount, String> {
        self.poison.sweep(sweep).await
    }

    async fn redrive(&self, _: &[String], _: bool) -> Result<SweepCount, String> {
        Err("`longshore ui` has no keys; the page redrives".into())
    }

    async fn replay(&self, _: &str) -> Result<String, String> {
        Err("`longshore ui` has no handler; `longshore dev` replays".into())
    }

    async fn kill(&self, execution: &str) -> Result<(), String> {
        let Some(job) = &self.job else { return Err("there is no job; name one with --job".into()) };
        // The name becomes a segment of a path.
        let is_name =
            execution.chars().all(|it| it.is_ascii_alphanumeric() || it == '-') && !execution.is_empty();
        if !is_name {
            return Err("no execution is called so".into());
        }
        job.stop(Some(execution)).await.map_err(|error| error.to_string())
    }

    async fn take_queue(&self, _: Duration) -> Result<(), String> {
        Err("`longshore ui` makes no trouble".into())
    }

    async fn take_identity(&self, _: Duration) -> Result<(), String> {
        Err("`longshore ui` makes no trouble".into())
    }

    fn trouble(&self) -> Vec<String> {
        Vec::new()
    }
}
