//! What no change may break: no message is lost, whatever the queue answers.

use std::collections::HashSet;

use longshore_handler::{RetryReason, Verdict};
use longshore_worker::Config;
use tokio::time::sleep;

use super::Set;
use super::handler::{TestHandler, failed};
use super::model::{MemoryQueue, S};
use super::weather::weather;

const MESSAGES: usize = 40;

/// How many schedules: as many as LONGSHORE_SCHEDULES says.
fn schedules() -> u64 {
    std::env::var("LONGSHORE_SCHEDULES").ok().and_then(|it| it.parse().ok()).unwrap_or(300)
}

/// Every way to end, by the message's number.
fn mixed() -> std::sync::Arc<TestHandler> {
    TestHandler::new(|invocation| async move {
        let number: u64 = invocation.id.parse().unwrap();
        sleep(S * u32::try_from(number % 5).unwrap() * 8).await;
        match number % 10 {
            3 => Verdict::Reject { detail: "no good".into() },
            5 => failed(),
            7 if invocation.dequeue_count < 3 => {
                Verdict::Retry { reason: RetryReason::Trap, detail: "once more".into(), after: Some(2 * S) }
            }
            _ => Verdict::Completed,
        }
    })
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_seeded_fault_schedules() {
    let (mut handled_again, mut poisoned_again) = (0, 0);
    for seed in 0..schedules() {
        let queue = MemoryQueue::filled("orders", MESSAGES);
        let poison = MemoryQueue::new("orders-poison");
        let rate = 0.02 * (1.0 + (seed % 10) as f64);
        queue.set_faults(weather(seed, rate));
        poison.set_faults(weather(seed + 1_000_000, rate));
        let handler = mixed();
        let config = Config { seed: Some(seed), visibility: 30 * S, ..Config::default() };
        // Two replicas at once, the second somewhat later.
        let first = Set::on(config.clone(), queue.clone(), poison.clone(), handler.clone());
        let second = Set::on(config.clone(), queue.clone(), poison.clone(), handler.clone());
        let other = tokio::spawn(async move {
            sleep(3 * S).await;
            second.run().await
        });
        first.run().await;
        other.await.unwrap();
        // Then fair weather, and as many executions as KEDA would start.
        queue.heal();
        poison.heal();
        for _ in 0..20 {
            if queue.len() == 0 {
                break;
            }
            sleep(60 * S).await;
            Set::on(config.clone(), queue.clone(), poison.clone(), handler.clone()).run().await;
        }
        assert_eq!(queue.len(), 0, "seed {seed}");
        let poisoned: Vec<String> = poison.envelopes().into_iter().map(|(id, ..)| id).collect();
        let distinct: HashSet<_> = poisoned.iter().cloned().collect();
        let completed = handler.completed();
        for id in (0..MESSAGES).map(|id| id.to_string()) {
            assert!(completed.contains(&id) || distinct.contains(&id), "seed {seed}: message {id} was lost");
        }
        let settled_at_once = |id: &str| !matches!(id.parse::<u64>().unwrap() % 10, 5 | 7);
        handled_again += handler
            .attempts()
            .into_iter()
            .filter(|(id, _)| settled_at_once(id))
            .map(|(_, attempts)| attempts - 1)
            .sum::<u32>();
        poisoned_again += poisoned.len() - distinct.len();
    }
    println!(
        "{} schedules: 0 lost, {handled_again} messages handled again, {poisoned_again} poison copies repeated",
        schedules()
    );
    assert!(handled_again > 0 && poisoned_again > 0, "the weather was too fair to show anything");
}
