//! The parameters of a deployment, as variables of `dev` and its executions.
//!
//! They are what `infra/main.bicep` is deployed with, as JSON: `az bicep build-params` writes it
//! from a `.bicepparam`. The program starts itself once more with them as variables, so that a flag
//! beats them and they beat the project file, as the job's own variables do on Azure.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::exit::Failure;

/// The longest file of parameters, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A property of a job in `infra/types.bicep`, the variable of a flag, and what follows the number.
const PROPERTIES: [(&str, &str, &str); 13] = [
    ("maxExecutions", "LONGSHORE_MAX_EXECUTIONS", ""),
    ("pollingIntervalSeconds", "LONGSHORE_POLL", "s"),
    ("cpu", "LONGSHORE_CPU", ""),
    ("handlingMs", "LONGSHORE_HANDLING", "ms"),
    ("busySeconds", "LONGSHORE_BUSY", "s"),
    ("concurrency", "LONGSHORE_CONCURRENCY", ""),
    ("handlerMemoryMib", "LONGSHORE_MEMORY", ""),
    ("deadlineSeconds", "LONGSHORE_DEADLINE", "s"),
    ("timeBudgetSeconds", "LONGSHORE_TIME_BUDGET", "s"),
    ("graceSeconds", "LONGSHORE_GRACE", "s"),
    ("maxDequeue", "LONGSHORE_MAX_DEQUEUE", ""),
    ("maxMessages", "LONGSHORE_MAX_MESSAGES", ""),
    ("lease", "LONGSHORE_LEASE", ""),
];

/// Starts this program once more, with what the file says as variables. It returns only where that
/// cannot be done.
pub(super) fn start_again(file: &Path) -> Failure {
    let name = file.display();
    match std::fs::metadata(file) {
        Ok(found) if found.len() > MAX_FILE => {
            return Failure::usage(format!("{name} is larger than 1 MiB, and parameters are not"));
        }
        _ => {}
    }
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return Failure::usage(format!("--parameters: {name} cannot be read: {error}")),
    };
    let variables = match variables(&text) {
        Ok(variables) => variables,
        Err(cause) => return Failure::usage(format!("--parameters: {name}: {cause}")),
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return Failure::other(format!("this program's own file cannot be found: {error}")),
    };
    let mut command = Command::new(program);
    command.args(without_parameters(std::env::args_os().skip(1)));
    // A variable that is set is said by a person, for this once.
    let is_free = |(name, _): &(&str, String)| std::env::var_os(name).is_none_or(|it| it.is_empty());
    command.envs(variables.into_iter().filter(is_free));
    Failure::other(format!("this program cannot be started once more: {}", command.exec()))
}

/// What a file of parameters says, as variables.
fn variables(text: &str) -> Result<Vec<(&'static str, String)>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut file: Value = serde_json::from_str(text).map_err(|error| {
        format!("it is no JSON: {error}; `az bicep build-params --file FILE.bicepparam` writes it as JSON")
    })?;
    // `build-params` prints the file within an object.
    if let Some(inner) = file["parametersJson"].as_str() {
        file =
            serde_json::from_str(inner).map_err(|error| format!("its parametersJson is no JSON: {error}"))?;
    }
    let parameters = &file["parameters"];
    if !parameters.is_object() {
        return Err("it has no `parameters`; is it the file of a deployment?".into());
    }
    let jobs = parameters["jobs"]["value"].as_array().map_or(&[][..], Vec::as_slice);
    let job = match jobs {
        [] => &parameters["job"]["value"],
        [job] => job,
        _ => return Err("it has several jobs; write a file with the one that runs here".into()),
    };
    let mut found = Vec::new();
    for (property, variable, unit) in PROPERTIES {
        let value = match &job[property] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(format!("its {property} is neither a number nor a text")),
        };
        // 0 is no limit there, and no number here.
        if (property, &*value) != ("maxMessages", "0") {
            found.push((variable, value + unit));
        }
    }
    Ok(found)
}

fn without_parameters(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut kept, mut words) = (Vec::new(), words);
    while let Some(word) = words.next() {
        if word == "--parameters" {
            words.next();
        } else if !word.to_string_lossy().starts_with("--parameters=") {
            kept.push(word);
        }
    }
    kept
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_a_job_are_variables_of_its_flags() {
        let file = r#"{"$schema": "x", "parameters": {"name": {"value": "a"}, "jobs": {"value": [
            {"maxExecutions": 4, "pollingIntervalSeconds": 10, "cpu": "1.0", "maxMessages": 0, "lease": "fixed", "handlingMs": 50}
        ]}}}"#;
        let expected = [
            ("LONGSHORE_MAX_EXECUTIONS", "4"),
            ("LONGSHORE_POLL", "10s"),
            ("LONGSHORE_CPU", "1.0"),
            ("LONGSHORE_HANDLING", "50ms"),
            ("LONGSHORE_LEASE", "fixed"),
        ];
        assert_eq!(variables(file).unwrap(), expected.map(|(name, value)| (name, value.to_owned())));
        let within = serde_json::json!({ "parametersJson": file }).to_string();
        assert_eq!(variables(&within).unwrap().len(), 5);
        let one = r#"{"parameters": {"job": {"value": {"graceSeconds": 5}}}}"#;
        assert_eq!(variables(one).unwrap(), [("LONGSHORE_GRACE", "5s".to_owned())]);
        for (wrong, words) in [
            ("param name = 'a'", "az bicep build-params"),
            ("{}", "no `parameters`"),
            (r#"{"parameters": {"jobs": {"value": [{}, {}]}}}"#, "several jobs"),
            (r#"{"parameters": {"job": {"value": {"cpu": []}}}}"#, "its cpu is"),
        ] {
            assert!(variables(wrong).unwrap_err().contains(words), "{wrong}");
        }
    }

    #[test]
    fn every_property_is_one_of_the_template_and_every_variable_one_of_a_flag() {
        let types = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/types.bicep");
        let types = std::fs::read_to_string(types).unwrap();
        let command = <crate::cli::Cli as clap::CommandFactory>::command();
        let dev = command.find_subcommand("dev").unwrap();
        for (property, variable, _) in PROPERTIES {
            assert!(
                types.lines().any(|it| it.trim_start().starts_with(&format!("{property}: "))),
                "{property}"
            );
            let is_known = dev.get_arguments().any(|arg| arg.get_env().is_some_and(|it| it == variable));
            assert!(is_known, "{variable}");
        }
    }

    #[test]
    fn the_program_is_not_started_again_for_ever() {
        let words = ["dev", "--parameters", "a.json", "--once", "--parameters=b.json"].map(OsString::from);
        assert_eq!(without_parameters(words.into_iter()), ["dev", "--once"]);
    }
}
