//! Where a token of the identity would go.

use url::{Host, Url};

use crate::place::Place;
use crate::this_host::is_this_host;
use crate::url::QueueUrl;

impl QueueUrl {
    /// The host that a token of the identity would go to, where that is neither one of the
    /// service's own nor this very host. A token may go there only if whoever owns it has named
    /// that host.
    ///
    /// `None` also where no token is used: for a file queue, with a signature, and with a key.
    pub fn token_goes_elsewhere(&self) -> Option<String> {
        let host = self.token_host()?;
        let is_own = self.kind().tokens.as_ref().is_some_and(|tokens| tokens.owns(&host.to_string()));
        (!is_own && !is_this_host(&host)).then(|| host.to_string())
    }

    /// The host that serves the queue; `None` for a queue in a directory.
    pub fn server(&self) -> Option<Host> {
        let address = match self.place() {
            Place::Storage { endpoint, .. } => endpoint.clone(),
            Place::ServiceBus { namespace, .. } => format!("https://{namespace}"),
            Place::File { .. } => return None,
        };
        Url::parse(&address).ok()?.host().map(|host| host.to_owned())
    }

    /// The host that a token of the identity goes to, if one is used.
    pub fn token_host(&self) -> Option<Host> {
        let address = match self.place() {
            Place::Storage { endpoint, access: None } => endpoint.clone(),
            // The namespace is a host, with a port if one was given.
            Place::ServiceBus { namespace, access: None, .. } => format!("https://{namespace}"),
            _ => return None,
        };
        // Both are parts of URLs that were parsed.
        Url::parse(&address).ok()?.host().map(|host| host.to_owned())
    }
}
