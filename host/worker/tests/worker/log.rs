//! What the worker says: one line for each message, and a warning where a setting costs money.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::Once;

use longshore_handler::{RetryReason, Verdict};
use longshore_queue::QueueError;
use longshore_worker::Config;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::Set;
use super::handler::TestHandler;
use super::model::{Fault, MemoryQueue, S};

thread_local! {
    /// What this thread has logged, while a test of its own wants to know.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Keeps the lines that a thread logs: the level, then each field as ` name=value`. It is the
/// process's own: a subscriber for one thread misses lines while tests beside it start and end.
struct Lines;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("longshore_worker")
            && *metadata.level() <= Level::INFO
            && LINES.with_borrow(Option::is_some)
    }

    /// Asked each time: the answer differs between threads.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.as_mut().map(|lines| lines.push(line.0)));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Runs, and returns the lines that hold `word`.
async fn lines_of(set: Set, word: &str) -> Vec<String> {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| tracing::subscriber::set_global_default(Lines).unwrap());
    LINES.set(Some(Vec::new()));
    set.run().await;
    let mut lines = LINES.take().unwrap();
    lines.retain(|line| line.contains(word));
    lines
}

#[tokio::test(start_paused = true)]
async fn each_message_has_one_line_with_its_outcome_and_its_cause() {
    let mixed = TestHandler::new(|invocation| async move {
        match (invocation.id.as_str(), invocation.dequeue_count) {
            ("1", _) => Verdict::Reject { detail: "no order".into() },
            ("2", 1) => Verdict::retry(RetryReason::Trap, "unreachable"),
            _ => Verdict::Completed,
        }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 4), mixed);
    set.queue.set_faults(|what, id| Fault { lost_before: what == "delete" && id == "3", ..Fault::default() });
    let lines = lines_of(set, "outcome=").await;
    let starts = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    for start in [
        r#"INFO message_id="0" dequeue_count=1 outcome="completed" ms="#,
        r#"WARN message_id="1" dequeue_count=1 outcome="poisoned" reason="rejected" detail="no order" ms="#,
        r#"INFO message_id="2" dequeue_count=1 outcome="retried" reason="trap" detail="unreachable" ms="#,
        r#"INFO message_id="2" dequeue_count=2 outcome="completed" ms="#,
        r#"WARN message_id="3" dequeue_count=1 outcome="lease-lost" reason="" ms="#,
    ] {
        assert_eq!(starts(start), 1, "{start}: {lines:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_is_refused_again_and_again_says_so_once_while_it_is_tried() {
    // What passes within ten seconds is no news.
    for (mut refusals, said) in [(4, 0), (20, 1)] {
        let set = Set::new(Config::default(), MemoryQueue::filled("orders", 1), TestHandler::completes(S));
        set.queue.set_faults(move |what, _| {
            let refused = what == "delete" && refusals > 0;
            refusals -= u32::from(refused);
            Fault { error: refused.then(|| QueueError::busy("orders", "HTTP 503")), ..Fault::default() }
        });
        let lines = lines_of(set, "again and again").await;
        assert_eq!(lines.len(), said, "{lines:#?}");
        assert!(lines.iter().all(|it| it.starts_with("WARN") && it.contains("HTTP 503")), "{lines:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_interrupted_has_a_line_that_says_so() {
    let config = Config { grace: S, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 1), TestHandler::completes(20 * S));
    let stopper = set.stopper.clone();
    tokio::spawn(async move {
        tokio::time::sleep(S).await;
        stopper.stop();
    });
    let lines = lines_of(set, "outcome=").await;
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with(
            r#"WARN message_id="0" dequeue_count=1 outcome="abandoned" reason="stopped" ms=2000"#
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_warns_once_of_delays_that_are_longer_than_kedas_polling_interval() {
    for (asked, warnings) in [(Some(30 * S), 0), (Some(31 * S), 1), (None, 0)] {
        let waits = TestHandler::new(move |invocation| async move {
            if invocation.id == "0" || invocation.dequeue_count > 1 {
                return Verdict::Completed;
            }
            Verdict::Retry { reason: RetryReason::Requested, detail: String::new(), after: asked }
        });
        let config = Config { linger: 60 * S, ..Config::default() };
        let set = Set::new(config, MemoryQueue::filled("orders", 5), waits);
        let lines = lines_of(set, "long retry delays").await;
        assert_eq!(lines.len(), warnings, "{asked:?}: {lines:#?}");
    }
    // Before the first success a retry waits for the cap. That is no delay of the handler's.
    let retry = longshore_worker::retry::RetryPolicy { cap: 60 * S, ..Config::default().retry };
    let config = Config { retry, max_messages: Some(1), ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 1), TestHandler::fails());
    assert_eq!(lines_of(set, "long retry delays").await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_gives_more_than_it_was_asked_for_is_warned_of_and_no_other_is() {
    for (surplus, warns) in [(0, false), (3, true)] {
        let set = Set::new(Config::default(), MemoryQueue::filled("orders", 8), TestHandler::completes(S));
        set.queue.gives_more_than_asked(surplus);
        let lines = lines_of(set, "more messages than it was asked for").await;
        assert_eq!(!lines.is_empty(), warns, "{lines:?}");
    }
}
