//! Jobs that can be changed, as ARM keeps them: a patch is merged ([RFC
//! 7396](https://www.rfc-editor.org/rfc/rfc7396)), and the values of secrets are never told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::arm::server::{Answer, Call, JOB, Server};

/// The jobs, by their ids, and the executions of the first.
#[derive(Clone, Default)]
pub struct Jobs {
    jobs: Arc<Mutex<BTreeMap<String, Value>>>,
    executions: Arc<Mutex<Vec<Value>>>,
}

impl Jobs {
    /// These jobs, the one of the tests first.
    pub fn new(jobs: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self { jobs: Arc::new(Mutex::new(jobs.into_iter().collect())), executions: Arc::default() }
    }

    /// A server that has them.
    pub fn serve(&self) -> Server {
        let jobs = self.clone();
        Server::start(move |call| jobs.answer(call))
    }

    /// Answers a call as ARM does.
    pub fn answer(&self, call: &Call) -> Answer {
        let (method, path) = call.what.split_once(' ').unwrap();
        if let Some(job) = path.strip_suffix("/executions") {
            let executions = if job == JOB { self.executions.lock().unwrap().clone() } else { Vec::new() };
            return Answer::ok(json!({ "value": executions }));
        }
        let mut jobs = self.jobs.lock().unwrap();
        let Some(job) = jobs.get_mut(path) else {
            return Answer::error(404, "ResourceNotFound", "there is no such job");
        };
        match method {
            "GET" => {
                let mut told = job.clone();
                for secret in
                    told["properties"]["configuration"]["secrets"].as_array_mut().into_iter().flatten()
                {
                    secret.as_object_mut().unwrap().remove("value");
                }
                // What the service adds itself, and refuses to be told.
                told["properties"]["template"]["containers"][0]["resources"]["ephemeralStorage"] =
                    json!("1Gi");
                Answer::ok(told)
            }
            "PATCH" => {
                let sent = &call.body["properties"]["template"]["containers"];
                assert!(!sent.to_string().contains("ephemeralStorage"), "it is refused: {sent}");
                merge(job, &call.body);
                Answer::ok(job.clone())
            }
            other => panic!("a {other} of {path}"),
        }
    }

    /// A job as it is now, with its secrets.
    pub fn get(&self, id: &str) -> Value {
        self.jobs.lock().unwrap()[id].clone()
    }

    /// The value of a variable of a job.
    pub fn variable(&self, id: &str, name: &str) -> Option<String> {
        let job = self.get(id);
        let env = job["properties"]["template"]["containers"][0]["env"].as_array().unwrap();
        env.iter().find(|it| it["name"] == name).and_then(|it| it["value"].as_str()).map(str::to_owned)
    }

    /// Has an execution run with the template that the job has now.
    pub fn execute(&self, name: &str, status: &str, start: &str) {
        let template = self.get(JOB)["properties"]["template"].clone();
        let mut execution = crate::arm::execution(name, status, start, Some(start), None);
        execution["properties"]["template"] = template;
        self.executions.lock().unwrap().push(execution);
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}
