//! Container Apps jobs and their executions, over ARM
//! ([Jobs](https://learn.microsoft.com/rest/api/resource-manager/containerapps/jobs), api-version
//! 2026-07-01).

mod job_id;
mod template;
mod update;
mod workspace;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::{Instant, sleep};

pub use self::job_id::JobId;
pub use self::template::{Overrides, Replacement};
pub use self::update::{container_that_shows_the_host, host_container};
use crate::arm::{Arm, ArmError, ArmOperation, ArmReply, Asked, Endpoint, PATIENCE, PAUSE_AT_LEAST};
use crate::azure::Azure;
use crate::patience::no_longer_than;

const API_VERSION: &str = "2026-07-01";
/// How often something that takes its time is asked after, unless the service says otherwise.
const POLL: Duration = Duration::from_secs(5);
/// How long the service may take to say what became of a call.
const RESULT: Duration = Duration::from_secs(120);
/// More pages or executions than that, or a list that takes so long, are a service that goes round
/// in circles: it keeps a hundred executions of a job.
const PAGES: usize = 100;
const MAX_EXECUTIONS: usize = 10_000;
const LISTED_WITHIN: Duration = Duration::from_secs(60);

/// What there is, for a caller who named something that does not exist.
const JOBS: &str = "`az containerapp job list --query \"[].id\"` shows jobs";
const EXECUTIONS: &str =
    "`longshore job list` shows executions, `az containerapp job list --query \"[].id\"` jobs";

const READ: ArmOperation =
    ArmOperation { verb: "read the job", action: "Microsoft.App/jobs/read", role: "Reader", there_is: JOBS };
const READ_EXECUTIONS: ArmOperation = ArmOperation {
    verb: "read executions of the job",
    action: "Microsoft.App/jobs/executions/read",
    role: "Reader",
    there_is: JOBS,
};
const READ_EXECUTION: ArmOperation = ArmOperation {
    verb: "read the execution",
    action: "Microsoft.App/jobs/execution/read",
    role: "Reader",
    there_is: EXECUTIONS,
};
const START: ArmOperation = ArmOperation {
    verb: "start the job",
    action: "Microsoft.App/jobs/start/action",
    role: "Container Apps Jobs Operator",
    there_is: JOBS,
};
const STOP_ALL: ArmOperation = ArmOperation {
    verb: "stop the job's executions",
    action: "Microsoft.App/jobs/stop/action",
    role: "Container Apps Jobs Operator",
    there_is: JOBS,
};
const STOP_EXECUTION: ArmOperation = ArmOperation {
    verb: "stop the execution",
    action: "Microsoft.App/jobs/stop/execution/action",
    role: "Container Apps Jobs Operator",
    there_is: EXECUTIONS,
};

/// What a start was answered with.
#[derive(Clone, Debug, Deserialize)]
pub struct Started {
    /// The execution's name.
    pub name: String,
}

/// One execution of a job. What the service says more, or in words that did not exist when this was
/// written, is left open.
#[derive(Clone, Debug, Deserialize)]
pub struct Execution {
    /// Its name, unique within the job.
    pub name: String,
    /// What is known of it.
    #[serde(default)]
    pub properties: ExecutionProperties,
}

/// What is known of an execution.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecutionProperties {
    /// Running, Processing, Stopped, Degraded, Failed, Unknown, Succeeded, or a word of the future.
    pub status: String,
    /// When it was started.
    #[serde(deserialize_with = "time")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "time")]
    pub end_time: Option<Timestamp>,
    /// Why it is in this state, in a word, such as `BackoffLimitExceeded`.
    pub reason: Option<String>,
    /// The same for people.
    pub message: Option<String>,
    /// What it ran with: the job's template when it was started.
    pub template: Value,
    detailed_status: Option<Detail>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    replicas: Vec<Replica>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Replica {
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    code: Option<i32>,
}

/// A time that cannot be read is no reason to show nothing.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

impl Execution {
    /// Whether it ended as it should.
    pub fn succeeded(&self) -> bool {
        self.is("Succeeded")
    }

