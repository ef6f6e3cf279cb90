//! The namespaces whose port of AMQP keeps silent, as firewalls let it. To find that out takes
//! seconds at each connection.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use longshore_queue::QueueError;
use longshore_queue::place::Transport;

/// How long one connection may take to be made, its handshake included.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// The namespaces whose port of AMQP kept silent while that of WebSockets answered.
#[derive(Debug, Default)]
pub(super) struct SilentPorts {
    hosts: Mutex<HashSet<String>>,
}

impl SilentPorts {
    /// Connects to the port of AMQP, and else to that of WebSockets. Where the first one kept
    /// silent before, the second one comes first.
    pub(super) async fn connect<'a, T>(
        &self,
        host: &str,
        dial: impl Fn(Transport) -> BoxFuture<'a, Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        let is_silent = self.hosts().contains(host);
        if is_silent {
            match dial(Transport::WebSockets).await {
                // What was found out before may not hold any more.
                Err(QueueError::Busy { .. }) => _ = self.hosts().remove(host),
                dialled => return dialled,
            }
        }
        let started = Instant::now();
        let cause = match dial(Transport::Amqps).await {
            Err(QueueError::Busy { cause, .. }) => cause,
            dialled => return dialled,
        };
        let was_silent = started.elapsed() >= CONNECT;
        tracing::debug!(cause, "trying a WebSocket");
        let dialled = dial(Transport::WebSockets).await;
        if was_silent && dialled.is_ok() {
            self.hosts().insert(host.to_owned());
        }
        dialled
    }

    fn hosts(&self) -> MutexGuard<'_, HashSet<String>> {
        // What it guards is valid after every statement.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_queue::QueueUrl;
    use tokio::time::sleep;

    use super::*;

    const AMQP: &str = "5671";
    const WEB: &str = "443";

    /// What was tried, and in what order, when the ports answer after so long; `None`: not at all.
    async fn tried(
        ports: &SilentPorts,
        host: &str,
        amqp: Option<Duration>,
        web: Option<Duration>,
    ) -> Vec<&'static str> {
        let tried = Mutex::new(Vec::new());
        let dial = |transport| -> BoxFuture<'static, _> {
            let (name, answers) = match transport {
                Transport::WebSockets => (WEB, web),
                _ => (AMQP, amqp),
            };
            tried.lock().unwrap().push(name);
            Box::pin(async move {
                sleep(answers.unwrap_or(CONNECT)).await;
                answers.ok_or_else(|| {
                    QueueError::busy("sb://acme/orders".parse::<QueueUrl>().unwrap(), "no answer")
                })
            })
        };
        let _ = ports.connect(host, dial).await;
        tried.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_does_not_answer_is_remembered_for_its_namespace_until_the_other_one_fails() {
        let (ports, soon) = (SilentPorts::default(), Some(Duration::from_millis(20)));
        assert_eq!(tried(&ports, "acme", None, soon).await, [AMQP, WEB]);
        let started = Instant::now();
        assert_eq!(tried(&ports, "acme", None, soon).await, [WEB]);
        assert!(started.elapsed() < CONNECT, "{:?}", started.elapsed());
        assert_eq!(tried(&ports, "other", soon, soon).await, [AMQP]);
        assert_eq!(tried(&ports, "acme", soon, None).await, [WEB, AMQP], "the network has changed");
        assert_eq!(tried(&ports, "acme", soon, None).await, [AMQP]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_cannot_be_reached_at_all_says_nothing_about_its_ports() {
        let ports = SilentPorts::default();
        assert_eq!(tried(&ports, "acme", None, None).await, [AMQP, WEB]);
        let soon = Some(Duration::from_millis(20));
        assert_eq!(tried(&ports, "acme", soon, soon).await, [AMQP]);
    }
}
