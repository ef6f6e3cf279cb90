//! Settling on the link: what becomes of it when the link, the lock or the broker is gone.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use longshore_queue::{DeadLetter, QueueError, Right};
use rustix::process::Signal;
use serde_json::json;

use crate::servicebus::amqp::{data, properties, string};
use crate::servicebus::broker::Broker;
use crate::servicebus::queue::{open, open_at};
use crate::servicebus::trips::Turns;
use longshore_testkit::queue_suite::{self, MINUTE, text};
use longshore_testkit::wait::until_async;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn what_a_link_brought_that_is_gone_is_settled_over_the_management_node() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(30, 10), 5 * SECOND);
    queue_suite::fill(&*queue, 3).await;
    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(queue.receive(3, MINUTE).await.unwrap());
    }
    broker.order(&json!([{ "at": "deliver", "do": "detach", "times": 1 }]));
    queue.send(text("a")).await.unwrap();
    // A receive returns what is there at once, and on a busy machine that may be nothing yet.
    let ended = loop {
        match queue.receive(1, MINUTE).await {
            Ok(none) if none.is_empty() => {}
            ended => break ended,
        }
    };
    // A receive that waits is told of the link's end. One that comes later has another link, and on
    // it the message.
    assert!(ended.as_ref().map_or_else(QueueError::is_transient, |it| it.len() == 1), "{ended:?}");
    let poison = queue.url().poison().unwrap();
    let letter = DeadLetter { to: &poison, body: "".into(), reason: "rejected", detail: "as asked" };
    queue.delete(&held[0].message.id, &held[0].receipt).await.unwrap();
    queue.update(&held[1].message.id, &held[1].receipt, Duration::ZERO).await.unwrap();
    queue.dead_letter(&held[2].message.id, &held[2].receipt, letter).await.unwrap();
    assert_eq!(broker.links_and_requests("update-disposition").1, 3);
    assert_eq!(queue.approximate_count().await, Ok(2), "what was given back, and the one that never came");
    let dead = open(&broker, poison.name(), 5 * SECOND).peek(5).await.unwrap().remove(0);
    assert!(dead.properties.contains(&("DeadLetterReason".into(), "rejected".into())), "{dead:?}");
}

#[tokio::test]
async fn the_right_to_receive_is_asked_for_with_the_link_that_a_run_needs_anyway() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(30, 10), 20 * SECOND);
    queue.send(text("a")).await.unwrap();
    for right in [Right::Receive, Right::Update] {
        queue.may(right).await.unwrap();
    }
    assert_eq!(broker.locked(queue.url().name()), 0, "nothing is taken by asking");
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    assert_eq!(held.message.dequeue_count, 1);
    assert_eq!(broker.links_and_requests("renew-lock"), (1, 0), "one link, and no request");
    queue.delete(&held.message.id, &held.receipt).await.unwrap();
}

#[tokio::test]
async fn a_settlement_counts_when_the_service_has_answered_it_and_says_when_the_lock_was_gone() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(2, 10), 20 * SECOND);
    queue.send(text("a")).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    broker.signal(Signal::STOP);
    let delete = queue.delete(&held.message.id, &held.receipt);
    let thaw = async {
        tokio::time::sleep(3 * SECOND).await;
        broker.signal(Signal::CONT);
    };
    let (deleted, ()) = tokio::join!(delete, thaw);
    assert!(deleted.as_ref().is_err_and(QueueError::is_stale), "{deleted:?}");
    let again = queue.receive(1, MINUTE).await.unwrap().remove(0);
    assert_eq!(again.message.dequeue_count, 2);
    queue.delete(&again.message.id, &again.receipt).await.unwrap();
    assert_eq!(queue.approximate_count().await, Ok(0));
}

#[tokio::test]
async fn a_settlement_whose_answer_is_no_or_none_is_tried_again_over_the_management_node() {
    for (fault, refused) in [("busy", true), ("silent", false), ("cut-after", false), ("detach", true)] {
        let broker = Broker::start(&[]);
        let queue = open(&broker, &broker.queue(30, 10), SECOND);
        queue.send(text("a")).await.unwrap();
        let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
        broker.order(&json!([{ "at": "settle", "do": fault, "times": 1 }]));
        let first = queue.delete(&held.message.id, &held.receipt).await;
        assert!(first.as_ref().is_err_and(QueueError::is_transient), "{fault}: {first:?}");
        // A busy service is left alone for as long as a call may take.
        tokio::time::sleep(SECOND + SECOND / 4).await;
        let second = queue.delete(&held.message.id, &held.receipt).await;
        match second {
            Ok(()) => assert!(refused, "{fault}: it was done before"),
            Err(error) => assert!(error.is_stale() && !refused, "{fault}: {error}"),
        }
        assert_eq!(broker.links_and_requests("update-disposition").1, 1, "{fault}");
        assert_eq!(queue.approximate_count().await, Ok(0), "{fault}");
    }
}

