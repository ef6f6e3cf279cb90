//! The limit of deliveries that a service has itself, if its kind has one. It acts before ours
//! unless it is larger.

use super::finding::Finding;
use super::job::Setup;
use super::ruling::Ruling;
use longshore_azure::arm::ArmOperation;
use longshore_azure::jobs::Job;
use longshore_queue::QueueUrl;
use longshore_queue::delivery_limit::DeliveryLimit;

/// Whether the service leaves dead-lettering to the host. Only Resource Manager knows the service's
/// limit, and the job's flags say ours.
pub(super) async fn finding(
    url: &QueueUrl,
    limit: &'static DeliveryLimit,
    job: Option<&(Job, Setup)>,
) -> Finding {
    let Ruling(result, detail) = match job {
        Some((job, setup)) => verdict(url, limit, job, setup).await,
        None => {
            let show = limit.show_command(url.limited());
            Ruling::unknown(format!(
                "it has to be larger than --max-dequeue: `{show}`, or name the job with --job"
            ))
        }
    };
    Finding { check: limit.setting, of: url.to_string(), result, needed: true, detail }
}

async fn verdict(url: &QueueUrl, limit: &'static DeliveryLimit, job: &Job, setup: &Setup) -> Ruling {
    let reading =
        ArmOperation { verb: limit.reading, action: limit.action, role: "Reader", there_is: limit.elsewhere };
    let resource = limit.resource_id(url.limited());
    let queue = match job.beside(&resource, limit.api_version, reading).await {
        Ok(queue) => queue,
        Err(error) => return Ruling::unknown(format!("looked for beside the job: {error}")),
    };
    match (queue["properties"][limit.setting].as_u64(), &setup.run) {
        (None, _) => Ruling::unknown("Resource Manager does not say it"),
        (_, Err(_)) => Ruling::unknown("the flags of the job are not known"),
        (Some(service), Ok(run)) => match u64::from(run.max_dequeue) {
            ours if service > ours => Ruling::ok(),
            ours => Ruling::wrong(format!(
                "it is {service}, and --max-dequeue {ours}: the service dead-letters first, without the reason; set it to {} or more with `{}`",
                ours + 1,
                limit.set_command(ours + 1)
            )),
        },
    }
}
