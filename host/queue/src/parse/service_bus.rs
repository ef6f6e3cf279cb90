//! `sb://NAMESPACE.servicebus.windows.net/QUEUE`, and the same for a topic and its subscriptions.

use url::Url;

use crate::parse::malformed::{Malformed, Parsed};
use crate::place::{Place, Transport};

/// How Service Bus names the dead-letter sub-queue of an entity ([Dead-letter
/// queues](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues)).
pub(crate) const DEAD_LETTER_PATH: &str = "/$deadletterqueue";

/// The longest path of an entity, in characters ([Naming rules,
/// Microsoft.ServiceBus](https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftservicebus)).
const MAX_ENTITY_PATH: usize = 260;

/// What stands between the names of a topic and of its subscription. The service takes it in any
/// case; this is how it is shown.
const SUBSCRIPTIONS: &str = "Subscriptions";

/// The longest name of a subscription, in characters: the same page.
const MAX_SUBSCRIPTION_NAME: usize = 50;

/// The topic and the name of a subscription, if that is what the path of an entity names.
pub(crate) fn subscription(entity: &str) -> Option<(&str, &str)> {
    let (before, name) = entity.rsplit_once('/')?;
    let (topic, between) = before.rsplit_once('/')?;
    (between.eq_ignore_ascii_case(SUBSCRIPTIONS) && !topic.is_empty() && !name.is_empty())
        .then_some((topic, name))
}

/// Reads the URL of a Service Bus queue, topic or subscription.
pub(crate) fn parse(url: &Url) -> Parsed {
    let transport = match url.query() {
        None | Some("") => Transport::Amqps,
        Some("transport=websockets") => Transport::WebSockets,
        Some(_) => return Err(Malformed::new("it has a query that is not `transport=websockets`")),
    };
    let path = url.path().trim_matches('/');
    // The service takes names in any case. Our own name of the sub-queue has one form.
    let at = path.len().checked_sub(DEAD_LETTER_PATH.len()).filter(|at| path.is_char_boundary(*at));
    let dead = at.is_some_and(|at| path[at..].eq_ignore_ascii_case(DEAD_LETTER_PATH));
    let entity = if dead { &path[..path.len() - DEAD_LETTER_PATH.len()] } else { path };
    let (topic, shown) = match subscription(entity) {
        Some((_, name)) if name.len() > MAX_SUBSCRIPTION_NAME => {
            return Err(Malformed::new("the name of a subscription has at most 50 characters"));
        }
        Some((topic, name)) => (topic, format!("{topic}/{SUBSCRIPTIONS}/{name}")),
        None => (entity, entity.to_owned()),
    };
    let name = if dead { format!("{shown}{DEAD_LETTER_PATH}") } else { shown };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if topic.is_empty() || topic.len() > MAX_ENTITY_PATH || !entity.chars().all(allowed) {
        return Err(Malformed::new(
            "the path is not that of a Service Bus queue: 1 to 260 letters, digits, `.`, `-`, `_`, `/`",
        ));
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(Malformed::new("it has no host"));
    };
    let namespace = match url.port() {
        Some(port) => format!("{}:{port}", host.to_ascii_lowercase()),
        None => host.to_ascii_lowercase(),
    };
    Ok((Place::ServiceBus { namespace, access: None, transport }, name))
}
