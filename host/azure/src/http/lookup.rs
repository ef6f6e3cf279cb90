//! Which addresses a host's name stands for.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use super::this_host::is_name_of_this_host;

/// Looks names up as the system does, but for those of this very host. What goes there may carry a
/// token over plain HTTP, so that no name server is asked where that is.
#[derive(Clone)]
pub(super) struct Lookup(GaiResolver);

impl Lookup {
    pub(super) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for Lookup {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if is_name_of_this_host(name.as_str()) {
            let here = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
            // The port is that of the URL.
            let here = here.map(|address| SocketAddr::new(address, 0)).to_vec();
            return Box::pin(async move { Ok(here.into_iter()) });
        }
        let looked_up = self.0.call(name);
        Box::pin(async move { Ok(looked_up.await?.collect::<Vec<_>>().into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_of_this_host_leads_here_and_no_name_server_is_asked() {
        for name in ["localhost", "acme.queue.localhost"] {
            let found: Vec<_> = Lookup::new().call(name.parse().unwrap()).await.unwrap().collect();
            assert!(!found.is_empty() && found.iter().all(|it| it.ip().is_loopback()), "{name}: {found:?}");
        }
    }
}
