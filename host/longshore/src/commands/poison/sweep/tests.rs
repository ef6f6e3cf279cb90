//! Sweeps under paused time, over a queue in memory whose leases end as they should.

use std::sync::Mutex;

use clap::Parser;
use jiff::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::cli::{Cli, PoisonVerb, RedriveArgs, Verb};
use longshore_queue::{Message, Outgoing, QueueUrl, Right};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Kept {
    message: Message,
    place: u64,
    visible: Instant,
    receipt: u64,
}

/// Messages in order, each with a place that is its key. Time is tokio's.
#[derive(Debug)]
struct PausedQueue {
    url: QueueUrl,
    began: (Instant, Timestamp),
    kept: Mutex<Vec<Kept>>,
    next: Mutex<u64>,
}

impl PausedQueue {
    fn new(url: &QueueUrl) -> Self {
        let began = (Instant::now(), Timestamp::UNIX_EPOCH);
        Self { url: url.clone(), began, kept: Mutex::default(), next: Mutex::default() }
    }

    fn now(&self) -> Timestamp {
        self.began.1 + jiff::SignedDuration::try_from(self.began.0.elapsed()).unwrap()
    }

    fn next(&self) -> u64 {
        let mut next = self.next.lock().unwrap();
        *next += 1;
        *next
    }

    /// Puts in a message of this id, whose body is its reason.
    fn put(&self, id: &str, visible: Instant) {
        let message = Message {
            id: id.into(),
            body: "body".into(),
            dequeue_count: 0,
            inserted: self.now(),
            time_to_live: None,
            properties: vec![("DeadLetterReason".into(), id.into())],
        };
        let place = self.next();
        self.kept.lock().unwrap().push(Kept { message, place, visible, receipt: 0 });
    }
}

#[async_trait::async_trait]
impl Queue for PausedQueue {
    fn url(&self) -> &QueueUrl {
        &self.url
    }
    async fn create(&self) -> Result<bool, QueueError> {
        Ok(false)
    }
    async fn may(&self, _: Right) -> Result<(), QueueError> {
        Ok(())
    }
    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap();
        let visible = kept.iter_mut().filter(|it| it.visible <= now).take(max as usize);
        let lease = |it: &mut Kept| {
            (it.visible, it.receipt) = (now + visibility, self.next());
            let receipt = Receipt(format!("{}/{}", it.place, it.receipt));
            Received { message: it.message.clone(), receipt, damaged: None }
        };
        Ok(visible.map(lease).collect())
    }
    async fn send(&self, _: Outgoing) -> Result<String, QueueError> {
        Err(QueueError::busy(&self.url, "it is only read"))
    }
    async fn update(&self, _: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        let mut kept = self.kept.lock().unwrap();
        let held = kept.iter_mut().find(|it| receipt.0 == format!("{}/{}", it.place, it.receipt));
        held.ok_or(QueueError::MessageNotFound)?.visible = Instant::now() + visibility;
        Ok(receipt.clone())
    }
    async fn delete(&self, _: &str, receipt: &Receipt) -> Result<(), QueueError> {
        let mut kept = self.kept.lock().unwrap();
        let place = kept.iter().position(|it| receipt.0 == format!("{}/{}", it.place, it.receipt));
        kept.remove(place.ok_or(QueueError::MessageNotFound)?);
        Ok(())
    }
    async fn peek(&self, _: u32) -> Result<Vec<Message>, QueueError> {
        Ok(Vec::new())
    }
    async fn approximate_count(&self) -> Result<u64, QueueError> {
        Ok(self.kept.lock().unwrap().len() as u64)
    }
    fn key(&self, received: &Received) -> String {
        received.receipt.0.split('/').next().unwrap().to_owned()
    }
    async fn horizon(&self) -> Result<Horizon, QueueError> {
        let now = self.now();
        sleep(Duration::from_millis(1)).await;
        Ok(Horizon::Until(now))
    }
}

fn arguments(flags: &[&str]) -> RedriveArgs {
    let common = ["longshore", "poison", "redrive", "--queue", "file:./q/orders"];
    let cli = Cli::try_parse_from([&common[..], flags].concat()).unwrap();
    let Verb::Poison(PoisonVerb::Redrive(args)) = cli.verb else { panic!("{cli:?}") };
    args
}

