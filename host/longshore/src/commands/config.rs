//! `longshore config`: what is in force, and where it comes from.

mod schema;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};
use serde::Serialize;
use serde_json::Value;

use super::print;
use crate::cli::{
    BUILD, Cli, ConfigArgs, ConfigVerb, Format, Project, ProjectKey, ProjectKeys, ValueShape, is_unset,
    without_secrets,
};
use crate::exit::{Exit, Failure};

/// What is in force.
#[derive(Serialize)]
struct InForce {
    /// The project file; null without one.
    project: Option<String>,
    profile: Option<String>,
    settings: Vec<InForceValue>,
}

/// One value that is in force.
#[derive(Serialize)]
struct InForceValue {
    key: String,
    /// Shown without what may be a secret.
    value: Value,
    #[serde(flatten)]
    origin: ValueOrigin,
}

/// Where a value comes from.
#[derive(Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
enum ValueOrigin {
    Flag { flag: String },
    Variable { variable: String },
    Project { file: String, line: usize, profile: Option<String> },
    Default,
}

impl ValueOrigin {
    /// In words, for people.
    fn words(&self) -> String {
        match self {
            Self::Flag { flag } => format!("--{flag}"),
            Self::Variable { variable } => variable.clone(),
            Self::Project { file, line, profile: None } => format!("{file}:{line}"),
            Self::Project { file, line, profile: Some(profile) } => {
                format!("{file}:{line} [profile.{profile}]")
            }
            Self::Default => "default".into(),
        }
    }
}

pub(super) fn execute(args: &ConfigArgs, project: &Project, format: Format) -> Result<Exit, Failure> {
    let keys = ProjectKeys::of(&Cli::command());
    if args.verb == Some(ConfigVerb::Schema) {
        print::text(&serde_json::to_string_pretty(&schema::schema(&keys))?);
        return Ok(Exit::Done);
    }
    let matches = args.given.matches();
    let mut settings: Vec<_> =
        keys.iter().filter_map(|(name, key)| in_force(name, key, matches, project)).collect();
    settings.extend(build(project));
    let found = InForce { project: project.file.clone(), profile: project.profile.clone(), settings };
    match format {
        Format::Json => print::json(&found)?,
        Format::Table => {
            let rows =
                found.settings.iter().map(|it| vec![it.key.clone(), words(&it.value), it.origin.words()]);
            print::table(&["key", "value", "from"], rows)?;
        }
    }
    Ok(Exit::Done)
}

/// What is in force for one key; `None` where nothing is.
fn in_force(name: &str, key: &ProjectKey, matches: &ArgMatches, project: &Project) -> Option<InForceValue> {
    let id = key.arg().get_id().as_str();
    let variable = key.arg().get_env()?.to_str()?;
    // Clap does not see a variable that switches off.
    let off = std::env::var(variable).ok().filter(|it| !it.trim().is_empty() && is_unset(key.arg(), it));
    let origin = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => ValueOrigin::Flag { flag: name.to_owned() },
        Some(ValueSource::EnvVariable) => ValueOrigin::Variable { variable: variable.to_owned() },
        _ if off.is_some() => ValueOrigin::Variable { variable: variable.to_owned() },
        _ => match project.value(name) {
            Some(value) => ValueOrigin::Project {
                file: project.file.clone().unwrap_or_default(),
                line: value.line,
                profile: value.profile.clone(),
            },
            None => ValueOrigin::Default,
        },
    };
    let texts = matches.get_raw(id).into_iter().flatten().map(|it| it.to_string_lossy().into_owned());
    // A variable holds one value a line.
    let is_variable = matches!(origin, ValueOrigin::Variable { .. });
    let texts: Vec<String> = match key.shape() {
        ValueShape::List | ValueShape::Table if is_variable => texts
            .flat_map(|it| it.lines().map(|it| it.trim().to_owned()).collect::<Vec<_>>())
            .filter(|it| !it.is_empty())
            .collect(),
        _ => texts.collect(),
    };
    let mut shown = texts.iter().map(|text| visible(key, text));
    let value = match key.shape() {
        ValueShape::Switch => Value::from(matches.get_flag(id)),
        ValueShape::List | ValueShape::Table
            if texts.is_empty() && matches!(origin, ValueOrigin::Default) =>
        {
            return None;
        }
        ValueShape::List | ValueShape::Table => Value::from_iter(shown),
        ValueShape::Number => shown.next()?.parse::<u64>().map(Value::from).ok()?,
        ValueShape::Text => Value::from(shown.next()?),
    };
    Some(InForceValue { key: name.to_owned(), value, origin })
}

/// A value as it may be shown. What is hidden in the help is shown only where it is an address, and
/// that without its secrets.
pub(super) fn visible(key: &ProjectKey, text: &str) -> String {
    if !key.arg().is_hide_env_values_set() {
        return text.to_owned();
    }
    if key.is_address() {
        return without_secrets(text);
    }
    // A name is shown, but not the beginning of a key that ends with `=`.
    match text.split_once('=') {
        Some((name, value)) if !value.trim_matches('=').is_empty() => format!("{name}=…"),
        _ => "…".into(),
    }
}

fn build(project: &Project) -> Vec<InForceValue> {
    let steps = &project.build;
    let command =
        steps.command.clone().map(|(command, line)| ("command", without_secrets(&command).into(), line));
    let sources = steps.sources.clone().map(|(sources, line)| ("sources", sources.into(), line));
    let from =
        |line| ValueOrigin::Project { file: project.file.clone().unwrap_or_default(), line, profile: None };
    let found = command.into_iter().chain(sources);
    found
        .map(|(key, value, line)| InForceValue { key: format!("{BUILD}.{key}"), value, origin: from(line) })
        .collect()
}

/// A value on one line, for people.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
