//! Arbitrary bytes as the parameters of a deployment.

use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{PROPERTIES, variables};

const PARAMETERS_TARGET: &str = "parameters-file";

const JOBS: &str = r#"{"$schema":"x","parameters":{"name":{"value":"a"},"jobs":{"value":[{"maxExecutions":4,"cpu":"1.0","lease":"fixed","maxMessages":0}]}}}"#;
const PIECES: &[&str] = &[
    "\"parameters\":{",
    "\"jobs\":{\"value\":[",
    "\"job\":{\"value\":{",
    "\"parametersJson\":\"",
    "\"cpu\":",
    "null",
    "\u{feff}",
    "{",
    "[",
    "\\u0000",
];

#[test]
fn whatever_stands_in_a_file_of_parameters_it_is_variables_or_refused() {
    let within = serde_json::json!({ "parametersJson": JOBS, "templateJson": "{}" }).to_string();
    let seeds = [JOBS, &within, r#"{"parameters":{"job":{"value":{"graceSeconds":5}}}}"#, "param name = 'a'"];
    let target = FuzzTarget::of_texts(PARAMETERS_TARGET, module_path!(), PIECES, &seeds);
    feed(&target, |bytes| match variables(&String::from_utf8_lossy(bytes)) {
        Ok(found) => {
            assert!(found.len() <= PROPERTIES.len());
            format!("read {}", ["none", "one", "some"][found.len().min(2)])
        }
        Err(cause) => cause,
    });
}
