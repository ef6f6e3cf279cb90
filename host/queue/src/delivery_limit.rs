//! How often a service itself delivers a message before it moves it to the poison queue.

/// A service's own limit of deliveries: where Resource Manager has it, and what shows and changes
/// it.
///
/// In each text `{owner}`, `{queue}`, `{topic}` and `{subscription}` stand for their names.
#[derive(Debug)]
pub struct DeliveryLimit {
    /// The property of the queue that is the limit.
    pub setting: &'static str,
    /// The command that shows a queue.
    pub show: &'static str,
    /// The command that sets the limit; `{least}` stands for the number.
    pub set: &'static str,
    /// Where a queue is in a resource group.
    pub resource: &'static str,
    /// The version of the service's API in Resource Manager.
    pub api_version: &'static str,
    /// What reading the queue is called, as in "cannot …".
    pub reading: &'static str,
    /// The action that a role has to allow for it.
    pub action: &'static str,
    /// What to do where there is no such queue in the resource group.
    pub elsewhere: &'static str,
}

/// That of a Service Bus queue.
pub(crate) static OF_QUEUE: DeliveryLimit = DeliveryLimit {
    setting: "maxDeliveryCount",
    show: "az servicebus queue show --resource-group … --namespace-name {owner} --name {queue}",
    set: "az servicebus queue update … --max-delivery-count {least}",
    // https://learn.microsoft.com/rest/api/servicebus/controlplane-stable/queues/get
    resource: "Microsoft.ServiceBus/namespaces/{owner}/queues/{queue}",
    api_version: "2024-01-01",
    reading: "read the Service Bus queue",
    action: "Microsoft.ServiceBus/namespaces/queues/read",
    elsewhere: "it is looked for in the job's resource group; if it is in another, `az servicebus queue show --resource-group … --namespace-name … --name … --query maxDeliveryCount` tells",
};

/// That of a subscription of a topic.
pub(crate) static OF_SUBSCRIPTION: DeliveryLimit = DeliveryLimit {
    setting: "maxDeliveryCount",
    show: "az servicebus topic subscription show --resource-group … --namespace-name {owner} --topic-name {topic} --name {subscription}",
    set: "az servicebus topic subscription update … --max-delivery-count {least}",
    // https://learn.microsoft.com/rest/api/servicebus/controlplane-stable/subscriptions/get
    resource: "Microsoft.ServiceBus/namespaces/{owner}/topics/{topic}/subscriptions/{subscription}",
    api_version: "2024-01-01",
    reading: "read the Service Bus subscription",
    action: "Microsoft.ServiceBus/namespaces/topics/subscriptions/read",
    elsewhere: "it is looked for in the job's resource group; if it is in another, `az servicebus topic subscription show --resource-group … --namespace-name … --topic-name … --name … --query maxDeliveryCount` tells",
};

/// The names that a queue has, as its limit is looked up.
#[derive(Clone, Copy, Debug)]
pub struct LimitedQueue<'a> {
    /// The namespace.
    pub owner: &'a str,
    /// The queue.
    pub queue: &'a str,
    /// The topic and the subscription, if it is one.
    pub subscription: Option<(&'a str, &'a str)>,
}

impl LimitedQueue<'_> {
    fn fill(&self, text: &str, written: impl Fn(&str) -> String) -> String {
        let (topic, subscription) = self.subscription.unwrap_or_default();
        [
            ("{owner}", self.owner),
            ("{queue}", self.queue),
            ("{topic}", topic),
            ("{subscription}", subscription),
        ]
        .iter()
        .fold(text.to_owned(), |text, (place, name)| text.replace(place, &written(name)))
    }
}

impl DeliveryLimit {
    /// The command that shows the limit of a queue.
    pub fn show_command(&self, of: LimitedQueue<'_>) -> String {
        format!("{} --query {}", of.fill(self.show, str::to_owned), self.setting)
    }

    /// The command that sets the limit to the least that is right.
    pub fn set_command(&self, least: u64) -> String {
        self.set.replace("{least}", &least.to_string())
    }

    /// The rest of a queue's resource id, behind `/providers/` of its group.
    pub fn resource_id(&self, of: LimitedQueue<'_>) -> String {
        // Resource Manager writes the slashes of a name so.
        of.fill(self.resource, |name| name.replace('/', "~"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_deliveries_is_shown_and_read_of_the_queue_itself() {
        let queue = LimitedQueue { owner: "acme", queue: "in/orders", subscription: None };
        assert_eq!(
            OF_QUEUE.show_command(queue),
            "az servicebus queue show --resource-group … --namespace-name acme --name in/orders --query maxDeliveryCount"
        );
        assert_eq!(OF_QUEUE.set_command(6), "az servicebus queue update … --max-delivery-count 6");
        assert_eq!(OF_QUEUE.resource_id(queue), "Microsoft.ServiceBus/namespaces/acme/queues/in~orders");
        let subscription = LimitedQueue { subscription: Some(("in/orders", "billing")), ..queue };
        assert_eq!(
            OF_SUBSCRIPTION.show_command(subscription),
            "az servicebus topic subscription show --resource-group … --namespace-name acme --topic-name in/orders --name billing --query maxDeliveryCount"
        );
        assert_eq!(
            OF_SUBSCRIPTION.resource_id(subscription),
            "Microsoft.ServiceBus/namespaces/acme/topics/in~orders/subscriptions/billing"
        );
    }
}
