//! Rule 3: the terms on which a run leases messages.

use std::sync::Arc;
use std::time::Duration;

use longshore_handler::{RetryReason, Verdict};
use longshore_queue::QueueError;
use longshore_worker::Config;
use longshore_worker::drain::End;
use longshore_worker::lease::{LeaseMode, Terms};
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::TestHandler;
use super::model::{Fault, MemoryQueue, S, busy};
use super::weather::{denied, refuses_updates, unclear};

const TERMS: Terms = Terms { visibility: Duration::from_secs(60), renewable: true };
const FIXED: Terms = Terms { renewable: false, ..TERMS };

#[tokio::test(start_paused = true)]
async fn an_identity_that_may_not_update_works_with_fixed_leases() {
    let queue = MemoryQueue::filled("orders", 20);
    refuses_updates(&queue);
    let flaky = TestHandler::new(|invocation| async move {
        if invocation.id == "3" && invocation.dequeue_count < 3 {
            super::handler::failed()
        } else {
            Verdict::Completed
        }
    });
    // The end of a lease is the retry: only a run that lingers longer than a lease sees it.
    let config = Config { linger: 90 * S, ..Config::default() };
    let set = Set::new(config, queue.clone(), flaky);
    let finished = set.run().await;
    assert_eq!((finished.summary.completed, finished.summary.retried, queue.len()), (20, 2, 0));
    // The run asks once whether it may, with a message that does not exist. None is updated.
    let updated: Vec<_> =
        queue.sent_of("update").into_iter().filter(|it| it.id.parse::<u64>().is_ok()).collect();
    assert_eq!(updated, []);
    let third: Vec<_> =
        set.handler.seen().into_iter().filter(|(_, id, _)| id == "3").map(|(at, ..)| at).collect();
    assert!(third.windows(2).all(|pair| pair[1] - pair[0] >= 60 * S), "deadline + 30 s");
}