#[tokio::test]
async fn locks_that_fall_due_together_are_renewed_together() {
    const MESSAGES: usize = 60;
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(2, 10), 20 * SECOND);
    queue_suite::fill(&*queue, MESSAGES).await;
    let mut held = Vec::new();
    while held.len() < MESSAGES {
        let received = queue.receive(32, MINUTE).await.unwrap();
        assert_ne!(received.len(), 0, "{} of {MESSAGES} are there", held.len());
        held.extend(received);
    }
    tokio::time::sleep(5 * SECOND).await;
    let (links, requests) = broker.links_and_requests("renew-lock");
    assert!(requests >= 3, "{requests}: locks of 2 s were kept for 5");
    assert!(requests < MESSAGES as u64, "{requests} requests for {MESSAGES} locks");
    assert_eq!(links, 1);
    for it in held {
        assert_eq!(it.message.dequeue_count, 1);
        queue.delete(&it.message.id, &it.receipt).await.unwrap();
    }
    assert_eq!(queue.approximate_count().await, Ok(0));
}

#[tokio::test]
async fn what_came_too_late_is_free_again_before_a_run_may_end() {
    let broker = Broker::start(&[]);
    // What is said takes a tenth of a second to the broker.
    let turns = Turns::start(broker.port);
    let name = broker.queue(30, 10);
    let queue = open_at(&broker, turns.port, &name, 20 * SECOND);
    let sending = open(&broker, &name, 20 * SECOND);
    sending.send(text("a")).await.unwrap();
    // The credit for those that it did not get stands for a moment.
    let held = until_async("a message", async || queue.receive(32, MINUTE).await.unwrap().pop()).await;
    for _ in 0..5 {
        sending.send(text("late")).await.unwrap();
    }
    let sent = Instant::now();
    while broker.locked(&name) < 6 && sent.elapsed() < SECOND / 4 {
        tokio::time::sleep(SECOND / 100).await;
    }
    queue.stop_receiving().await;
    // The process could end now.
    assert_eq!(broker.locked(&name), 1, "what was received is still held, and nothing else");
    let again = sending.receive(5, MINUTE).await.unwrap();
    assert!(again.iter().all(|it| it.message.dequeue_count == 1), "{again:?}");
    queue.delete(&held.message.id, &held.receipt).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_gone_does_not_make_renewals_of_others_late() {
    const MESSAGES: usize = 60;
    let broker = Broker::start(&[]);
    // Every word takes a tenth of a second there, and one back.
    let turns = Turns::start(broker.port);
    let name = broker.queue(8, 10);
    queue_suite::fill(&*open(&broker, &name, 20 * SECOND), MESSAGES).await;
    let queue = open_at(&broker, turns.port, &name, 20 * SECOND);
    let mut held = Vec::new();
    while held.len() < MESSAGES {
        held.extend(queue.receive(32, MINUTE).await.unwrap());
    }
    broker.order(&json!([{ "at": "settle", "do": "silent", "times": 1 }]));
    let first = held.remove(0);
    // It is done, and its lock is renewed all the same, since that is not said.
    let deleting = queue.delete(&first.message.id, &first.receipt);
    let waiting = tokio::time::timeout(11 * SECOND, deleting);
    assert!(waiting.await.is_err());
    assert_eq!(broker.locked(&name), MESSAGES as u64 - 1, "all others are held for longer than a lock lasts");
}

/// A way to a server that brings 64 KiB each quarter of a second, and its port.
fn narrow(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (mut there, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            spawn(move || std::io::copy(&mut there, &mut back));
            spawn(move || {
                let mut piece = vec![0; 64 << 10];
                while let Ok(count @ 1..) = server.read(&mut piece) {
                    sleep(SECOND / 4 * u32::try_from(count).unwrap() / (64 << 10));
                    if client.write_all(&piece[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_takes_seconds_to_come_is_received() {
    let broker = Broker::start(&[]);
    let port = narrow(broker.port);
    let large =
        [properties(&[(0, string("large")), (10, string("red"))]), data(&vec![b'x'; 1 << 20])].concat();
    for name in [broker.queue(60, 10), broker.session_queue(60, 10)] {
        broker.fill_raw(&name, std::slice::from_ref(&large));
        let queue = open_at(&broker, port, &name, 20 * SECOND);
        let received = until_async("the message", async || queue.receive(1, MINUTE).await.unwrap().pop());
        let received = received.await;
        assert_eq!((received.message.id.as_str(), received.message.dequeue_count), ("large", 1));
        queue.delete(&received.message.id, &received.receipt).await.unwrap();
    }
}