/// A sweep that deletes what it chooses, one a second; `meanwhile` is called with each.
async fn swept(poison: &PausedQueue, flags: &[&str], meanwhile: impl Fn(&PausedQueue)) -> Swept {
    let args = arguments(flags);
    let choice = Choice::new(&args.of, &args.which).unwrap();
    let act = async |received: &Received, _: Envelope<'_>| {
        meanwhile(poison);
        poison.delete(&received.message.id, &received.receipt).await.map(|()| Treatment::Done)
    };
    let bounds = SweepBounds {
        horizon: poison.horizon().await.unwrap(),
        counted: poison.approximate_count().await.unwrap(),
        at_most: args.bounds.at_most,
    };
    sweep(poison, &choice, bounds, Some(SECOND), ProgressBar::hidden(), act).await.unwrap()
}

fn poison_queue() -> PausedQueue {
    PausedQueue::new(&"file:./q/orders-poison".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_is_not_chosen_comes_round_again_and_ends_nothing() {
    let poison = poison_queue();
    poison.put("other", Instant::now());
    (0..340).for_each(|_| poison.put("rejected", Instant::now()));
    let started = Instant::now();
    let Swept { tally, ended } = swept(&poison, &["--reason", "rejected"], |_| {}).await;
    assert!(ended.is_none() && started.elapsed() > 300 * SECOND, "longer than five leases");
    assert_eq!((tally.done, tally.not_chosen, tally.seen, tally.hidden), (340, 1, 341, 0));
    assert_eq!(poison.receive(32, SECOND).await.unwrap().len(), 1, "what stays is visible at once");
}

#[tokio::test(start_paused = true)]
async fn what_comes_later_is_left_however_much_it_is() {
    let poison = poison_queue();
    (0..20).for_each(|_| poison.put("rejected", Instant::now()));
    let later = |poison: &PausedQueue| (0..3).for_each(|_| poison.put("rejected", Instant::now()));
    let Swept { tally, .. } = swept(&poison, &[], later).await;
    assert_eq!((tally.done, tally.seen, tally.newer, tally.hidden), (20, 20, 60, 0));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_leased_is_awaited_for_a_lease_and_then_counted() {
    let poison = poison_queue();
    poison.put("rejected", Instant::now());
    poison.put("rejected", Instant::now() + 50 * SECOND);
    let Swept { tally, .. } = swept(&poison, &[], |_| {}).await;
    assert_eq!((tally.done, tally.hidden), (2, 0));

    poison.put("rejected", Instant::now());
    poison.put("rejected", Instant::now() + 3600 * SECOND);
    let started = Instant::now();
    let Swept { tally, .. } = swept(&poison, &[], |_| {}).await;
    assert_eq!((tally.done, tally.hidden), (1, 1));
    assert!(started.elapsed() < 2 * PATIENCE, "{:?}", started.elapsed());
    let args = arguments(&[]);
    let choice = Choice::new(&args.of, &args.which).unwrap();
    let said = tally.complete(&choice, "redriven").unwrap_err().message();
    assert!(said.contains("1 more are leased by somebody else"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_taken_than_was_asked_about_and_the_others_are_counted() {
    let poison = poison_queue();
    (0..50).for_each(|_| poison.put("rejected", Instant::now()));
    poison.put("other", Instant::now());
    let started = Instant::now();
    let Swept { tally, ended } = swept(&poison, &["--reason", "rejected", "--at-most", "3"], |_| {}).await;
    assert!(ended.is_none() && started.elapsed() < 10 * SECOND, "what stays is not paced");
    assert_eq!((tally.done, tally.not_asked_about, tally.not_chosen, tally.seen), (3, 47, 1, 51));
    assert_eq!(poison.receive(32, SECOND).await.unwrap().len(), 32, "what stays is visible at once");
}

#[tokio::test(start_paused = true)]
async fn what_is_skipped_leaves_its_room_to_the_next() {
    let poison = poison_queue();
    (0..6).for_each(|_| poison.put("rejected", Instant::now()));
    let args = arguments(&["--at-most", "2"]);
    let choice = Choice::new(&args.of, &args.which).unwrap();
    let horizon = poison.horizon().await.unwrap();
    let bounds = SweepBounds { horizon, counted: 6, at_most: args.bounds.at_most };
    let calls = Mutex::new(0);
    let act = async |_: &Received, _: Envelope<'_>| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        Ok(if *calls <= 2 { Treatment::Skipped("too-large") } else { Treatment::Done })
    };
    let Swept { tally, .. } =
        sweep(&poison, &choice, bounds, None, ProgressBar::hidden(), act).await.unwrap();
    assert_eq!((tally.done, tally.skipped["too-large"], tally.not_asked_about), (2, 2, 2));
}
