//! Settling messages of sessions: on the link that holds the session, or over the management node
//! with the session's id.

use std::time::Duration;

use longshore_azure::{Azure, Credential};
use longshore_queue::{DeadLetter, Queue, QueueError, Received, SessionOptions};
use longshore_queue_drivers::servicebus::ServiceBusQueue;
use serde_json::{Value, json};

use crate::servicebus::broker::Broker;
use crate::servicebus::host::Host;
use crate::servicebus::queue::open;
use crate::servicebus::session_order::{of_session, sessions};
use crate::servicebus::trips::Turns;
use longshore_testkit::queue_suite::MINUTE;
use longshore_testkit::wait::until_async;

const SECOND: Duration = Duration::from_secs(1);

/// Receives one message.
async fn receive(queue: &dyn Queue) -> Received {
    let received =
        until_async("a message", async || queue.receive(1, MINUTE).await.unwrap_or_default().pop());
    received.await
}

/// Refuses the next settlement on a link in passing, or does what else is said.
fn settle_once(broker: &Broker, what: &str) {
    broker.order(&json!([{ "at": "settle", "do": what, "times": 1 }]));
}

#[tokio::test]
async fn what_the_link_of_a_session_does_not_settle_is_settled_over_the_management_node_with_the_session() {
    let broker = Broker::start(&[]);
    let queue = sessions(&broker, &broker.session_queue(30, 10), SECOND);
    let poison = queue.url().poison().unwrap();
    for (settled, (session, requests)) in [("red", 1), ("blue", 2), ("green", 3)].into_iter().enumerate() {
        queue.send(of_session(session, format!("{session}-0"), "[\"plain\"]")).await.unwrap();
        let held = receive(&*queue).await;
        assert_eq!((held.message.id.as_str(), held.message.dequeue_count), (&*format!("{session}-0"), 1));
        let settle = async || {
            let (id, receipt) = (&held.message.id, &held.receipt);
            let letter = DeadLetter { to: &poison, body: "".into(), reason: "rejected", detail: "as asked" };
            match settled {
                0 => queue.delete(id, receipt).await,
                1 => queue.update(id, receipt, Duration::ZERO).await.map(drop),
                _ => queue.dead_letter(id, receipt, letter).await,
            }
        };
        settle_once(&broker, "busy");
        let refused = settle().await;
        assert!(refused.as_ref().is_err_and(QueueError::is_transient), "{session}: {refused:?}");
        // A busy service is left alone for as long as a call may take.
        tokio::time::sleep(SECOND + SECOND / 4).await;
        settle().await.unwrap();
        assert_eq!(broker.links_and_requests("update-disposition").1, requests, "{session}");
        if session == "blue" {
            let again = receive(&*queue).await;
            assert_eq!((again.message.id.as_str(), again.message.dequeue_count), ("blue-0", 2));
            queue.delete(&again.message.id, &again.receipt).await.unwrap();
        }
    }
    assert_eq!(queue.approximate_count().await, Ok(0));
    let dead = open(&broker, poison.name(), 5 * SECOND).peek(5).await.unwrap();
    assert_eq!(dead.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["green-0"]);
    assert!(dead[0].properties.contains(&("DeadLetterReason".into(), "rejected".into())), "{dead:?}");
}

