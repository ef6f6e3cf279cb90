//! Whether there is a handler, and looking for one while there is none (rule 1).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::breaker::Allowance;
use crate::probes::Probes;
use longshore_handler::Handler;

/// What has happened to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is another one than before.
    Replaced,
    /// It was looked for.
    Looked,
}

/// Whether there is a handler. While there is none, it is looked for after 30 s, and then after
/// twice as long each time, up to five minutes.
pub(crate) struct Attendance {
    handler: Arc<dyn Handler>,
    missing: Option<Probes>,
    looking: Option<BoxFuture<'static, ()>>,
    replaced: BoxFuture<'static, ()>,
}

impl Attendance {
    /// Whether `handler` is there now.
    pub(crate) fn new(handler: Arc<dyn Handler>, now: Instant) -> Self {
        let missing = handler.unavailable().map(|_| Probes::start(now));
        let replaced = replaced(&handler);
        Self { handler, missing, looking: None, replaced }
    }

    /// Whether there is no handler.
    pub(crate) fn is_missing(&self) -> bool {
        self.missing.is_some()
    }

    /// What the lack of a handler allows; `None` if there is one.
    pub(crate) fn allowance(&self) -> Option<Allowance> {
        self.missing.as_ref().map(|probes| Allowance::NoHandler {
            since: probes.since(),
            look_at: self.looking.is_none().then(|| probes.next()),
        })
    }

    /// Notes whether the handler is there now.
    pub(crate) fn look(&mut self, now: Instant) {
        match (self.handler.unavailable(), &self.missing) {
            (Some(_), None) => self.missing = Some(Probes::start(now)),
            (None, Some(_)) => self.missing = None,
            _ => {}
        }
    }

    /// Starts to look for a handler. [`Attendance::change`] says when that has ended.
    pub(crate) fn reload(&mut self) {
        let handler = Arc::clone(&self.handler);
        self.looking = Some(Box::pin(async move {
            // The cause is kept by the handler.
            let _ = handler.reload().await;
        }));
    }

    /// Waits until the handler was looked for, or is another one than before.
    pub(crate) async fn change(&mut self) -> Change {
        let Self { handler, looking, replaced, .. } = self;
        let looked = async {
            match looking.as_mut() {
                Some(looking) => looking.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = looked => {
                self.looking = None;
                Change::Looked
            }
            () = &mut *replaced => {
                *replaced = self::replaced(handler);
                Change::Replaced
            }
        }
    }

    /// The handler was looked for. If there is still none, the next look is twice as far away as
    /// this one was.
    pub(crate) fn looked(&mut self, now: Instant) {
        if self.handler.unavailable().is_some()
            && let Some(probes) = &mut self.missing
        {
            probes.failed(now);
        }
    }
}

fn replaced(handler: &Arc<dyn Handler>) -> BoxFuture<'static, ()> {
    let handler = Arc::clone(handler);
    Box::pin(async move { handler.replaced().await })
}
