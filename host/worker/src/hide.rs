//! Hiding messages for a while, although the breaker may open or close meanwhile.

use tokio::time::Instant;

use crate::breaker::{Hidden, Hiding};
use crate::context::RunContext;
use crate::fate::Earlier;
use crate::lease::{Lease, LeaseError, clamp};
use crate::settled::Due;

/// Hides a leased message, and returns when it is visible again.
pub(crate) async fn hide(
    context: &RunContext,
    lease: &mut Lease,
    hiding: Hiding,
) -> Result<Instant, LeaseError> {
    if !lease.is_renewable() {
        return Ok(lease.lapses());
    }
    let (due, receipt) = match lease.hide(&*context.parts.queue, hiding.delay).await {
        // It is left to its end.
        Err(LeaseError::Refused(error)) if context.may_not_update(&error) => return Ok(lease.lapses()),
        hidden => hidden?,
    };
    let Some(receipt) = receipt else { return Ok(due) };
    let hidden = Hidden { id: lease.id().to_owned(), receipt, until: due, expires: lease.expires() };
    let instead = context.breaker().hidden(hidden.clone(), hiding.rule);
    match instead {
        Some(instead) => Ok(hide_again(context, hidden, instead).await.unwrap_or(due)),
        None => Ok(due),
    }
}

/// Hides what failed before the breaker opened, or shows what was hidden while it was open.
pub(crate) async fn hide_earlier(context: &RunContext, earlier: Earlier) -> Vec<Due> {
    let (messages, hiding) = match earlier {
        Earlier::Leave => return Vec::new(),
        Earlier::HideLonger(messages) => (messages, Hiding::WHILE_OPEN),
        Earlier::Show(messages) => (messages, Hiding::NOT),
    };
    let mut due = Vec::new();
    for hidden in messages {
        let id = hidden.id.clone();
        if let Some(at) = hide_again(context, hidden, hiding).await {
            due.push(Due { id, at });
        }
    }
    due
}

/// Changes when a hidden message becomes visible; `None` if it is no longer ours to change.
async fn hide_again(context: &RunContext, mut hidden: Hidden, mut hiding: Hiding) -> Option<Instant> {
    loop {
        let delay = clamp(hiding.delay, hidden.expires);
        // Once: if the answer is lost, the message comes back when it would have come back anyway.
        hidden.receipt = context.parts.queue.hide(&hidden.id, &hidden.receipt, delay).await.ok()?;
        let due = Instant::now() + delay;
        hidden.until = due;
        let instead = context.breaker().hidden(hidden.clone(), hiding.rule);
        match instead {
            Some(instead) => hiding = instead,
            None => return Some(due),
        }
    }
}
