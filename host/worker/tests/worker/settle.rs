//! Rules 1, 2, 6 and 7: every message ends where it should, in an order that loses nothing.

use std::time::Duration;

use longshore_handler::{RetryReason, Verdict};
use longshore_queue::QueueError;
use longshore_worker::Config;
use longshore_worker::drain::End;
use longshore_worker::poison::{Envelope, PoisonFormat};

use super::Set;
use super::handler::{TestHandler, failed};
use super::model::{Fault, MemoryQueue, S};
use super::weather::denied;

#[tokio::test(start_paused = true)]
async fn what_is_completed_is_deleted_and_the_run_ends() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 100), TestHandler::completes(S / 10));
    let finished = set.run().await;
    assert_eq!(finished.end, Ok(End::Drained));
    assert_eq!((finished.summary.received, finished.summary.completed), (100, 100));
    assert_eq!((set.queue.len(), set.poison.len(), set.handler.completed().len()), (0, 0, 100));
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_maximum_at_receipt_is_poisoned_unhandled() {
    let queue = MemoryQueue::filled("orders", 1);
    queue.set_dequeue_count("0", 5);
    let set = Set::new(Config::default(), queue, TestHandler::completes(S));
    let finished = set.run().await;
    assert_eq!((finished.summary.poisoned, set.handler.seen().len(), set.queue.len()), (1, 0, 0));
    let (id, reason, detail) = set.poison.envelopes().remove(0);
    assert_eq!((id.as_str(), reason.as_str()), ("0", "attempts-exhausted"));
    assert!(detail.contains("6 times"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_at_exactly_the_maximum_is_poisoned_at_once() {
    let queue = MemoryQueue::filled("orders", 1);
    queue.set_dequeue_count("0", 4);
    let set = Set::new(Config::default(), queue, TestHandler::fails());
    let finished = set.run().await;
    assert_eq!((finished.summary.poisoned, finished.summary.received), (1, 1));
    assert_eq!(set.poison.envelopes()[0].2, "retry: no");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_always_fails_takes_one_execution_and_five_attempts() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 1), TestHandler::fails());
    let finished = set.run().await;
    assert_eq!((finished.summary.received, finished.summary.retried, finished.summary.poisoned), (5, 4, 1));
    assert_eq!(finished.end, Ok(End::Drained));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_message_is_poisoned_at_its_first_attempt_with_the_handlers_words() {
    let rejects =
        TestHandler::new(|_| async { Verdict::Reject { detail: "order_id: missing field".into() } });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 3), rejects);
    let finished = set.run().await;
    assert_eq!((finished.summary.received, finished.summary.poison_reasons["rejected"]), (3, 3));
    assert_eq!(set.poison.envelopes()[0].2, "order_id: missing field");
}

#[tokio::test(start_paused = true)]
async fn the_poison_copy_is_sent_before_the_original_is_deleted() {
    let rejects = TestHandler::new(|_| async { Verdict::Reject { detail: String::new() } });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 1), rejects);
    // The copy fails for good: then nothing may be deleted.
    set.poison.set_faults(|_, _| Fault { lost_before: true, ..Fault::default() });
    let finished = set.run().await;
    assert_eq!((finished.summary.lease_lost, set.queue.len(), set.poison.len()), (1, 1, 0));
    // The copy's answer takes 2 s: the delete follows it, and not the call.
    set.poison.set_faults(|_, _| Fault { delay_after: 2 * S, ..Fault::default() });
    tokio::time::sleep(60 * S).await;
    set.run().await;
    let copied = set.poison.calls_of("send")[0].at;
    assert_eq!(set.queue.sent_of("delete")[0].at, copied + 2 * S);
    assert_eq!(set.poison.calls_of("send")[0].id, "0", "the copy carries the message's id");
    assert_eq!((set.queue.len(), set.poison.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_poison_copy_whose_answer_is_lost_may_repeat_and_carries_the_original_id() {
    let rejects = TestHandler::new(|_| async { Verdict::Reject { detail: String::new() } });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 1), rejects);
    let mut calls = 0;
    set.poison.set_faults(move |_, _| {
        calls += 1;
        Fault { lost_after: calls == 1, ..Fault::default() }
    });
    set.run().await;
    let ids: Vec<_> = set.poison.envelopes().into_iter().map(|(id, ..)| id).collect();
    assert_eq!((ids, set.queue.len()), (vec!["0".into(), "0".into()], 0));
}

