//! A template for one execution: the job's own, with some of it changed.
//!
//! A template that is sent along with a start takes the place of the job's, whole: what is not in
//! it, such as the other variables, is gone ([Start a job execution on
//! demand](https://learn.microsoft.com/azure/container-apps/jobs#start-a-job-execution-on-demand)).

use serde_json::{Map, Value, json};

/// All that a container of an execution may have: of what a job's container has, less
/// ([JobExecutionContainer](https://learn.microsoft.com/rest/api/resource-manager/containerapps/jobs/start#jobexecutioncontainer)).
const FIELDS: [&str; 6] = ["name", "image", "command", "args", "env", "resources"];
/// What the service adds to `resources` itself, and refuses to be told.
pub(super) const READ_ONLY: &str = "ephemeralStorage";
/// What is lost, and matters.
const LOST: [&str; 2] = ["volumeMounts", "probes"];

/// What is to be different in one execution.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Which container; the only one, if it is not named.
    pub container: Option<String>,
    /// Another image.
    pub image: Option<String>,
    /// Other arguments.
    pub args: Option<Vec<String>>,
    /// Variables, in place of those of the same names or beside the others.
    pub env: Vec<(String, String)>,
}

/// A template for one execution.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// As it is sent.
    pub template: Value,
    /// What the job's containers have and those of an execution cannot.
    pub lost: Vec<&'static str>,
}

impl Overrides {
    /// Whether nothing is to be different.
    pub fn is_empty(&self) -> bool {
        self.image.is_none() && self.args.is_none() && self.env.is_empty()
    }

    /// The job's template with the changes.
    ///
    /// # Errors
    /// The job has no such container, or several and none was named.
    pub fn apply(&self, job: &Value) -> Result<Replacement, String> {
        let template = &job["properties"]["template"];
        let list = |name: &str| template[name].as_array().cloned().unwrap_or_default();
        let (mut containers, inits) = (list("containers"), list("initContainers"));
        let mut lost: Vec<&str> = LOST
            .into_iter()
            .filter(|field| {
                containers.iter().chain(&inits).any(|it| it.get(*field).is_some_and(is_something))
            })
            .collect();
        lost.sort_unstable();
        let chosen = self.choose(&containers)?;
        self.change(&mut containers[chosen]);
        let mut replacement = json!({ "containers": containers.iter().map(allowed).collect::<Vec<_>>() });
        if !inits.is_empty() {
            replacement["initContainers"] = inits.iter().map(allowed).collect();
        }
        Ok(Replacement { template: replacement, lost })
    }

    fn choose(&self, containers: &[Value]) -> Result<usize, String> {
        let names: Vec<&str> = containers.iter().map(|it| it["name"].as_str().unwrap_or_default()).collect();
        match &self.container {
            Some(name) => names
                .iter()
                .position(|it| it == name)
                .ok_or_else(|| format!("the job has no container {name}; it has {}", names.join(", "))),
            None if containers.len() == 1 => Ok(0),
            None => {
                Err(format!("the job has the containers {}: name one with --container", names.join(", ")))
            }
        }
    }

    fn change(&self, container: &mut Value) {
        if let Some(image) = &self.image {
            container["image"] = json!(image);
        }
        if let Some(args) = &self.args {
            container["args"] = json!(args);
        }
        let mut env = container["env"].as_array().cloned().unwrap_or_default();
        env.retain(|variable| self.env.iter().all(|(name, _)| variable["name"] != name.as_str()));
        env.extend(self.env.iter().map(|(name, value)| json!({ "name": name, "value": value })));
        container["env"] = json!(env);
    }
}

fn allowed(container: &Value) -> Value {
    let mut fields: Map<String, Value> = FIELDS
        .into_iter()
        .filter_map(|name| {
            Some((name.to_owned(), container.get(name).filter(|it| is_something(it))?.clone()))
        })
        .collect();
    if let Some(resources) = fields.get_mut("resources").and_then(Value::as_object_mut) {
        resources.remove(READ_ONLY);
    }
    fields.into()
}

/// Whether it is more than a place for something.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}