    /// Whether nothing more will come of it. A status that is not known to be final counts once
    /// there is an end.
    pub fn is_over(&self) -> bool {
        let running = self.is("Running") || self.is("Processing");
        let ended = ["Succeeded", "Failed", "Stopped"].into_iter().any(|status| self.is(status));
        ended || (!running && self.properties.end_time.is_some())
    }

    fn is(&self, status: &str) -> bool {
        self.properties.status.eq_ignore_ascii_case(status)
    }

    /// How long it took, or takes until `now`.
    pub fn duration(&self, now: Timestamp) -> Option<Duration> {
        let end = if self.is_over() { self.properties.end_time } else { Some(now) };
        Duration::try_from(end?.duration_since(self.properties.start_time?)).ok()
    }

    /// The exit code of its containers: the first that is not zero, else zero if any is known.
    pub fn exit_code(&self) -> Option<i32> {
        let replicas = self.properties.detailed_status.iter().flat_map(|detail| &detail.replicas);
        let codes = replicas.flat_map(|replica| &replica.containers).filter_map(|container| container.code);
        codes.reduce(|first, next| if first == 0 { next } else { first })
    }
}

/// One job.
#[derive(Debug)]
pub struct Job {
    arm: Arm,
    id: JobId,
}

impl Job {
    /// The job of this id. Nothing is asked of anybody yet.
    pub fn new(id: JobId, endpoint: Endpoint, azure: &Azure) -> Self {
        Self { arm: Arm::new(endpoint, azure), id }
    }

