//! What the project file says, as variables of the job.

use std::collections::BTreeSet;
use std::fmt;

use clap::{Command, CommandFactory};

use super::secrets::secret_in;
use crate::cli::{Cli, OutboxQueue, Project, ValueShape};
use crate::exit::Failure;
use longshore_sandbox::HeaderGrant;

/// What stays behind: each is about this machine, or comes with the job. The queue does: its role
/// and the scale rule go by it.
const STAYS: [&str; 7] =
    ["queue", "poison-queue", "component", "watch", "precompiled", "cache-dir", "registry-auth"];
/// What travels although it is no flag of `run` alone.
const TRAVELS: [&str; 1] = ["log"];

/// A variable that the project file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) variable: String,
    /// `None`: the file empties it, which takes it away.
    pub(super) value: Option<String>,
    /// The variables that the job has to have for it.
    pub(super) needs: Vec<Needed>,
    /// The names of queues on this machine: each stands for the queue that the job has under that
    /// name.
    pub(super) stand_ins: Vec<String>,
    /// What looks like a secret: it is not written, but may stay where it stands already.
    pub(super) secrets: Vec<Suspect>,
}

/// A value that looks like a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Suspect {
    /// What is said of it: where it stands, and its name.
    pub(super) shown: String,
    /// The line, which is never shown.
    pub(super) line: String,
}

impl fmt::Debug for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Suspect").field(&self.shown).finish()
    }
}

/// What one value of the file asks of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asks {
    Nothing,
    /// To have a variable.
    Variable(Needed),
    /// To have a queue for its handlers, by this name.
    Queue(String),
}

/// A variable of the job that a grant refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) variable: String,
    /// Whether it is a key, which has its place in a secret.
    pub(super) is_secret: bool,
}

/// The variables that the project file sets.
///
/// # Errors
/// A value has no place in a job: a file of this machine, or several lines.
pub(super) fn variables(project: &Project) -> Result<Vec<Carried>, Failure> {
    let cli = Cli::command();
    let of_run = cli.find_subcommand("run").into_iter().flat_map(Command::get_arguments);
    let known: BTreeSet<_> = of_run.filter_map(|arg| arg.get_env()?.to_str()).collect();
    let mut carried = Vec::new();
    for (key, name, value) in project.values() {
        let Some(variable) = key.arg().get_env().and_then(|it| it.to_str()) else { continue };
        if STAYS.contains(&name) || !(known.contains(variable) || TRAVELS.contains(&name)) {
            continue;
        }
        let place = || {
            let file = project.file.as_deref().unwrap_or_default();
            format!("{file}:{}: `{name}`", value.line)
        };
        let (mut needs, mut stand_ins, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut secrets = Vec::new();
        for text in &value.texts {
            if let Some(secret) = secret_in(name, text) {
                let shown = format!("{}: {secret}", place());
                secrets.push(Suspect { shown, line: text.clone() });
            }
            match line(name, text).map_err(|cause| Failure::usage(format!("{}: {cause}", place())))? {
                Asks::Queue(name) => {
                    stand_ins.push(name);
                    continue;
                }
                Asks::Variable(needed) => needs.push(needed),
                Asks::Nothing => {}
            }
            texts.push(text.as_str());
        }
        let is_list = matches!(key.shape(), ValueShape::List | ValueShape::Table);
        let text = texts.join(if is_list { "\n" } else { "" });
        carried.push(Carried {
            variable: variable.to_owned(),
            value: Some(text).filter(|it| !it.is_empty()),
            needs,
            stand_ins,
            secrets,
        });
    }
    Ok(carried)
}

/// What one value asks of the job; or why it has no place there. The cause shows no value.
fn line(key: &str, text: &str) -> Result<Asks, String> {
    let named = text.split_once('=').map(|(name, value)| (name.trim(), value));
    if text.contains(['\n', '\r']) {
        return Err("a value has several lines, and a variable holds one value a line; set it from a secret of the job and leave the key out".into());
    }
    match (key, named) {
        ("config" | "env", Some((name, value))) if value.starts_with('@') && !value.starts_with("@@") => {
            Err(format!(
                "`{name}` is read from a file, which the job has not; write its value in the profile, or set the variable from a secret of the job and leave the key out"
            ))
        }
        ("env", None) => Ok(Asks::Variable(Needed { variable: text.to_owned(), is_secret: false })),
        ("http-header", _) => {
            let grant: HeaderGrant = text.parse().map_err(|error| format!("{error}"))?;
            Ok(Asks::Variable(Needed { variable: grant.variable().to_owned(), is_secret: true }))
        }
        ("outbox", _) => {
            let OutboxQueue { name, url } = text.parse()?;
            // It belongs to no account and no namespace.
            if url.owner().is_none() {
                return Ok(Asks::Queue(name));
            }
            Ok(Asks::Nothing)
        }
        _ => Ok(Asks::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::{Asks, Needed, line};

    #[test]
    fn what_has_no_place_in_a_job_is_refused_without_its_text() {
        for (key, text, words) in [
            ("config", "key=@swordfish.pem", "`key` is read from a file"),
            ("env", "KEY=@swordfish", "`KEY` is read from a file"),
            ("config", "a=b\nswordfish", "several lines"),
        ] {
            let said = line(key, text).unwrap_err();
            assert!(said.contains(words) && !said.contains("swordfish"), "{text}: {said}");
        }
    }

    #[test]
    fn a_grant_that_refers_to_a_variable_needs_it() {
        for (key, text, variable, is_secret) in [
            ("http-header", "api.example.com=x-api-key=@API_KEY", "API_KEY", true),
            ("env", "TZ", "TZ", false),
        ] {
            let needed = Needed { variable: variable.into(), is_secret };
            assert_eq!(line(key, text), Ok(Asks::Variable(needed)), "{text}");
        }
        let queue = Asks::Queue("invoices".into());
        assert_eq!(line("outbox", "invoices=file:./queues/invoices"), Ok(queue));
        for (key, text) in [
            ("env", "TZ=UTC"),
            ("config", "user=@@bob"),
            ("config", "currency=EUR"),
            ("outbox", "invoices=https://acme.queue.core.windows.net/invoices"),
            ("allow-http", "api.example.com"),
            ("deadline", "10s"),
        ] {
            assert_eq!(line(key, text), Ok(Asks::Nothing), "{text}");
        }
    }
}
