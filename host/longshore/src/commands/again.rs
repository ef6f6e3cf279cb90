//! Calls that are asked again while a queue is busy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use longshore_queue::QueueError;

/// For how long a call is asked again, at most. A namespace that is throttled wants 10 s each time.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same, before any queue has answered anything: a wrong name or network never does.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);
/// The first pause and the longest one, unless the service names its own.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// How a call ended that may have been asked again.
pub(super) struct AskedAgain<T> {
    /// What came of it in the end.
    pub(super) answer: Result<T, QueueError>,
    /// An earlier try had no clear answer: it may have been done.
    pub(super) was_unclear: bool,
}

/// Whether a queue has answered in this process.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Asks until there is an answer, until no other try would mend it, or until a minute is over. A
/// queue that has never answered is asked for some seconds.
pub(super) async fn ask<T>(call: impl AsyncFn() -> Result<T, QueueError>) -> AskedAgain<T> {
    ask_while(&ANSWERED, call).await
}

async fn ask_while<T>(answered: &AtomicBool, call: impl AsyncFn() -> Result<T, QueueError>) -> AskedAgain<T> {
    let (first, longest) = PAUSE;
    let (started, mut pause, mut was_unclear) = (Instant::now(), first, false);
    let mut said = false;
    loop {
        let error = match call().await {
            Err(error) if error.is_transient() => error,
            answer => {
                answered.store(true, Ordering::Relaxed);
                return AskedAgain { answer, was_unclear };
            }
        };
        was_unclear |= matches!(error, QueueError::Unclear { .. });
        let wait = match &error {
            QueueError::Busy { retry_after: Some(after), .. } => {
                // That is an answer.
                answered.store(true, Ordering::Relaxed);
                *after
            }
            _ => pause,
        };
        let patience = if answered.load(Ordering::Relaxed) { PATIENCE } else { FIRST_PATIENCE };
        if started.elapsed() + wait >= patience {
            return AskedAgain { answer: Err(error), was_unclear };
        }
        if started.elapsed() + wait > FIRST_PATIENCE && !said {
            said = true;
            tracing::warn!(%error, "asking again, for up to {PATIENCE:?}");
        }
        pause = (pause * 2).min(longest);
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// The answers to one call after the other; the last one again and again.
    async fn asked(answers: Vec<Result<u32, QueueError>>) -> (AskedAgain<u32>, Duration) {
        asked_while(&AtomicBool::new(true), answers).await
    }

    async fn asked_while(
        answered: &AtomicBool,
        mut answers: Vec<Result<u32, QueueError>>,
    ) -> (AskedAgain<u32>, Duration) {
        answers.reverse();
        let (answers, started) = (RefCell::new(answers), Instant::now());
        let call = async || {
            let mut left = answers.borrow_mut();
            if left.len() > 1 { left.pop().unwrap() } else { left[0].clone() }
        };
        (ask_while(answered, call).await, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn busy_is_asked_again_as_late_as_the_service_wants_and_not_for_ever() {
        let busy = QueueError::busy("orders", "HTTP 503");
        let throttled = QueueError::Busy {
            queue: "orders".into(),
            cause: "busy".into(),
            retry_after: Some(10 * PAUSE.0),
        };
        let (done, took) = asked(vec![Err(busy.clone()), Err(throttled), Ok(7)]).await;
        assert_eq!((done.answer, done.was_unclear, took), (Ok(7), false, 11 * PAUSE.0));

        let (done, took) = asked(vec![Err(busy.clone())]).await;
        assert_eq!(done.answer, Err(busy));
        assert!(took < PATIENCE && took > PATIENCE / 2, "{took:?}");

        let (done, took) = asked(vec![Err(QueueError::unclear("orders", "cut")), Ok(1)]).await;
        assert_eq!((done.answer, done.was_unclear), (Ok(1), true));
        assert!(took < PAUSE.1);

        let missing = QueueError::QueueNotFound { queue: "orders".into() };
        let (done, took) = asked(vec![Err(missing.clone()), Ok(1)]).await;
        assert_eq!((done.answer, took), (Err(missing), Duration::ZERO), "no other try mends it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_has_never_answered_is_not_awaited_for_long() {
        let answered = AtomicBool::new(false);
        let silent = QueueError::busy("orders", "connection refused");
        let (done, took) = asked_while(&answered, vec![Err(silent.clone())]).await;
        assert_eq!(done.answer, Err(silent.clone()));
        assert!(took < FIRST_PATIENCE, "{took:?}");

        let (done, _) = asked_while(&answered, vec![Err(silent.clone()), Ok(1)]).await;
        assert_eq!(done.answer, Ok(1));
        let (_, took) = asked_while(&answered, vec![Err(silent)]).await;
        assert!(took > PATIENCE / 2, "{took:?}: it is there, and is awaited");
    }
}
