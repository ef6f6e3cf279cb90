//! The job as it is set up: the container that runs the host, and the flags that the host has
//! there.

use std::collections::BTreeMap;

use clap::{ArgAction, Command, CommandFactory, FromArgMatches};
use serde_json::Value;

use super::room;
use crate::cli::{Cli, OutboxQueue, RunArgs, Verb, is_switch, is_unset, misspelt, switch, without_secrets};
use crate::telemetry;
use longshore_azure::jobs::host_container;
use longshore_queue::QueueUrl;
use longshore_sandbox::IdentityGrant;

/// Stands for the component of the image, which cannot be seen from here.
const IN_THE_IMAGE: &str = "/handler/handler.wasm";
/// Stands for a queue that is not known, since flags without one do not parse.
const NOWHERE: &str = "file:./unknown/unknown";

/// The job, as far as its executions depend on it.
pub(in crate::commands) struct Setup {
    /// `properties.configuration`.
    pub(super) configuration: Value,
    /// `identity`.
    pub(super) identity: Value,
    /// The memory of the container that runs the host, in bytes.
    pub(super) memory: Option<u64>,
    /// Its variables. `None`: from a secret.
    pub(super) variables: BTreeMap<String, Option<String>>,
    /// The flags of the host in it; or why they cannot be known.
    pub(in crate::commands) run: Result<Box<RunArgs>, NoFlags>,
}

/// Why there are no flags.
#[derive(Clone, Debug)]
pub(in crate::commands) enum NoFlags {
    /// The host would refuse them as well.
    Wrong(String),
    /// They cannot be read from here.
    Hidden(String),
}

impl Setup {
    /// Reads it from the job as ARM has it.
    pub(in crate::commands) fn read(job: &Value) -> Result<Self, String> {
        let properties = &job["properties"];
        let container = &properties["template"]["containers"][host_container(job)?];
        let variables = variables(container);
        let run = flags(container, &variables);
        Ok(Self {
            configuration: properties["configuration"].clone(),
            identity: job["identity"].clone(),
            memory: container["resources"]["memory"].as_str().and_then(room::bytes),
            variables,
            run,
        })
    }
}

impl Setup {
    /// The queue, where its URL can be read.
    pub(in crate::commands) fn queue(&self) -> Option<QueueUrl> {
        let url = self.run.as_ref().ok()?.of.queue.queue.clone();
        (url.to_string() != NOWHERE).then_some(url)
    }

    /// Its variables that can be read.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.variables.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
    }

    /// Whether a variable comes from a secret.
    pub(in crate::commands) fn is_secret(&self, variable: &str) -> bool {
        self.variables.get(variable).is_some_and(Option::is_none)
    }

    /// The queues that handlers may send to, where they can be read.
    pub(super) fn outbox(&self) -> Vec<OutboxQueue> {
        self.run.as_ref().map(|run| run.sandbox.grants.outbox()).unwrap_or_default()
    }

    /// What handlers may call with the job's identity, where it can be read.
    pub(super) fn identities(&self) -> Vec<IdentityGrant> {
        self.run.as_ref().map(|run| run.sandbox.grants.reach().identities).unwrap_or_default()
    }

    /// The poison queue, where one is named.
    pub(super) fn poison_queue(&self) -> Option<QueueUrl> {
        self.run.as_ref().ok()?.of.poison.poison_queue.clone()
    }
}

fn variables(container: &Value) -> BTreeMap<String, Option<String>> {
    let env = container["env"].as_array().into_iter().flatten();
    let variable = |it: &Value| {
        let value = match it["secretRef"].as_str() {
            Some(secret) if !secret.is_empty() => None,
            _ => Some(it["value"].as_str().unwrap_or_default().to_owned()),
        };
        Some((it["name"].as_str()?.to_owned(), value))
    };
    env.filter_map(variable).collect()
}

/// Reads arguments and variables as the host in the container will, and not this process's own
/// variables.
fn flags(container: &Value, variables: &BTreeMap<String, Option<String>>) -> Result<Box<RunArgs>, NoFlags> {
    let strings = |name: &str| -> Vec<String> {
        let list = container[name].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let hidden = |why: String| Err(NoFlags::Hidden(why));
    let mut args = strings("args");
    match &strings("command")[..] {
        [] => {}
        [program, rest @ ..] if program.rsplit('/').next() == Some("longshore") => {
            args.splice(0..0, rest.iter().cloned());
        }
        [program, ..] => return hidden(format!("the container's command is {program}, and not longshore")),
    }
    if args.is_empty() {
        args.push("run".into());
    }
    let Some(verb) = args.iter().position(|word| word == "run") else {
        return hidden(format!("the container does not `run`: its arguments are `{}`", args.join(" ")));
    };
    let cli = Cli::command();
    if let Some(cause) = misspelt(variables.keys().cloned(), &cli) {
        return Err(NoFlags::Wrong(cause));
    }
    let given = |long: &str| {
        let name = |word: &String| word.strip_prefix("--").and_then(|it| it.split('=').next()) == Some(long);
        args.iter().any(name)
    };
    let mut words = Vec::new();
    let of_run = cli.find_subcommand("run").into_iter().flat_map(Command::get_arguments);
    for arg in cli.get_arguments().chain(of_run) {
        let (Some(long), Some(variable)) = (arg.get_long(), arg.get_env().and_then(|it| it.to_str())) else {
            continue;
        };
        let value = match variables.get(variable) {
            // A flag replaces its variable.
            _ if given(long) => continue,
            Some(Some(value)) if !is_unset(arg, value) => value.as_str(),
            // A flag whose value may be a secret hides it. No arithmetic is made with those.
            Some(None) if !arg.is_hide_env_values_set() => {
                return hidden(format!("{variable} comes from a secret"));
            }
            _ => match arg.get_id().as_str() {
                // Neither has to be known for arithmetic, and each has to be there.
                "component" => IN_THE_IMAGE,
                "queue" => NOWHERE,
                _ => continue,
            },
        };
        if is_switch(arg) {
            match switch(value) {
                Some(_) => words.push(format!("--{long}")),
                None => return Err(NoFlags::Wrong(format!("{variable} is {value}; write true or false"))),
            }
        } else if matches!(arg.get_action(), ArgAction::Append) {
            let lines = value.lines().map(str::trim).filter(|line| !line.is_empty());
            words.extend(lines.map(|line| format!("--{long}={line}")));
        } else {
            words.push(format!("--{long}={value}"));
        }
    }
    // What was said on the command line comes last, and counts.
    args.splice(verb + 1..verb + 1, words);
    args.insert(0, "longshore".into());
    let without_variables = |command: Command| command.mut_args(|arg| arg.env(None::<&str>));
    let cli = without_variables(cli).mut_subcommand("run", without_variables).args_override_self(true);
    let parsed = cli.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let wrong = |error: clap::Error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        NoFlags::Wrong(without_secrets(line.trim_start_matches("error: ")))
    };
    let Cli { verb, log, .. } = parsed.map_err(wrong)?;
    telemetry::filter(&log).map_err(NoFlags::Wrong)?;
    match verb {
        Verb::Run(run) => {
            run.config().map_err(NoFlags::Wrong)?;
            let component = run.component.component.clone();
            run.sandbox.registry.source(component).map_err(NoFlags::Wrong)?;
            Ok(run)
        }
        _ => hidden("the container does not `run`".into()),
    }
}
