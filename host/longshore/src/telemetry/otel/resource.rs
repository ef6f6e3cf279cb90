//! What made the spans and metrics: the job, its execution and its replica.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;

/// The resource of this process. What is asked for, and `OTEL_SERVICE_NAME`, beat what is found out
/// here.
pub(super) fn of_this_process(asked: Vec<KeyValue>) -> Resource {
    let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.trim().is_empty());
    let found = Resource::builder_empty()
        .with_attributes(of_variables(&variable))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(asked);
    match variable("OTEL_SERVICE_NAME") {
        Some(name) => found.with_service_name(name).build(),
        None => found.build(),
    }
}

/// What Container Apps says to a replica of a job, by the names of the conventions
/// (<https://learn.microsoft.com/azure/container-apps/environment-variables>).
fn of_variables(variable: &dyn Fn(&str) -> Option<String>) -> Vec<KeyValue> {
    let job = variable("CONTAINER_APP_JOB_NAME");
    let replica = variable("CONTAINER_APP_REPLICA_NAME");
    let is_on_azure = job.is_some();
    let mut attributes = vec![
        KeyValue::new("service.name", job.unwrap_or_else(|| "longshore".to_owned())),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        // Cumulative metrics of two runs must not be taken for one series.
        KeyValue::new("service.instance.id", replica.unwrap_or_else(random_id)),
    ];
    if is_on_azure {
        attributes.push(KeyValue::new("cloud.provider", "azure"));
        attributes.push(KeyValue::new("cloud.platform", "azure.container_apps"));
    }
    let execution = variable("CONTAINER_APP_JOB_EXECUTION_NAME");
    attributes.extend(execution.map(|it| KeyValue::new("longshore.execution", it)));
    attributes
}

/// An id of sixteen random bytes.
fn random_id() -> String {
    use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
    RandomIdGenerator::default().new_trace_id().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn found(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|it| it.1.to_owned());
        of_variables(&variable).into_iter().map(|it| (it.key.to_string(), it.value.to_string())).collect()
    }

    #[test]
    fn a_replica_of_a_job_says_which_job_execution_and_replica_it_is() {
        let on_azure = found(&[
            ("CONTAINER_APP_JOB_NAME", "orders"),
            ("CONTAINER_APP_JOB_EXECUTION_NAME", "orders-x1"),
            ("CONTAINER_APP_REPLICA_NAME", "orders-x1-abcde"),
        ]);
        for (name, value) in [
            ("service.name", "orders"),
            ("service.instance.id", "orders-x1-abcde"),
            ("longshore.execution", "orders-x1"),
            ("cloud.provider", "azure"),
            ("cloud.platform", "azure.container_apps"),
        ] {
            assert_eq!(on_azure[name], value);
        }
        let here = found(&[]);
        assert_eq!(here["service.name"], "longshore");
        assert!(!here.contains_key("cloud.provider") && !here.contains_key("longshore.execution"));
        assert_ne!(here["service.instance.id"], found(&[])["service.instance.id"]);
    }
}