#[tokio::test]
async fn a_message_whose_session_is_lost_between_handling_and_settlement_is_never_settled_twice() {
    // What the service does with the settlement, and whether it was done.
    for (fault, was_done) in [("detach", false), ("cut-before", false), ("cut-after", true), ("silent", true)]
    {
        let broker = Broker::start(&[]);
        let name = broker.session_queue(30, 10);
        let queue = sessions(&broker, &name, SECOND);
        for n in 0..2 {
            queue.send(of_session("red", format!("red-{n}"), "[\"plain\"]")).await.unwrap();
        }
        let held = receive(&*queue).await;
        settle_once(&broker, fault);
        let first = queue.delete(&held.message.id, &held.receipt).await;
        assert!(first.is_err(), "{fault}: {first:?}");
        let second = queue.delete(&held.message.id, &held.receipt).await;
        assert!(second.as_ref().is_err_and(QueueError::is_stale), "{fault}: {second:?}");
        // Whoever has the session next has what was not settled, in order.
        let next = receive(&*queue).await;
        assert_eq!(next.message.id, if was_done { "red-1" } else { "red-0" }, "{fault}");
        let stale = queue.delete(&held.message.id, &held.receipt).await;
        assert!(stale.is_err_and(|it| it.is_stale()), "{fault}: the old receipt settles nothing");
        assert_eq!(queue.approximate_count().await, Ok(2 - u64::from(was_done)), "{fault}");
        queue.delete(&next.message.id, &next.receipt).await.unwrap();
        queue.stop_receiving().await;
        until_async("a free session", async || {
            let told = broker.sessions(&name)["red"].clone();
            (told["held"] == false && told["state"] == Value::Null).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_further_session_that_is_refused_holds_up_none_of_those_that_are_there() {
    let broker = Broker::start(&[]);
    let queue = sessions(&broker, &broker.session_queue(30, 10), 20 * SECOND);
    for n in 0..4 {
        queue.send(of_session("red", format!("red-{n}"), "[\"plain\"]")).await.unwrap();
    }
    let mut held = receive(&*queue).await;
    broker.order(&json!([{ "at": "attach", "do": "quota", "times": 1000 }]));
    for n in 1..4 {
        let (receiving, deleting) = tokio::join!(queue.receive(1, MINUTE), async {
            tokio::time::sleep(SECOND / 2).await;
            queue.delete(&held.message.id, &held.receipt).await
        });
        deleting.unwrap();
        held = receiving.unwrap().pop().expect("the next one of the session");
        assert_eq!(held.message.id, format!("red-{n}"));
    }
    queue.delete(&held.message.id, &held.receipt).await.unwrap();
    let refused =
        until_async("a refusal, once nothing is left", async || queue.receive(1, MINUTE).await.err());
    assert!(refused.await.to_string().contains("more handles"));
}

#[test]
fn sessions_are_worked_off_on_a_connection_that_has_room_for_few_of_them() {
    for channel_max in ["1", "2", "8"] {
        let broker = Broker::start(&["--channel-max", channel_max]);
        let host = Host::of_sessions(&broker, 30);
        for session in 0..6 {
            host.send_into(&format!("s{session}"), &["ok", "retry-until:2"]);
        }
        let ended = host.run(&["--hold", "0"]).run().succeeded();
        assert_eq!(ended.json()["completed"], 12, "{channel_max}: {ended:?}");
        assert_eq!(broker.state().0, 7, "{channel_max}: each process has one connection");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_nobody_takes_in_time_is_not_handed_out_while_its_session_is_left() {
    let broker = Broker::start(&[]);
    // To leave a session takes a word there and one back: a fifth of a second.
    let turns = Turns::start(broker.port);
    let rounds = (0..12).map(async |round| {
        let name = broker.session_queue(30, 10);
        let to =
            broker.connection_string().replace(&format!(":{}", broker.port), &format!(":{}", turns.port));
        let url = format!("{to};EntityPath={name}").parse().unwrap();
        let options = SessionOptions { at_once: 1, idle: 10 * SECOND, ..SessionOptions::default() };
        let queue = ServiceBusQueue::open(url, &Azure::new(Credential::Developer)).unwrap();
        let queue = queue.with_sessions(options);
        for n in 0..2 {
            queue.send(of_session("red", format!("red-{n}"), "[\"plain\"]")).await.unwrap();
        }
        let first = receive(&queue).await;
        queue.delete(&first.message.id, &first.receipt).await.unwrap();
        tokio::time::sleep(2 * SECOND + SECOND / 10 * round).await;
        let second = receive(&queue).await;
        tokio::time::sleep(SECOND).await;
        queue.delete(&second.message.id, &second.receipt).await
    });
    let deleted = futures_util::future::join_all(rounds).await;
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
}
