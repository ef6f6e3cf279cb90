//! The job from the outside: the real binary against a loopback server that answers as Azure
//! Resource Manager does in the published examples of api-version 2026-07-01
//! ([azure-rest-api-specs](https://github.com/Azure/azure-rest-api-specs),
//! `Microsoft.App/ContainerApps`, `Job_*.json`).

mod check;
mod check_queue;
mod deploy;
mod errors;
mod executions;
mod jobs;
mod logs;
mod releases;
mod server;
mod start;
mod twin;
#[cfg(feature = "dev")]
mod ui;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A file of these tests.
fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// An execution, as ARM describes it.
fn execution(name: &str, status: &str, start: &str, end: Option<&str>, code: Option<i32>) -> Value {
    let containers: Vec<Value> = code
        .iter()
        .map(|code| {
            let status = if *code == 0 { "Succeeded" } else { "Failed" };
            json!({ "name": "longshore", "code": code, "status": status, "additionalInformation": "Completed" })
        })
        .collect();
    json!({
        "name": name,
        "id": format!("{}/executions/{name}", server::JOB),
        "type": "Microsoft.App/jobs/executions",
        "properties": {
            "status": status,
            "startTime": start,
            "endTime": end,
            "reason": (status == "Failed").then_some("BackoffLimitExceeded"),
            "message": (status == "Failed").then_some("Job has reached the specified backoff limit"),
            "template": { "containers": [{ "name": "longshore", "image": "registry.example/longshore:1" }] },
            "detailedStatus": { "replicas": [{ "name": format!("{name}-0"), "containers": containers }] },
        }
    })
}
