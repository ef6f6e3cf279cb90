//! The limit of deliveries that a Service Bus queue has itself. It acts before ours unless it is
//! larger.

use super::finding::Finding;
use super::job::Setup;
use super::ruling::Ruling;
use longshore_azure::jobs::Job;
use longshore_queue::QueueUrl;

/// Whether the service leaves dead-lettering to the host. Only Resource Manager knows the service's
/// limit, and the job's flags say ours.
pub(super) async fn finding(url: &QueueUrl, limit: &'static str, job: Option<&(Job, Setup)>) -> Finding {
    let namespace = url.owner().unwrap_or_default();
    let Ruling(result, detail) = match job {
        Some((job, setup)) => verdict(url, limit, job, setup).await,
        None => {
            let show = format!(
                "az servicebus queue show --resource-group … --namespace-name {namespace} --name {}",
                url.name()
            );
            Ruling::unknown(format!(
                "it has to be larger than --max-dequeue: `{show} --query {limit}`, or name the job with --job"
            ))
        }
    };
    Finding { check: limit, of: url.to_string(), result, needed: true, detail }
}

async fn verdict(url: &QueueUrl, limit: &str, job: &Job, setup: &Setup) -> Ruling {
    let queue = match job.service_bus_queue(url.owner().unwrap_or_default(), url.name()).await {
        Ok(queue) => queue,
        Err(error) => return Ruling::unknown(format!("looked for beside the job: {error}")),
    };
    match (queue["properties"][limit].as_u64(), &setup.run) {
        (None, _) => Ruling::unknown("Resource Manager does not say it"),
        (_, Err(_)) => Ruling::unknown("the flags of the job are not known"),
        (Some(service), Ok(run)) => match u64::from(run.max_dequeue) {
            ours if service > ours => Ruling::ok(),
            ours => Ruling::wrong(format!(
                "it is {service}, and --max-dequeue {ours}: the service dead-letters first, without the reason; set it to {} or more with `az servicebus queue update --max-delivery-count`",
                ours + 1
            )),
        },
    }
}