#[tokio::test(start_paused = true)]
async fn auto_asks_by_updating_a_message_that_does_not_exist() {
    let queue: Arc<MemoryQueue> = MemoryQueue::new("orders");
    let agreed = Terms::agree(LeaseMode::Auto, &*queue, 60 * S, 40 * S).await.terms;
    assert_eq!(agreed, TERMS);
    queue.set_faults(|_, _| Fault { error: Some(denied()), ..Fault::default() });
    assert_eq!(
        Terms::agree(LeaseMode::Auto, &*queue, 60 * S, 40 * S).await.terms,
        Terms { visibility: 70 * S, ..FIXED }
    );
    assert_eq!(Terms::agree(LeaseMode::Renew, &*queue, 60 * S, 40 * S).await.terms, TERMS);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_finds_nothing_asks_the_queue_for_nothing_but_messages() {
    // The default terms: an ordinary lease is as long as a fixed one.
    for (deadline, questions) in [(30 * S, 0), (40 * S, 1)] {
        let queue = MemoryQueue::new("orders");
        let handler = TestHandler::new(|_| async { Verdict::Completed });
        let set = Set::new(Config { deadline, ..Config::default() }, queue.clone(), handler);
        assert_eq!(set.run().await.end, Ok(End::Drained));
        assert_eq!((queue.sent_of("receive").len(), queue.sent_of("update").len()), (2, questions));
    }
}

#[tokio::test(start_paused = true)]
async fn auto_asks_beside_the_first_message_and_once() {
    let queue = MemoryQueue::filled("orders", 20);
    let set = Set::new(
        Config::default(),
        queue.clone(),
        TestHandler::new(|_| async {
            sleep(S).await;
            Verdict::Completed
        }),
    );
    queue.set_faults(|what, _| Fault {
        delay_before: if what == "update" { S / 2 } else { Duration::ZERO },
        ..Fault::default()
    });
    let started = Instant::now();
    assert_eq!(set.run().await.summary.completed, 20);
    assert_eq!(queue.sent_of("update").len(), 1);
    let first = set.handler.seen().first().map(|(at, ..)| *at - started);
    assert_eq!(first, Some(Duration::ZERO), "no handler waits for the answer");
}

#[tokio::test(start_paused = true)]
async fn auto_asks_again_where_there_is_no_clear_answer_and_only_a_refusal_makes_leases_fixed() {
    let agree = async |answers: Vec<Option<QueueError>>| {
        let queue: Arc<MemoryQueue> = MemoryQueue::new("orders");
        let mut answers = answers.into_iter();
        let mut last = None;
        queue.set_faults(move |_, _| {
            last = answers.next().unwrap_or_else(|| last.clone());
            Fault { error: last.clone(), ..Fault::default() }
        });
        let started = Instant::now();
        let agreed = Terms::agree(LeaseMode::Auto, &*queue, 60 * S, 40 * S).await.terms;
        (agreed, queue.sent_of("update").len(), started.elapsed())
    };
    let missing = QueueError::QueueNotFound { queue: "orders".into() };
    let later = busy(Some(3 * S));
    for (answers, expected, calls, at_least) in [
        (vec![Some(busy(None)), None], TERMS, 2, S / 4),
        (
            vec![Some(unclear()), Some(unclear()), Some(denied())],
            Terms { visibility: 70 * S, ..FIXED },
            3,
            S / 2,
        ),
        (vec![Some(later), None], TERMS, 2, 3 * S),
        (vec![Some(missing)], TERMS, 1, Duration::ZERO),
    ] {
        let (agreed, asked, took) = agree(answers.clone()).await;
        assert_eq!((agreed, asked), (expected, calls), "{answers:?}");
        assert!(took >= at_least && took < 12 * S, "{answers:?}: {took:?}");
    }
    let (agreed, asked, took) = agree(vec![Some(unclear())]).await;
    assert!(agreed == TERMS && asked > 2 && took <= 12 * S, "{agreed:?} {asked} {took:?}");
    let (agreed, asked, took) = agree(vec![Some(busy(Some(Duration::MAX)))]).await;
    assert_eq!((agreed, asked, took), (TERMS, 1, Duration::ZERO), "nobody waits for that");
    let queue: Arc<MemoryQueue> = MemoryQueue::new("orders");
    queue.set_faults(|_, _| Fault { delay_before: 60 * S, ..Fault::default() });
    let asked = Instant::now();
    let agreed = Terms::agree(LeaseMode::Auto, &*queue, 60 * S, 40 * S).await;
    assert!(agreed.terms == TERMS && agreed.unclear.is_some(), "{agreed:?}");
    assert_eq!(asked.elapsed(), 20 * S, "and for a queue that says nothing as long as one call takes");
}

#[tokio::test(start_paused = true)]
async fn leases_that_were_taken_as_renewable_are_fixed_by_the_first_refusal_and_the_run_goes_on() {
    let queue = MemoryQueue::filled("orders", 6);
    let config = Config { deadline: 90 * S, visibility: 30 * S, linger: 200 * S, ..Config::default() };
    let set = Set::new(
        config,
        queue.clone(),
        TestHandler::new(|invocation| async move {
            sleep(S).await;
            if invocation.dequeue_count == 1 && invocation.id == "3" {
                return Verdict::retry(RetryReason::Requested, "later");
            }
            Verdict::Completed
        }),
    );
    let mut probes = 0;
    queue.set_faults(move |what, _| {
        let error = match what {
            "update" if probes < 100 => {
                probes += 1;
                // Not clear while it is asked, refused from then on.
                Some(if probes <= 6 { unclear() } else { denied() })
            }
            _ => None,
        };
        Fault { error, ..Fault::default() }
    });
    let finished = set.run().await;
    assert_eq!(finished.end, Ok(End::Drained));
    assert_eq!((finished.summary.completed, finished.summary.retried), (6, 1), "{:?}", finished.summary);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_the_identity_may_not_do_is_left_out_and_any_other_refusal_is_a_fault() {
    let bad_request = QueueError::Fault { cause: "HTTP 400".into(), mend: "look at it".into() };
    for (refusal, end) in [(denied(), Ok(End::Drained)), (bad_request.clone(), Err(bad_request))] {
        // It breaks while the first receive is under way, and is mended later.
        let started = Instant::now();
        let is_there = move |now| !(started + S..started + 60 * S).contains(&now);
        let handler = TestHandler::missing(is_there);
        let set = Set::new(Config::default(), MemoryQueue::filled("orders", 1), handler);
        set.queue.set_faults(move |what, id| {
            let of_a_message = what == "update" && id.parse::<u64>().is_ok();
            let delay_after = if what == "receive" { 2 * S } else { Duration::ZERO };
            Fault { error: of_a_message.then(|| refusal.clone()), delay_after, ..Fault::default() }
        });
        let breaks = set.handler.clone();
        tokio::spawn(async move {
            sleep(S).await;
            breaks.replace();
        });
        let finished = set.run().await;
        assert_eq!(finished.summary.abandoned, 1, "{finished:?}");
        assert_eq!(finished.end, end);
    }
}
