//! The parameters of a deployment, as variables of `dev` and its executions.
//!
//! They are what `infra/main.bicep` is deployed with, as JSON: `az bicep build-params` writes it
//! from a `.bicepparam`. The program starts itself once more with them as variables, so that a flag
//! beats them and they beat the project file, as the job's own variables do on Azure.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::exit::Failure;

/// The longest file of parameters, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What a file is that this program can use.
const A_DEPLOYMENT: &str = "name the file that `infra/main.bicep` is deployed with";

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
    let variables = match read(file).and_then(|text| variables(&text)) {
        Ok(variables) => variables,
        Err(cause) => return Failure::usage(format!("--parameters: {name} {cause}")),
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

/// The text of a file, or of a pipe, as a shell makes it of a command. An error is what is to be
/// said after the file's name.
fn read(file: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}; name a file of parameters");
    // A device may do something when it is opened.
    let found = std::fs::metadata(file).map_err(unreadable)?;
    let kind = found.file_type();
    if !kind.is_file() && !kind.is_fifo() {
        let what = if kind.is_dir() { "directory" } else { "device or a socket" };
        return Err(format!("is a {what}; name a file of parameters"));
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("is larger than 1 MiB, and parameters are not; name a file of parameters".into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is no UTF-8 text: byte {at} is none; save it as UTF-8")
    })
}

/// What a file of parameters says, as variables. An error is what is to be said after its name.
fn variables(text: &str) -> Result<Vec<(&'static str, String)>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut file: Value = serde_json::from_str(text).map_err(|error| {
        format!("is no JSON: {error}; `az bicep build-params --file FILE.bicepparam` writes it as JSON")
    })?;
    // `build-params` prints the file within an object.
    if let Some(inner) = file["parametersJson"].as_str() {
        file = serde_json::from_str(inner)
            .map_err(|error| format!("has a `parametersJson` that is no JSON: {error}; make it anew"))?;
    }
    let parameters = &file["parameters"];
    if !parameters.is_object() {
        let found = kind_of(parameters);
        return Err(format!("has no object `parameters`, but {found}; {A_DEPLOYMENT}"));
    }
    let (place, job) = the_job(parameters)?;
    let Some(properties) = job.as_object() else {
        return Err(format!("has {} at {place}; write an object with the job's properties", kind_of(job)));
    };
    let (mut found, mut says_something) = (Vec::new(), false);
    for (property, variable, unit) in PROPERTIES {
        let value = match properties.get(property) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(other) => {
                let other = kind_of(other);
                return Err(format!("has {other} at {place}.{property}; write a number or a text"));
            }
        };
        // 0 is no limit there, and no number here.
        if (property, &*value) != ("maxMessages", "0") {
            let said = value.clone() + unit;
            check(variable, &said).map_err(|cause| {
                format!("has {value:?} at {place}.{property}, which `dev` refuses: {cause}")
            })?;
            found.push((variable, said));
        }
        says_something = true;
    }
    if !says_something {
        let known: Vec<_> = PROPERTIES.iter().map(|(property, ..)| *property).collect();
        return Err(format!(
            "has nothing at {place} that `dev` takes: {}; leave --parameters out, and the deployment's defaults hold",
            known.join(", ")
        ));
    }
    Ok(found)
}

/// The one job of a deployment, and where it stands.
fn the_job(parameters: &Value) -> Result<(&'static str, &Value), String> {
    let jobs = &parameters["jobs"]["value"];
    let job = &parameters["job"]["value"];
    match (jobs, job) {
        (Value::Null, Value::Null) => Err(format!(
            "has no job, neither at parameters.jobs.value nor at parameters.job.value; {A_DEPLOYMENT}"
        )),
        (Value::Null, job) => Ok(("parameters.job.value", job)),
        (Value::Array(jobs), _) => match &jobs[..] {
            [job] => Ok(("parameters.jobs.value[0]", job)),
            [] => {
                Err("has an empty list at parameters.jobs.value; write the job that runs here into it".into())
            }
            several => {
                let several = several.len();
                Err(format!(
                    "has {several} jobs at parameters.jobs.value; write a file with the one that runs here"
                ))
            }
        },
        (other, _) => {
            let other = kind_of(other);
            Err(format!("has {other} at parameters.jobs.value; write a list with the job that runs here"))
        }
    }
}