#[tokio::test(start_paused = true)]
async fn where_copy_and_delete_can_be_one_step_they_are() {
    let rejects = TestHandler::new(|_| async { Verdict::Reject { detail: "no order".into() } });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 1), rejects);
    set.queue.moves_to_in_one_step(&set.poison);
    let finished = set.run().await;
    assert_eq!((finished.summary.poisoned, set.queue.len(), set.poison.len()), (1, 0, 1));
    assert_eq!(set.poison.envelopes()[0].2, "no order");
    assert_eq!(set.queue.sent_of("delete").len() + set.poison.sent_of("send").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_poison_queue_is_made_when_it_is_first_needed() {
    let rejects = TestHandler::new(|_| async { Verdict::Reject { detail: String::new() } });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 2), rejects);
    set.poison.remove();
    let finished = set.run().await;
    assert_eq!((finished.summary.poisoned, set.queue.len(), set.poison.len()), (2, 0, 2));
    assert_eq!((set.poison.calls_of("create").len(), set.poison.sent_of("send").len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fits_nowhere_stays_hidden_for_the_cap_and_the_run_goes_on() {
    let rejects = TestHandler::new(|invocation| async move {
        if invocation.id == "0" { Verdict::Reject { detail: "x".repeat(5000) } } else { Verdict::Completed }
    });
    let set = Set::new(
        Config { max_messages: Some(2), ..Config::default() },
        MemoryQueue::filled("orders", 2),
        rejects,
    );
    set.poison.set_limit(2);
    let finished = set.run().await;
    assert_eq!((finished.summary.abandoned, finished.summary.completed, set.queue.len()), (1, 1, 1));
    assert!(set.queue.hidden_for()[0].0 > 25 * S);
    // Full detail, short detail, none, the body itself, its base64.
    assert_eq!(set.poison.calls_of("send").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_poison_queue_that_the_identity_may_not_send_to_ends_the_run_and_is_asked_once() {
    let rejects = TestHandler::new(|_| async { Verdict::Reject { detail: String::new() } });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 1), rejects);
    set.poison.set_faults(|what, _| Fault { error: (what == "send").then(denied), ..Fault::default() });
    let finished = set.run().await;
    assert_eq!((finished.end, set.queue.len()), (Err(denied()), 1));
    assert_eq!(set.poison.sent_of("send").len(), 1, "a smaller body is refused as well");
}

#[tokio::test(start_paused = true)]
async fn a_body_too_large_for_an_envelope_goes_as_it_was_received() {
    let queue = MemoryQueue::new("orders");
    let body = format!("[\"{}\"]", "x".repeat(64 * 1024 - 4));
    queue.put(&body);
    let rejects = TestHandler::new(|_| async { Verdict::Reject { detail: "why".into() } });
    let set = Set::new(Config::default(), queue, rejects);
    set.run().await;
    assert_eq!(set.poison.bodies(), [body]);
}

#[tokio::test(start_paused = true)]
async fn the_raw_format_writes_the_body_alone() {
    let rejects = TestHandler::new(|_| async { Verdict::Reject { detail: "why".into() } });
    let config = Config { poison_format: PoisonFormat::Raw, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 1), rejects);
    set.run().await;
    assert_eq!(set.poison.bodies(), ["[0]"]);
}

#[tokio::test(start_paused = true)]
async fn an_envelope_says_what_whence_why_and_with_which_component() {
    let traps = TestHandler::new(|_| async {
        Verdict::Retry { reason: RetryReason::Trap, detail: "unreachable".into(), after: None }
    });
    let set =
        Set::new(Config { max_dequeue: 1, ..Config::default() }, MemoryQueue::filled("orders", 1), traps);
    set.run().await;
    let body = set.poison.bodies().remove(0);
    let envelope = Envelope::parse(&body).unwrap();
    assert_eq!(
        (envelope.reason.as_ref(), envelope.detail.as_ref()),
        ("attempts-exhausted", "trap: unreachable")
    );
    assert_eq!(
        (envelope.queue.as_ref(), envelope.component.as_deref()),
        ("file:./memory/orders", Some("sha256:test"))
    );
    assert_eq!((envelope.dequeue_count, envelope.body.body.as_ref()), (1, "[0]"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_with_less_than_ten_minutes_to_live_is_poisoned() {
    let queue = MemoryQueue::new("orders");
    queue.put_expiring("{}", Some(9 * 60 * S));
    queue.put_expiring("{}", Some(3600 * S));
    let set = Set::new(Config { max_messages: Some(2), ..Config::default() }, queue, TestHandler::fails());
    set.run().await;
    let poisoned: Vec<_> = set.poison.envelopes().into_iter().map(|(id, reason, _)| (id, reason)).collect();
    assert_eq!(poisoned, [("0".to_owned(), "expiring".to_owned())]);
    assert_eq!(set.queue.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_with_ten_minutes_to_live_is_tried_again() {
    let queue = MemoryQueue::new("orders");
    queue.put_expiring("{}", Some(600 * S));
    let set = Set::new(Config { max_messages: Some(1), ..Config::default() }, queue, TestHandler::fails());
    let finished = set.run().await;
    assert_eq!((finished.summary.retried, set.poison.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_the_handler_names_is_kept() {
    let waits = TestHandler::new(|invocation| async move {
        match invocation.dequeue_count {
            _ if invocation.id == "0" => Verdict::Completed,
            1 => {
                Verdict::Retry { reason: RetryReason::Requested, detail: String::new(), after: Some(17 * S) }
            }
            _ => Verdict::Completed,
        }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 2), waits);
    set.run().await;
    let times: Vec<_> =
        set.handler.seen().into_iter().filter(|(_, id, _)| id == "1").map(|(at, ..)| at).collect();
    let waited = times[1] - times[0];
    assert!(waited >= 17 * S && waited < 18 * S, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_comes_sooner_since_its_message_would_expire_is_waited_for() {
    let queue = MemoryQueue::new("orders");
    queue.put_expiring("{}", Some(12 * 60 * S));
    let later = TestHandler::new(|invocation| async move {
        match invocation.dequeue_count {
            1 => {
                Verdict::Retry { reason: RetryReason::Requested, detail: String::new(), after: Some(900 * S) }
            }
            _ => Verdict::Completed,
        }
    });
    // The handler asks for 15 minutes, but the message may be hidden for 11 only. That is within
    // the linger, and 15 minutes are not.
    let set = Set::new(Config { linger: 11 * 60 * S, ..Config::default() }, queue, later);
    let finished = set.run().await;
    assert_eq!((finished.summary.retried, finished.summary.completed), (1, 1), "{finished:?}");
}

#[tokio::test(start_paused = true)]
async fn retries_before_the_first_success_wait_for_the_cap() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 1), TestHandler::fails());
    set.run().await;
    let times: Vec<_> = set.handler.seen().into_iter().map(|(at, ..)| at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 30 * S), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_the_handler_names_is_kept_before_the_first_success_too() {
    for (asked, kept) in [(S, S), (Duration::ZERO, Duration::ZERO), (40 * S, 40 * S), (3600 * S, 900 * S)] {
        let waits = TestHandler::new(move |invocation| async move {
            match invocation.dequeue_count {
                1 => Verdict::Retry {
                    reason: RetryReason::Requested,
                    detail: String::new(),
                    after: Some(asked),
                },
                _ => Verdict::Completed,
            }
        });
        let config = Config { linger: 1000 * S, ..Config::default() };
        let set = Set::new(config, MemoryQueue::filled("orders", 1), waits);
        set.run().await;
        let times: Vec<_> = set.handler.seen().into_iter().map(|(at, ..)| at).collect();
        let waited = times[1] - times[0];
        assert!(waited >= kept && waited <= kept + S, "{asked:?}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poison_queue_that_refuses_one_message_does_not_end_the_run() {
    let rejects = TestHandler::new(|invocation| async move {
        if invocation.id == "3" { Verdict::Reject { detail: String::new() } } else { Verdict::Completed }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 20), rejects);
    set.poison.set_faults(|_, _| Fault {
        error: Some(QueueError::Fault { cause: "HTTP 400".into(), mend: "look at it".into() }),
        ..Fault::default()
    });
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::Drained), 19));
    assert_eq!((finished.summary.abandoned, set.queue.len()), (1, 1), "it stays, and is not lost");
    assert_eq!(set.queue.calls_of("delete").iter().filter(|call| call.id == "3").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_count_of_zero_at_receipt_cannot_be_believed_and_is_poisoned_as_undecodable() {
    let queue = MemoryQueue::filled("orders", 1);
    queue.set_dequeue_count("0", u32::MAX);
    let set = Set::new(Config::default(), queue, TestHandler::completes(S));
    let finished = set.run().await;
    assert_eq!((finished.summary.poisoned, set.handler.seen().len(), set.queue.len()), (1, 0, 0));
    assert_eq!(set.poison.envelopes()[0].1, "undecodable");
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_body_is_poisoned_and_its_neighbours_are_handled() {
    let queue = MemoryQueue::filled("orders", 2);
    queue.put("not base64!");
    let config = Config { encoding: longshore_queue::encoding::Encoding::Base64, ..Config::default() };
    let set = Set::new(config, queue, TestHandler::completes(Duration::ZERO));
    set.run().await;
    assert_eq!(set.handler.seen().len(), 0);
    assert_eq!(set.poison.envelopes().len(), 3);
    assert!(
        set.poison
            .envelopes()
            .iter()
            .all(|(_, reason, detail)| reason == "undecodable" && detail.contains("base64"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_in_the_host_costs_only_its_own_message() {
    let panics = TestHandler::new(|invocation| async move {
        assert!(invocation.id != "1", "a defect in the host");
        Verdict::Completed
    });
    let set = Set::new(
        Config { max_messages: Some(3), ..Config::default() },
        MemoryQueue::filled("orders", 3),
        panics,
    );
    let finished = set.run().await;
    assert_eq!((finished.summary.completed, finished.summary.abandoned, set.queue.len()), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn failures_of_one_message_do_not_stop_the_others() {
    let one_fails = TestHandler::new(|invocation| async move {
        if invocation.id == "7" { failed() } else { Verdict::Completed }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 200), one_fails);
    let finished = set.run().await;
    assert_eq!((finished.summary.completed, finished.summary.poisoned), (199, 1));
}
