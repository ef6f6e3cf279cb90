//! A job as it is, and as it is going to be.

use serde::Serialize;
use serde_json::{Value, json};

use super::carried::{Carried, Needed, Suspect};
use super::container::{argument, env, secret_of};
use super::twin::Drained;
use crate::cli::{Cli, ProjectKeys, ValueShape, without_secrets};
use crate::commands::config::visible;
use crate::exit::Failure;
use clap::CommandFactory;
use longshore_azure::Azure;
use longshore_azure::arm::{ArmErrorKind, Endpoint};
use longshore_azure::jobs::{Job, JobId, container_that_shows_the_host};
use longshore_component::Source;

/// The variable of the component.
const COMPONENT: &str = "LONGSHORE_COMPONENT";

/// One job, with the change that is meant for it.
pub(in crate::commands) struct Planned {
    job: Job,
    read: Value,
    planned: Value,
    /// Which of its containers runs the host.
    host: usize,
}

/// A variable that changes. What may be a secret is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Change {
    pub(in crate::commands) variable: String,
    pub(in crate::commands) from: Option<String>,
    pub(in crate::commands) to: Option<String>,
}

impl Planned {
    /// Reads the job that is named, and its twin: the one beside it that is started by hand. A job
    /// of that name that is no twin stays as it is.
    ///
    /// # Errors
    /// One of them cannot be read, or the job that is named takes no component from here.
    pub(in crate::commands) async fn read(id: &JobId, endpoint: &Endpoint) -> Result<Vec<Self>, Failure> {
        let open = |id: &JobId| Job::new(id.clone(), endpoint.clone(), Azure::shared());
        let job = open(id);
        let read = job.get().await?;
        let wrong = |cause: String| Failure::fault(format!("{id}: {cause}"));
        let named = Self::new(job, read).map_err(|cause| {
            wrong(format!("{cause}; name the job that runs longshore, or name its container longshore"))
        })?;
        named.takes_a_component().map_err(wrong)?;
        let mut jobs = vec![named];
        if let Some(manual) = id.manual() {
            let job = open(&manual);
            match job.get().await {
                Ok(read) => match Self::twin(job, read, &jobs[0]) {
                    Ok(twin) => jobs.push(twin),
                    Err(cause) => tracing::warn!("{manual} stays as it is: {cause}"),
                },
                Err(error) if error.kind == ArmErrorKind::NotFound => {}
                // A role on the one job says so of every other, whether or not it is there.
                Err(error) if error.kind == ArmErrorKind::Denied => {
                    tracing::warn!(%error, "if there is a job {manual}, it stays as it is");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(jobs)
    }

    fn new(job: Job, read: Value) -> Result<Self, String> {
        let host = container_that_shows_the_host(&read)?;
        Ok(Self { job, planned: read.clone(), read, host })
    }

    /// The job beside another, where it runs the host for the same queue; or why it does not.
    fn twin(job: Job, read: Value, of: &Self) -> Result<Self, String> {
        let twin = Self::new(job, read)?;
        let (one, other) = (Drained::by(&twin.read, twin.host), Drained::by(&of.read, of.host));
        if !one.is_known_as(&other) {
            return Err(format!("it drains {one}, and {} drains {other}", of.id()));
        }
        twin.takes_a_component()?;
        Ok(twin)
    }

    /// Whether the host takes its component from a variable that can be written.
    ///
    /// # Errors
    /// It comes from somewhere else, with the mend.
    fn takes_a_component(&self) -> Result<(), String> {
        let template = &self.read["properties"]["template"];
        let set = self.set_command();
        let variable = env(template, self.host).find(|it| it["name"] == COMPONENT);
        if let Some(secret) = variable.and_then(secret_of) {
            return Err(format!(
                "{COMPONENT} comes from the secret {secret}, and no secret is changed from here; an address is none, so write it as a value with `{set} {COMPONENT}=oci://REGISTRY/REPOSITORY@sha256:DIGEST`"
            ));
        }
        if argument(&template["containers"][self.host], "component").is_some() {
            return Err(format!(
                "its container has the argument --component, which goes before {COMPONENT}; take it out of the arguments, and write the address with `{set} {COMPONENT}=oci://REGISTRY/REPOSITORY@sha256:DIGEST`"
            ));
        }
        Ok(())
    }

    /// The beginning of the command that sets variables of the job.
    fn set_command(&self) -> String {
        let (name, group) = self.name_and_group();
        format!("az containerapp job update --name {name} --resource-group {group} --set-env-vars")
    }

    fn name_and_group(&self) -> (String, String) {
        let id = self.job.id().to_string();
        let part = |place| id.split('/').nth(place).unwrap_or_default().to_owned();
        (part(8), part(4))
    }

    pub(in crate::commands) fn id(&self) -> &JobId {
        self.job.id()
    }

    /// The job as it is going to be.
    pub(in crate::commands) fn planned(&self) -> &Value {
        &self.planned
    }

    /// The component that the job runs now, where its address can be read.
    pub(in crate::commands) fn component(&self) -> Option<Source> {
        component_of(&self.read["properties"]["template"])
    }

    /// Has the job run another component.
    pub(in crate::commands) fn run(&mut self, component: &str) -> Result<(), Failure> {
        let carried = Carried {
            variable: COMPONENT.into(),
            value: Some(component.into()),
            needs: Vec::new(),
            stand_ins: Vec::new(),
            secrets: Vec::new(),
        };
        self.set(&carried)
    }

    /// Sets a variable, or takes it away.
    pub(super) fn set(&mut self, carried: &Carried) -> Result<(), Failure> {
        for needed in &carried.needs {
            self.has(needed, &carried.variable)?;
        }
        let container = &mut self.planned["properties"]["template"]["containers"][self.host];
        let mut env = container["env"].as_array().cloned().unwrap_or_default();
        let name = carried.variable.as_str();
        let place = env.iter().position(|it| it["name"] == name);
        let secret = place.and_then(|place| secret_of(&env[place]).map(str::to_owned));
        if let Some(secret) = secret {
            tracing::warn!(
                job = %self.job.id(), secret,
                "{name} comes from a secret of the job and stays, whatever the project file says; take the key out of the file, or the variable out of the job"
            );
            return Ok(());
        }
        let had = place.and_then(|place| env[place]["value"].as_str()).unwrap_or_default();
        if let Some(secret) = carried.secrets.iter().find(|it| had.lines().all(|line| line != it.line)) {
            return Err(self.would_show(secret, name));
        }
        let value =
            stood_for(carried, had).map_err(|cause| Failure::usage(format!("{}: {cause}", self.job.id())))?;
        match (place, &value) {
            (Some(place), Some(value)) => env[place] = json!({ "name": name, "value": value }),
            (Some(place), None) => {
                env.remove(place);
            }
            (None, Some(value)) => env.push(json!({ "name": name, "value": value })),
            (None, None) => {}
        }
        container["env"] = json!(env);
        Ok(())
    }

    /// Refuses a grant that refers to a variable that the job has not.
    fn has(&self, needed: &Needed, by: &str) -> Result<(), Failure> {
        let Needed { variable, is_secret } = needed;
        let job = self.job.id();
        let (name, group) = self.name_and_group();
        let found = env(&self.read["properties"]["template"], self.host).find(|it| it["name"] == *variable);
        let secret = variable.to_lowercase().replace('_', "-");
        let set = self.set_command();
        match found {
            Some(found) if *is_secret && secret_of(found).is_none() => Err(Failure::fault(format!(
                "{variable} is the key of {by}, and stands in the job {job} for everybody to read; make it a secret there, and set it with `{set} {variable}=secretref:{secret}`"
            ))),
            Some(_) => Ok(()),
            None if *is_secret => Err(Failure::fault(format!(
                "{by} takes a key from {variable}, which the job {job} does not have; give it a secret with `az containerapp job secret set --name {name} --resource-group {group} --secrets {secret}=keyvaultref:URL,identityref:IDENTITY` and set the variable with `{set} {variable}=secretref:{secret}`"
            ))),
            None => Err(Failure::fault(format!(
                "{by} hands {variable} to the handler, and the job {job} does not have it; set it with `{set} {variable}=VALUE`, or write its value in the project file"
            ))),
        }
    }

    /// The refusal of a value that looks like a secret.
    fn would_show(&self, secret: &Suspect, variable: &str) -> Failure {
        let (name, group) = self.name_and_group();
        let (job, shown, set) = (self.job.id(), &secret.shown, self.set_command());
        let store = format!(
            "az containerapp job secret set --name {name} --resource-group {group} --secrets NAME=keyvaultref:URL,identityref:IDENTITY"
        );
        let instead = match variable {
            "LONGSHORE_CONFIG" | "LONGSHORE_ENV" => format!(
                "set a variable from it with `{set} VARIABLE=secretref:NAME`, and write `env = [\"VARIABLE\"]`, or `http-header = [\"HOST=HEADER=@VARIABLE\"]`, in the place of the value; a setting that is no secret needs another name"
            ),
            _ => format!(
                "set the whole variable from it with `{set} {variable}=secretref:NAME`, and leave the key out of the file; or let the job's identity do without"
            ),
        };
        Failure::usage(format!(
            "{shown} looks like a secret, which is never written to a job, and {job} does not have it already; make a secret of the job with `{store}`, {instead}"
        ))
    }

    /// What changes, variable by variable.
    pub(in crate::commands) fn changes(&self) -> Vec<Change> {
        let keys = ProjectKeys::of(&Cli::command());
        let (before, after) = (self.values(&self.read), self.values(&self.planned));
        let mut names: Vec<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        let value = |of: &[(String, String)], name: &String| {
            of.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone())
        };
        let changed = names.into_iter().filter_map(|name| {
            let (from, to) = (value(&before, name), value(&after, name));
            (from != to).then(|| change(&keys, name, from.as_deref(), to.as_deref()))
        });
        changed.collect()
    }

    fn values(&self, job: &Value) -> Vec<(String, String)> {
        let env = env(&job["properties"]["template"], self.host).filter(|it| secret_of(it).is_none());
        let pair = |it: &Value| Some((it["name"].as_str()?.to_owned(), it["value"].as_str()?.to_owned()));
        env.filter_map(pair).collect()
    }

    /// Changes the job.
    pub(in crate::commands) async fn apply(&self) -> Result<(), Failure> {
        Ok(self.job.update(&self.read, &self.planned).await?)
    }
}

/// The value, with the job's own queues for those that stand for them.
fn stood_for(carried: &Carried, had: &str) -> Result<Option<String>, String> {
    let mut lines: Vec<String> = carried.value.iter().cloned().collect();
    for name in &carried.stand_ins {
        let found = had.lines().find(|line| line.split_once('=').is_some_and(|(it, _)| it == name));
        lines.push(found.map(str::to_owned).ok_or_else(|| {
            format!("`{name}` of --outbox is a queue on this machine, and the job has none of that name; name the one on Azure in [profile.NAME.outbox], and deploy with --profile NAME")
        })?);
    }
    Ok(Some(lines.join("\n")).filter(|it| !it.is_empty()))
}

/// The component of a template, where its address can be read.
pub(in crate::commands) fn component_of(template: &Value) -> Option<Source> {
    let containers = template["containers"].as_array().map_or(0, Vec::len);
    let mut all = (0..containers).flat_map(|container| env(template, container));
    all.find(|it| it["name"] == COMPONENT)?["value"].as_str()?.parse().ok()
}

fn change(keys: &ProjectKeys, variable: &str, from: Option<&str>, to: Option<&str>) -> Change {
    let key =
        keys.iter().map(|(_, key)| key).find(|key| key.arg().get_env().is_some_and(|it| it == variable));
    let shown = |value: Option<&str>, other: Option<&str>| {
        let value = value?;
        let Some(key) = key else { return Some(without_secrets(value)) };
        if !matches!(key.shape(), ValueShape::List | ValueShape::Table) {
            return Some(visible(key, value));
        }
        let stays = |line: &&str| other.is_some_and(|other| other.lines().any(|it| it == *line));
        let differs = value.lines().filter(|line| !stays(line)).map(|line| match line.split_once('=') {
            // Names and addresses of outboxes are no secrets, but for a signature.
            Some((name, url)) if key.is_address() => format!("{name}={}", without_secrets(url)),
            _ => visible(key, line),
        });
        Some(differs.collect::<Vec<_>>().join(", ")).filter(|it| !it.is_empty())
    };
    Change { variable: variable.to_owned(), from: shown(from, to), to: shown(to, from) }
}
