//! `sb://NAMESPACE.servicebus.windows.net/QUEUE`.

use url::Url;

use crate::parse::malformed::{Malformed, Parsed};
use crate::place::{Place, Transport};

/// How Service Bus names the dead-letter sub-queue of an entity ([Dead-letter
/// queues](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues)).
pub(crate) const DEAD_LETTER_PATH: &str = "/$deadletterqueue";

/// The longest path of an entity, in characters ([Naming rules,
/// Microsoft.ServiceBus](https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftservicebus)).
const MAX_ENTITY_PATH: usize = 260;

/// Reads the URL of a Service Bus queue.
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
    let name = if dead { format!("{entity}{DEAD_LETTER_PATH}") } else { entity.to_owned() };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if entity.is_empty() || entity.len() > MAX_ENTITY_PATH || !entity.chars().all(allowed) {
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