    /// Its resource id.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// The job as ARM has it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn get(&self) -> Result<Value, ArmError> {
        let asked = Asked { operation: READ, of: &self.id.0 };
        let job = self.arm.get(&self.arm.url(&self.id.0, API_VERSION), &asked, PATIENCE).await?.body;
        if !job["properties"].is_object() {
            return Err(asked.unreadable("the answer describes no job"));
        }
        Ok(job)
    }

    /// A resource in the job's resource group, as ARM has it: what is behind `/providers/` in its
    /// id.
    ///
    /// # Errors
    /// When it cannot be read, or is elsewhere.
    pub async fn beside(
        &self,
        resource: &str,
        api_version: &str,
        operation: ArmOperation,
    ) -> Result<Value, ArmError> {
        // What is before the provider's name is the group's id.
        let group = self.id.0.splitn(6, '/').take(5).collect::<Vec<_>>().join("/");
        let of = format!("{group}/providers/{resource}");
        let asked = Asked { operation, of: &of };
        Ok(self.arm.get(&self.arm.url(&of, api_version), &asked, PATIENCE).await?.body)
    }

    /// Starts an execution, with another template than the job's if there is one. Asked once, also
    /// when there is no answer.
    ///
    /// # Errors
    /// When it was refused; or [`ArmErrorKind::Unclear`](crate::arm::ArmErrorKind) when it may have
    /// been started, and no answer says which execution that is.
    pub async fn start(&self, template: Option<&Value>) -> Result<Started, ArmError> {
        let asked = Asked { operation: START, of: &self.id.0 };
        let url = self.arm.url(&format!("{}/start", self.id), API_VERSION);
        let answer = self.arm.post(url, template, &asked).await?;
        let answer = self.result(answer, &asked).await?;
        let unnamed = |_| asked.unsettled("the answer does not name the execution");
        serde_json::from_value(answer.body).map_err(unnamed)
    }

    /// Its executions, the newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn executions(&self) -> Result<Vec<Execution>, ArmError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            value: Vec<Execution>,
            next_link: Option<String>,
        }
        let asked = Asked { operation: READ_EXECUTIONS, of: &self.id.0 };
        let mut url = self.arm.url(&format!("{}/executions", self.id), API_VERSION);
        let mut executions = Vec::new();
        let (started, mut pages) = (Instant::now(), 0);
        loop {
            let page: Page = self.arm.get(&url, &asked, PATIENCE).await?.read(&asked)?;
            executions.extend(page.value);
            let Some(link) = page.next_link.filter(|link| !link.is_empty()) else { break };
            pages += 1;
            if pages == PAGES || executions.len() > MAX_EXECUTIONS || started.elapsed() > LISTED_WITHIN {
                return Err(asked.unreadable("the list does not end"));
            }
            url = self.arm.follow(&link, &asked)?;
        }
        executions.sort_by_key(|execution| std::cmp::Reverse(execution.properties.start_time));
        Ok(executions)
    }

    /// One execution, and when to ask for it again; read again for as long as `patience` says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn execution(&self, name: &str, patience: Duration) -> Result<(Execution, Duration), ArmError> {
        let of = self.execution_id(name);
        let asked = Asked { operation: READ_EXECUTION, of: &of };
        let answer = self.arm.get(&self.arm.url(&of, API_VERSION), &asked, patience).await?;
        let again = pause(answer.retry_after);
        Ok((answer.read(&asked)?, again))
    }

    /// Stops one execution, or all that run.
    ///
    /// # Errors
    /// When it was refused, or when there is no clear answer.
    pub async fn stop(&self, execution: Option<&str>) -> Result<(), ArmError> {
        let (operation, of) = match execution {
            Some(name) => (STOP_EXECUTION, self.execution_id(name)),
            None => (STOP_ALL, self.id.0.clone()),
        };
        let asked = Asked { operation, of: &of };
        let url = self.arm.url(&format!("{of}/stop"), API_VERSION);
        let answer = self.arm.post(url, None, &asked).await?;
        self.result(answer, &asked).await.map(drop)
    }

    fn execution_id(&self, name: &str) -> String {
        format!("{}/executions/{name}", self.id)
    }

    /// What came of a call that was only accepted: asks where the result will be until it is there
    /// ([Track asynchronous
    /// operations](https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations)).
    /// From here on nothing that goes wrong says that it was not done. Least of all a 403: a role
    /// on the job does not reach to where results are, which is beside it.
    async fn result(&self, mut answer: ArmReply, asked: &Asked<'_>) -> Result<ArmReply, ArmError> {
        let accepted = Instant::now();
        // An answer that names the execution says it all: there is no need to wait for the next.
        let is_pending = |answer: &ArmReply| answer.status == 202 && answer.body.get("name").is_none();
        let unsettled = |error: ArmError| asked.unsettled(&error.cause);
        while is_pending(&answer) {
            let Some(location) = &answer.location else { break };
            let url = self.arm.follow(location, asked).map_err(unsettled)?;
            sleep(pause(answer.retry_after)).await;
            let next = self.arm.get(&url, asked, PATIENCE).await.map_err(unsettled)?;
            // Later answers need not repeat where to ask.
            let location = next.location.clone().or(answer.location);
            answer = ArmReply { location, ..next };
            if is_pending(&answer) && accepted.elapsed() > no_longer_than(RESULT) {
                return Err(asked.unsettled(&format!("no result was there {} s later", RESULT.as_secs())));
            }
        }
        Ok(answer)
    }
}

fn pause(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or(POLL).clamp(PAUSE_AT_LEAST, Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_over_when_its_status_says_so_or_it_has_an_end() {
        let execution = |status: &str, end: Option<&str>| -> Execution {
            let properties = serde_json::json!({ "status": status, "endTime": end });
            serde_json::from_value(serde_json::json!({ "name": "e", "properties": properties })).unwrap()
        };
        let end = Some("2026-02-13T20:47:30+00:00");
        for (status, end, over) in [
            ("Running", None, false),
            // As in the published example.
            ("Running", end, false),
            ("Degraded", None, false),
            ("Degraded", end, true),
            ("Unknown", None, false),
            ("succeeded", None, true),
            ("Failed", None, true),
            ("Stopped", None, true),
            ("Hibernating", None, false),
            ("Failed", Some("no time"), true),
        ] {
            assert_eq!(execution(status, end).is_over(), over, "{status} {end:?}");
        }
    }
}
