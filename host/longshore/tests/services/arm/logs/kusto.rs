//! What Microsoft's own parser says about queries.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use longshore_testkit::needs;
use serde_json::{Value, json};

/// What is wrong with each query, and the texts that stand in it, as the parser reads them.
pub fn findings(queries: &[String]) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let folder = longshore_testkit::root().join("infra/tests/queries");
    needs::file(folder.join("node_modules"), needs::SERVICES);
    let tables = std::fs::read_to_string(folder.join("tables.json")).unwrap();
    let mut tables: Value = serde_json::from_str(&tables).unwrap();
    // That of an environment which sends its logs itself has no page of Microsoft's. These are the
    // columns that its tutorials read.
    tables["ContainerAppConsoleLogs_CL"] = json!({
        "TimeGenerated": "datetime", "ContainerJobName_s": "string", "ContainerGroupName_s": "string",
        "ContainerName_s": "string", "Log_s": "string", "Stream_s": "string", "_timestamp_d": "real",
    });
    let asked = json!({ "tables": tables, "queries": queries });
    let run = |script: PathBuf| -> Value {
        let mut node = needs::program("node", needs::SERVICES);
        // Both find the parser there.
        node.arg(script).current_dir(&folder).env("NODE_PATH", folder.join("node_modules"));
        let mut running = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
        let ended = running.wait_with_output().unwrap();
        assert!(ended.status.success());
        serde_json::from_slice(&ended.stdout).unwrap()
    };
    let texts = |told: Value| serde_json::from_value::<Vec<Vec<String>>>(told).unwrap();
    let literals = crate::arm::manifest("tests/services/arm/logs/literals.js");
    (texts(run(folder.join("parse.js"))), texts(run(literals)))
}
