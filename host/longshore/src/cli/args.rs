//! Flags that several verbs share: the queue, the poison queue, the component, the job.

use clap::{Args, ValueHint};

use super::values::Unquoted;
use longshore_azure::arm::Endpoint;
use longshore_azure::jobs::JobId;
use longshore_component::Source;
use longshore_queue::QueueUrl;

/// The heading of what is about Azure itself.
pub(super) const AZURE: &str = "Azure";

/// Which queue.
#[derive(Clone, Debug, Args)]
pub struct QueueArg {
    /// The queue: `file:./queues/orders`, `https://…` or `sb://…`.
    ///
    /// `file:./queues/orders` is a directory and the queue's name in it;
    /// `https://ACCOUNT.queue.core.windows.net/orders` a Storage queue, with a SAS query if there
    /// is no identity; `sb://NAMESPACE.servicebus.windows.net/orders` a queue of Service Bus, and
    /// `…/TOPIC/Subscriptions/NAME` a subscription. A connection string names one as well: that of
    /// Service Bus with `EntityPath=orders`, and that of Storage with `QueueName=orders`, such as
    /// `UseDevelopmentStorage=true;QueueName=orders`.
    // A URL may carry a signature: neither the help nor an error shows it.
    #[arg(long, env = "LONGSHORE_QUEUE", hide_env_values = true, value_name = "URL", value_hint = ValueHint::Url, value_parser = Unquoted::<QueueUrl>::new())]
    pub queue: QueueUrl,
}

/// Which poison queue.
#[derive(Clone, Debug, Args)]
pub struct PoisonArg {
    /// The poison queue [default: the queue's own].
    ///
    /// The queue's own has its name with `-poison`, and lies beside it. On Service Bus it is the
    /// queue's own dead-letter sub-queue.
    #[arg(long, env = "LONGSHORE_POISON_QUEUE", hide_env_values = true, value_name = "URL", value_hint = ValueHint::Url, value_parser = Unquoted::<QueueUrl>::new())]
    pub poison_queue: Option<QueueUrl>,
}

/// A queue, and the poison queue of its messages.
#[derive(Clone, Debug, Args)]
pub struct PoisonOf {
    #[command(flatten)]
    pub(crate) queue: QueueArg,

    #[command(flatten)]
    pub(crate) poison: PoisonArg,
}

impl PoisonOf {
    /// The poison queue that was named, or else the default one. The error says why the queue has
    /// none, or cannot have that one.
    pub fn url(&self) -> Result<QueueUrl, String> {
        let queue = &self.queue.queue;
        match &self.poison.poison_queue {
            // What is poisoned would come back at once, and be poisoned for ever.
            Some(named) if named.is_same_queue(queue) => Err(format!(
                "{named} is the queue itself and cannot be its poison queue; name another with --poison-queue, or leave the flag out"
            )),
            Some(named) => Ok(named.clone()),
            None => queue.poison().map_err(|error| error.to_string()),
        }
    }

    /// Whether it is a dead-letter sub-queue whose messages go nowhere else: each is handed to the
    /// handler once, and what fails stays.
    pub fn is_dead_letters(&self) -> bool {
        self.poison.poison_queue.is_none() && self.queue.queue.is_dead_letter_queue()
    }

    /// Whether it is the queue's own poison queue, which holds the messages of no other queue.
    pub fn is_default(&self) -> bool {
        let named = self.poison.poison_queue.as_ref();
        named.is_none_or(|named| self.queue.queue.poison().is_ok_and(|own| own.is_same_queue(named)))
    }
}

/// Which component, as a flag.
#[derive(Clone, Debug, Args)]
pub struct ComponentArg {
    /// The component: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`.
    ///
    /// In a registry it is named by a tag, or by its digest: `oci://REGISTRY/REPOSITORY@sha256:…`.
    // An address may carry a password: neither the help nor an error shows it.
    #[arg(long, env = "LONGSHORE_COMPONENT", hide_env_values = true, value_name = "PATH", value_hint = ValueHint::FilePath, value_parser = Unquoted::<Source>::new())]
    pub component: Source,
}

/// Which component, where a verb is about that one thing.
#[derive(Clone, Debug, Args)]
pub struct ComponentPath {
    /// The component: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`.
    ///
    /// In a registry it is named by a tag, or by its digest: `oci://REGISTRY/REPOSITORY@sha256:…`.
    #[arg(value_name = "PATH", env = "LONGSHORE_COMPONENT", hide_env_values = true, value_hint = ValueHint::FilePath, value_parser = Unquoted::<Source>::new())]
    pub component: Source,
}

/// How many messages at once.
#[derive(Clone, Copy, Debug, Args)]
pub struct ConcurrencyArg {
    /// How many messages are handled at once.
    #[arg(long, env = "LONGSHORE_CONCURRENCY", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub concurrency: u16,
}

/// Which Container Apps job.
#[derive(Clone, Debug, Args)]
pub struct JobArg {
    /// The job's resource id: `/subscriptions/…/jobs/NAME`.
    ///
    /// It is written in full, as in
    /// `/subscriptions/…/resourceGroups/…/providers/Microsoft.App/jobs/NAME`.
    #[arg(long, env = "LONGSHORE_JOB", value_name = "RESOURCE-ID")]
    pub job: JobId,
}

/// Where Azure Resource Manager is.
#[derive(Clone, Debug, Args)]
pub struct ArmArg {
    /// Azure Resource Manager, of another cloud than the public one:
    /// `https://management.usgovcloudapi.net`, `https://management.chinacloudapi.cn`. Plain HTTP is
    /// for servers on this very host.
    #[arg(long, help_heading = AZURE, hide_short_help = true, env = "LONGSHORE_ARM_ENDPOINT", value_name = "URL", default_value_t)]
    pub arm_endpoint: Endpoint,
}

/// A job, and where it is looked for.
#[derive(Clone, Debug, Args)]
pub struct JobOf {
    #[command(flatten)]
    pub(crate) job: JobArg,

    #[command(flatten)]
    pub(crate) arm: ArmArg,
}
