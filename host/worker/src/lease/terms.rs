//! On which terms a run leases messages, and how it finds them out.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use longshore_queue::{Queue, QueueError, Right};

/// How long before the service's own end our lease ends. That is what a call may take on its way.
const MARGIN: Duration = Duration::from_secs(5);
/// What must be left on a lease before an output, a poison copy or a delete is sent.
const SETTLE_ROOM: Duration = Duration::from_secs(10);
/// How much longer than the handler's deadline a fixed lease lasts.
pub const FIXED_ROOM: Duration = Duration::from_secs(30);
/// For how long a run asks again whether it may renew.
const ASKED_FOR: Duration = Duration::from_secs(10);
/// How long one such question may take: an identity that gives no token says so after 19.5 s, and
/// that ends the run.
const MAX_QUESTION: Duration = Duration::from_secs(20);
/// The pause between two tries of a call that failed in passing; doubled each time.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(5);

/// On which terms messages are leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The visibility timeout of a receive and of each renewal.
    pub visibility: Duration,
    /// Whether the identity may update messages. If not, leases are fixed: they are never renewed
    /// and never released early, and their end is the retry.
    pub renewable: bool,
}

impl Terms {
    /// The same terms on a queue that gives no longer leases than `longest`.
    #[must_use]
    pub fn within(self, longest: Duration) -> Self {
        Self { visibility: self.visibility.min(longest), ..self }
    }

    /// [`MARGIN`], and for short visibility timeouts a sixth of them.
    pub(super) fn margin(&self) -> Duration {
        MARGIN.min(self.visibility / 6)
    }

    /// [`SETTLE_ROOM`], and for short visibility timeouts a quarter of them.
    pub(super) fn settle_room(&self) -> Duration {
        SETTLE_ROOM.min(self.visibility / 4)
    }
}

/// Whether leases are renewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LeaseMode {
    /// As the identity may: asked before the first handler may need it.
    #[default]
    Auto,
    /// Renewed at half their life.
    Renew,
    /// As long as the deadline and a little more, never renewed and never released early.
    Fixed,
}

impl Terms {
    /// The terms that a run begins with. `Auto` asks the queue whether the identity may update
    /// messages, or leaves that to the first message: a lease that is as long as a fixed one serves
    /// either way, so that a run which finds no message need not ask.
    pub async fn agree(
        mode: LeaseMode,
        queue: &dyn Queue,
        visibility: Duration,
        deadline: Duration,
    ) -> Agreed {
        let (renewable, fixed) = (Self { visibility, renewable: true }, Self::fixed(deadline));
        let agreed = |terms| Agreed { terms, unclear: None, is_open: false };
        match mode {
            LeaseMode::Renew => agreed(renewable),
            LeaseMode::Fixed => agreed(fixed),
            // Where receives are credit on a link, the right to attach it is the one to renew: the
            // first receive asks for both.
            LeaseMode::Auto if queue.url().kind().receives_are_credit => {
                Agreed { unclear: prepared(queue).await, ..agreed(renewable) }
            }
            LeaseMode::Auto if fixed.visibility <= visibility => {
                Agreed { unclear: prepared(queue).await, is_open: true, ..agreed(renewable) }
            }
            LeaseMode::Auto => match may_update(queue).await {
                MayUpdate::Yes => agreed(renewable),
                MayUpdate::No => agreed(fixed),
                MayUpdate::Unclear(error) => Agreed { unclear: Some(error), ..agreed(renewable) },
            },
        }
    }

    /// Terms without renewal. Such a lease has to outlast the handler, and leave room to settle.
    pub(crate) fn fixed(deadline: Duration) -> Self {
        Self { visibility: deadline + FIXED_ROOM, renewable: false }
    }
}

/// The terms that a run begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The terms.
    pub terms: Terms,
    /// Why the queue has not answered, where it was asked and gave no clear answer.
    pub unclear: Option<QueueError>,
    /// Whether the queue is still to be asked, once there is a message whose lease may be renewed.
    pub is_open: bool,
}

/// Whether the queue says that the identity may not update messages.
pub(crate) async fn may_not_renew(queue: &dyn Queue) -> bool {
    matches!(may_update(queue).await, MayUpdate::No)
}

/// Prepares the queue, and returns why that did not work. A stop is heard at once while a token is
/// waited for, and not while a receive is.
async fn prepared(queue: &dyn Queue) -> Option<QueueError> {
    match timeout(MAX_QUESTION, queue.prepare()).await {
        Ok(prepared) => prepared.err(),
        Err(_) => Some(no_answer(queue)),
    }
}

fn no_answer(queue: &dyn Queue) -> QueueError {
    QueueError::unclear(queue.url(), format!("no answer within {} s", MAX_QUESTION.as_secs()))
}

/// Whether the identity may update messages.
enum MayUpdate {
    Yes,
    No,
    Unclear(QueueError),
}

/// Asks whether the identity may update messages. Only a refusal says that it may not. Where there
/// is no clear answer, the lease is taken as renewable: the first renewal will tell.
async fn may_update(queue: &dyn Queue) -> MayUpdate {
    let (ends, mut pause) = (Instant::now() + ASKED_FOR, FIRST_PAUSE);
    loop {
        let error = match timeout(MAX_QUESTION, queue.may(Right::Update)).await {
            Ok(Ok(())) => return MayUpdate::Yes,
            Ok(Err(error @ QueueError::Denied { .. })) => {
                tracing::warn!(%error, "leases are fixed: they are not renewed, and their end is the retry");
                return MayUpdate::No;
            }
            // Whatever else is wrong will be wrong for the first receive as well, which says so.
            Ok(Err(error)) if !error.is_transient() => return MayUpdate::Unclear(error),
            Ok(Err(error)) => error,
            Err(_) => no_answer(queue),
        };
        let wait = match &error {
            QueueError::Busy { retry_after: Some(after), .. } => *after,
            _ => pause,
        };
        if wait >= ends.saturating_duration_since(Instant::now()) {
            tracing::warn!(%error, "whether leases can be renewed is not known, and they are taken as renewable");
            return MayUpdate::Unclear(error);
        }
        sleep(wait).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}
