//! A job that is changed: its containers, and nothing else of it.
//!
//! The body of the patch has the containers alone. Secrets, registries, the identity and the scale
//! rule are not in it, and stay: ARM does not tell the values of secrets, so that nobody could send
//! them back ([Update a
//! job](https://learn.microsoft.com/rest/api/resource-manager/containerapps/jobs/update)).
//!
//! ARM has no `If-Match` for jobs. So the job is read again directly before it is changed, and
//! compared with what the change was made from; and once more behind it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::template::READ_ONLY;
use super::{API_VERSION, JOBS, Job, POLL, RESULT, pause};
use crate::arm::{ArmError, ArmErrorKind, ArmOperation, Asked, PATIENCE};
use crate::patience::no_longer_than;

const UPDATE: ArmOperation = ArmOperation {
    verb: "change the job",
    action: "Microsoft.App/jobs/write",
    role: "Container Apps Jobs Contributor",
    there_is: JOBS,
};
/// The first pause before a change is tried again that somebody else stood in the way of.
const AGAIN: Duration = Duration::from_secs(1);

/// The container that runs the host, among those of a job as ARM has it: the only one, or the one
/// that shows it.
///
/// # Errors
/// None of several is known to be it.
pub fn host_container(job: &Value) -> Result<usize, String> {
    if containers(job).len() == 1 { Ok(0) } else { container_that_shows_the_host(job) }
}

/// The container that runs the host, by its name or by its variables. A job that shows neither may
/// run anything, and is nobody's to change.
///
/// # Errors
/// None of them shows it.
pub fn container_that_shows_the_host(job: &Value) -> Result<usize, String> {
    let has_ours = |it: &Value| {
        let mut env = it["env"].as_array().into_iter().flatten();
        env.any(|it| it["name"].as_str().is_some_and(|name| name.starts_with("LONGSHORE_")))
    };
    let containers = containers(job);
    let found = containers.iter().position(|it| it["name"] == "longshore");
    found.or_else(|| containers.iter().position(has_ours)).ok_or_else(|| {
        let names: Vec<_> = containers.iter().filter_map(|it| it["name"].as_str()).collect();
        let found = if names.is_empty() { "none".into() } else { names.join(", ") };
        format!("none of its containers is called longshore, or has a LONGSHORE_… variable (found: {found})")
    })
}

fn containers(job: &Value) -> &[Value] {
    job["properties"]["template"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A job's containers without what the service adds itself.
fn sendable(job: &Value) -> Vec<Value> {
    let mut containers = containers(job).to_vec();
    for container in &mut containers {
        if let Some(resources) = container["resources"].as_object_mut() {
            resources.remove(READ_ONLY);
        }
    }
    containers
}

/// What one container runs: its name, its image, and each variable with its value or its secret.
type Runs<'a> = (&'a Value, &'a Value, BTreeMap<&'a str, (&'a str, &'a str)>);

/// Whether the containers run the same. The service may write the rest of what it was told in
/// another way.
fn run_the_same(one: &[Value], other: &[Value]) -> bool {
    fn runs(container: &Value) -> Runs<'_> {
        let env = container["env"].as_array().into_iter().flatten();
        fn text(it: &Value) -> &str {
            it.as_str().unwrap_or_default()
        }
        let variables = env.map(|it| (text(&it["name"]), (text(&it["value"]), text(&it["secretRef"]))));
        (&container["name"], &container["image"], variables.collect())
    }
    one.iter().map(runs).eq(other.iter().map(runs))
}

impl Job {
    /// Gives the job the containers of `planned`, which was made from `read`; and waits until the
    /// job has them. A job that has them already is left alone.
    ///
    /// # Errors
    /// It was refused; somebody changed the job since it was read, or does so now; or no answer
    /// says what became of it.
    pub async fn update(&self, read: &Value, planned: &Value) -> Result<(), ArmError> {
        let asked = Asked { operation: UPDATE, of: &self.id.0 };
        let (before, after) = (sendable(read), sendable(planned));
        let body = json!({ "properties": { "template": { "containers": after } } });
        let (begun, mut wait) = (Instant::now(), AGAIN);
        loop {
            let now = sendable(&self.get().await?);
            if run_the_same(&now, &after) {
                return Ok(());
            }
            if now != before {
                let cause = "somebody changed the job since it was read, and nothing was done";
                return Err(asked.undone(
                    ArmErrorKind::Conflict,
                    cause,
                    "do it again, from what the job is now",
                ));
            }
            let url = self.arm.url(&self.id.0, API_VERSION);
            let error = match self.arm.patch(url, &body, &asked).await {
                Ok(answer) => {
                    // The job itself tells what became of it. A role on the job does not reach to
                    // where results are.
                    if let Err(error) = self.result(answer, &asked).await {
                        tracing::debug!(%error, "the job is asked instead");
                    }
                    return self.has(&after, &asked).await;
                }
                Err(error) => error,
            };
            let passes = matches!(error.kind, ArmErrorKind::Busy | ArmErrorKind::Conflict);
            let pause = error.retry_after.unwrap_or(wait).max(crate::arm::PAUSE_AT_LEAST);
            if !passes || begun.elapsed() + pause > no_longer_than(PATIENCE) {
                return Err(error);
            }
            tracing::debug!(cause = %error.cause, wait_ms = pause.as_millis(), "changing the job again");
            sleep(pause).await;
            wait *= 2;
        }
    }

    /// Waits until the job has these containers, and is ready.
    async fn has(&self, containers: &[Value], asked: &Asked<'_>) -> Result<(), ArmError> {
        let begun = Instant::now();
        let mut wait = crate::arm::PAUSE_AT_LEAST;
        loop {
            let job = self.get().await.map_err(|error| self.unknown(asked, &error.cause))?;
            let state = job["properties"]["provisioningState"].as_str().unwrap_or("Succeeded");
            let is = |word: &str| state.eq_ignore_ascii_case(word);
            if is("Failed") || is("Canceled") {
                let cause = format!("it was accepted, and then its provisioning ended as {state}");
                let mend = "look for the cause in the activity log of the resource group, and do it again";
                return Err(asked.undone(ArmErrorKind::Fault, &cause, mend));
            }
            if is("Succeeded") && run_the_same(&sendable(&job), containers) {
                return Ok(());
            }
            if begun.elapsed() > no_longer_than(RESULT) {
                let cause =
                    format!("the job is {state} and not as it was told, {} s later", RESULT.as_secs());
                return Err(self.unknown(asked, &cause));
            }
            sleep(pause(Some(wait))).await;
            wait = (wait * 2).min(POLL);
        }
    }

    fn unknown(&self, asked: &Asked<'_>, cause: &str) -> ArmError {
        let cause = format!("it was accepted, and what became of it is not known ({cause})");
        asked.undone(ArmErrorKind::Unclear, &cause, "`longshore releases` tells; doing it again does no harm")
    }
}