/// A value of JSON, in words.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether the flag of a variable takes a value.
fn check(variable: &str, value: &str) -> Result<(), String> {
    let command = <crate::cli::Cli as clap::CommandFactory>::command();
    let dev = command.find_subcommand("dev");
    let flag = dev.and_then(|dev| {
        dev.get_arguments().find(|arg| arg.get_env().is_some_and(|it| it == variable)).cloned()
    });
    let Some(flag) = flag else { return Ok(()) };
    let words = ["dev".to_owned(), format!("--{}={value}", flag.get_long().unwrap_or_default())];
    // Without the other flags, which it may ask for or contradict.
    match clap::Command::new("dev").arg(flag).try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let said = text.lines().map(str::trim).take_while(|line| !line.is_empty());
            Err(said.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned())
        }
    }
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
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_place_what_stands_there_and_the_mend() {
        let jobs = |jobs: &str| format!(r#"{{"parameters": {{"jobs": {{"value": {jobs}}}}}}}"#);
        for (wrong, words) in [
            ("param name = 'a'".to_owned(), "is no JSON"),
            ("{}".into(), "has no object `parameters`, but nothing; name the file"),
            (r#"{"parameters": []}"#.into(), "has no object `parameters`, but a list"),
            (r#"{"parameters": {"name": {"value": "a"}}}"#.into(), "has no job, neither at"),
            (jobs("[{}, {}]"), "has 2 jobs at parameters.jobs.value; write a file with the one"),
            (jobs("[]"), "has an empty list at parameters.jobs.value"),
            (jobs("{}"), "has an object at parameters.jobs.value; write a list"),
            (jobs("[7]"), "has a number at parameters.jobs.value[0]; write an object"),
            (jobs(r#"[{"queueName": "q"}]"#), "has nothing at parameters.jobs.value[0] that `dev` takes"),
            (
                jobs(r#"[{"cpu": []}]"#),
                "has a list at parameters.jobs.value[0].cpu; write a number or a text",
            ),
            (jobs(r#"[{"cpu": "3.0"}]"#), "has \"3.0\" at parameters.jobs.value[0].cpu, which `dev` refuses"),
            (jobs(r#"[{"maxExecutions": 0}]"#), "has \"0\" at parameters.jobs.value[0].maxExecutions"),
            (jobs(r#"[{"busySeconds": "soon"}]"#), "'--busy <D>'"),
            (jobs(r#"[{"graceSeconds": -1}]"#), "parameters.jobs.value[0].graceSeconds"),
        ] {
            let said = variables(&wrong).unwrap_err();
            assert!(said.contains(words), "`{words}` is not in {said}");
        }
        assert_eq!(variables(&jobs(r#"[{"maxMessages": 0}]"#)).unwrap(), []);
    }

    #[test]
    fn what_is_no_file_and_what_has_no_end_is_refused_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let large = directory.path().join("large.json");
        std::fs::write(&large, vec![b' '; MAX_FILE as usize + 1]).unwrap();
        let other = directory.path().join("utf16.json");
        std::fs::write(&other, b"\xff\xfe{\0}\0").unwrap();
        for (file, words) in [
            (Path::new("/dev/zero"), "is a device"),
            (directory.path(), "is a directory"),
            (&large, "is larger than 1 MiB"),
            (&other, "is no UTF-8 text: byte 0"),
            (Path::new("none.json"), "cannot be read"),
        ] {
            let said = start_again(file).message();
            assert!(said.contains(words) && said.contains(&file.display().to_string()), "{said}");
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
