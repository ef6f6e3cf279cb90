//! The [connection
//! string](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dotnet-get-started-with-queues#get-the-connection-string)
//! of a Service Bus queue, which holds a key.

use url::Url;

use crate::parse::fields::Fields;
use crate::parse::malformed::{Malformed, Parsed};
use crate::parse::service_bus;
use crate::place::{Place, SharedAccess, Transport};

/// What every connection string begins with, in upper or lower case.
pub(crate) const BEGINNING: &str = "Endpoint=";

const FORM: &str = "write `Endpoint=sb://NAMESPACE.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=QUEUE`";

/// Reads what comes behind [`BEGINNING`].
pub(crate) fn parse(behind: &str) -> Parsed {
    let wrong = |cause: &str| Malformed { cause: cause.into(), mend: Some(FORM) };
    let (endpoint, fields) = behind.split_once(';').unwrap_or((behind, ""));
    let fields = Fields::of(fields);
    let queue = fields.get("EntityPath").ok_or_else(|| wrong("it names no queue"))?;
    let url = Url::parse(&format!("{}/{queue}", endpoint.trim().trim_end_matches('/')))
        .map_err(|error| wrong(&error.to_string()))?;
    let of_service_bus = url.scheme() == "sb" && url.username().is_empty() && url.password().is_none();
    if !of_service_bus || url.fragment().is_some() {
        return Err(wrong("its endpoint is not that of Service Bus"));
    }
    let (place, name) = service_bus::parse(&url).map_err(|error| wrong(&error.cause))?;
    let Place::ServiceBus { namespace, transport, .. } = place else {
        return Err(wrong("its endpoint is not that of Service Bus"));
    };
    let (Some(policy), Some(key)) = (fields.get("SharedAccessKeyName"), fields.get("SharedAccessKey")) else {
        return Err(wrong("it has no shared key"));
    };
    let access = Some(SharedAccess { name: policy.to_owned(), key: key.to_owned() });
    let transport = if fields.is("UseDevelopmentEmulator", "true") {
        Transport::Plain
    } else if fields.is("TransportType", "AmqpWebSockets") {
        Transport::WebSockets
    } else {
        transport
    };
    Ok((Place::ServiceBus { namespace, access, transport }, name))
}
