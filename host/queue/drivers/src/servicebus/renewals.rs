//! Renewals of locks. Those that fall due together are asked for together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::sleep;

use longshore_queue::QueueError;

use crate::servicebus::error::unclear;
use crate::servicebus::lock::LockToken;
use crate::servicebus::management;
use crate::servicebus::wire::Wire;

/// How long a renewal waits for others. A lock lasts for seconds at least.
const GATHER: Duration = Duration::from_millis(20);
/// The most locks that are renewed with one request.
const MAX_LOCKS: usize = 500;

/// The renewals that wait to be sent.
#[derive(Debug)]
pub(super) struct Renewals {
    wire: Arc<Wire>,
    waiting: Mutex<Vec<Renewal>>,
}

#[derive(Debug)]
struct Renewal {
    token: LockToken,
    done: oneshot::Sender<Result<(), QueueError>>,
}

impl Renewals {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self { wire, waiting: Mutex::default() }
    }

    /// Makes a lock last as long again as locks do.
    pub(super) async fn renew(self: &Arc<Self>, token: LockToken) -> Result<(), QueueError> {
        let (done, answered) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(Renewal { token, done });
            waiting.len() == 1
        };
        if is_first {
            // In a task of its own: who asked first may give up, and the others wait still.
            let renewals = Arc::clone(self);
            tokio::spawn(async move {
                sleep(GATHER).await;
                let gathered =
                    std::mem::take(&mut *renewals.waiting.lock().unwrap_or_else(PoisonError::into_inner));
                renewals.send(gathered).await;
            });
        }
        answered.await.unwrap_or_else(|_| Err(unclear(&self.wire.entity.url, "the renewal was not sent")))
    }

    async fn send(&self, mut gathered: Vec<Renewal>) {
        // Nobody waits for these any more.
        gathered.retain(|it| !it.done.is_closed());
        while !gathered.is_empty() {
            let rest = gathered.split_off(gathered.len().min(MAX_LOCKS));
            self.send_together(std::mem::replace(&mut gathered, rest)).await;
        }
    }

    async fn send_together(&self, together: Vec<Renewal>) {
        let tokens: Vec<_> = together.iter().map(|it| it.token).collect();
        let answer = self.ask(&tokens).await;
        // One that is gone is refused for all of them: each is then asked for by itself.
        let is_apart = together.len() > 1 && answer.as_ref().is_err_and(QueueError::is_stale);
        // At the same time: one after the other, the last ones would be asked for too late.
        let told = together.into_iter().map(async |Renewal { token, done }| {
            let answer = if is_apart { self.ask(&[token]).await } else { answer.clone() };
            let _ = done.send(answer);
        });
        join_all(told).await;
    }

    async fn ask(&self, tokens: &[LockToken]) -> Result<(), QueueError> {
        self.wire.call(async |it| management::renew(it, &self.wire.entity, tokens).await).await
    }
}
