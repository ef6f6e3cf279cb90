//! What the page shows, and what is remembered of it between two looks.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::actions::PageActions;
use super::poison::{MAX_LOOKED_AT, PoisonMessage, PoisonSeen, envelope};
use crate::event::DevEvent;
use crate::history::{Depth, History};
use crate::live::LiveLogs;
use longshore_queue::{Queue, QueueError, Specimen};
use longshore_worker::poison::Body;

/// How long a look at the poison queue is good while its count stays the same.
const LOOK_IS_GOOD: Duration = Duration::from_secs(10);
/// How long it is good in any case: a queue that grows by the second is not read by the second.
const LOOK_AT_LEAST: Duration = Duration::from_millis(2_500);
/// A look may take one part in so many of the time: of large messages there is one less often.
const LOOK_SHARE: u32 = 30;
/// How many messages of a queue are looked through for one.
const LOOKED_THROUGH: u32 = 500;

/// What is called how.
#[derive(Clone, Debug)]
pub struct PageNames {
    /// The verb that shows the page.
    pub verb: &'static str,
    /// The job, if there is one.
    pub job: Option<String>,
    /// The queue's URL, without secrets.
    pub queue: String,
    /// The poison queue's URL, without secrets.
    pub poison: Option<String>,
    /// What is known of the job, a sentence each.
    pub about: Vec<String>,
    /// The time between two polls, as it passes here; `None` where nobody polls.
    pub poll: Option<Duration>,
    /// The processors of a replica.
    pub cpu: f64,
    /// The memory of a replica, in GiB.
    pub memory_gib: f64,
}

impl PageNames {
    /// Whether there are executions to be seen.
    pub(crate) fn has_job(&self) -> bool {
        self.job.is_some()
    }

    /// Whether executions run here, and tell what became of each message.
    pub(crate) fn tells_of_messages(&self) -> bool {
        self.poll.is_some()
    }
}

/// Which buttons there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageRights {
    /// Messages may be sent, redriven and purged.
    pub messages: bool,
    /// Bodies may be looked at.
    pub bodies: bool,
    /// A poison message may be handed to the handler, here.
    pub replay: bool,
    /// Executions may be ended.
    pub kill: bool,
    /// The queue may be made to answer 503.
    pub take_queue: bool,
    /// The identity endpoint may be taken away.
    pub take_identity: bool,
}

/// A message that can be sent from the page.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is called.
    pub name: String,
    /// Its body.
    pub body: String,
}

/// What the page shows.
pub struct Board {
    pub(crate) names: PageNames,
    pub(crate) rights: PageRights,
    pub(crate) history: Arc<History>,
    pub(crate) logs: LiveLogs,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) poison: Option<Arc<dyn Queue>>,
    pub(crate) actions: Arc<dyn PageActions>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) work: super::work::PoisonWork,
    now: Mutex<BoardNow>,
    looked: tokio::sync::Mutex<Looked>,
    /// Whoever looks for a body has it: each look reads all bodies that lie before that one.
    finding: tokio::sync::Mutex<()>,
}

/// What changes from second to second.
#[derive(Clone, Debug, Default)]
pub(crate) struct BoardNow {
    /// The newest sample.
    pub(crate) depth: Option<Depth>,
    /// Why the queue could not be counted.
    pub(crate) not_counted: Option<String>,
    /// The last poll's sum in words, and when it was.
    pub(crate) poll: Option<(String, i64)>,
    /// What else is to be said.
    pub(crate) note: Option<String>,
}

#[derive(Default)]
struct Looked {
    at: Option<Instant>,
    /// How long it took.
    took: Duration,
    count: Option<u64>,
    look: Arc<PoisonSeen>,
}

impl Looked {
    /// Whether it can be shown once more, while the queue has so many messages.
    fn is_good(&self, count: Option<u64>) -> bool {
        let Some(age) = self.at.map(|at| at.elapsed()) else { return false };
        let at_least = LOOK_AT_LEAST.max(self.took * LOOK_SHARE);
        age < at_least || (self.count == count && age < LOOK_IS_GOOD)
    }
}

impl Board {
    /// A board on these queues. Its names and rights are set by whoever shows it.
    #[must_use]
    pub fn new(
        names: PageNames,
        rights: PageRights,
        history: Arc<History>,
        queue: Arc<dyn Queue>,
        poison: Option<Arc<dyn Queue>>,
        actions: Arc<dyn PageActions>,
    ) -> Self {
        Self {
            names,
            rights,
            history,
            logs: LiveLogs::default(),
            queue,
            poison,
            actions,
            samples: Vec::new(),
            work: super::work::PoisonWork::default(),
            now: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
            finding: tokio::sync::Mutex::default(),
        }
    }

    /// The same, with the logs of what runs.
    #[must_use]
    pub fn with_logs(self, logs: LiveLogs) -> Self {
        Self { logs, ..self }
    }

    /// The same, with messages that can be sent.
    #[must_use]
    pub fn with_samples(self, samples: Vec<Sample>) -> Self {
        Self { samples, ..self }
    }

    /// Takes in what the scheduler tells.
    pub fn event(&self, event: &DevEvent) {
        let mut now = self.lock();
        match event {
            DevEvent::Polled { sum, .. } => {
                now.poll = Some((sum.clone(), Timestamp::now().as_millisecond()));
            }
            DevEvent::NotCounted { cause } => {
                let words = format!("the queue could not be counted: {cause} → start none");
                now.poll = Some((words, Timestamp::now().as_millisecond()));
            }
            _ => {}
        }
    }

    /// Says something above everything else, or nothing any more.
    pub fn say(&self, note: Option<String>) {
        self.lock().note = note;
    }

    /// Counts both queues, and keeps the counts.
    pub async fn count(&self) {
        let counted = async {
            let messages = self.queue.approximate_count().await?;
            let visible = self.queue.visible_count().await?;
            Ok::<_, QueueError>((messages, visible))
        };
        let (messages, visible) = match counted.await {
            Ok(counted) => counted,
            Err(error) => {
                self.lock().not_counted = Some(error.to_string());
                return;
            }
        };
        let poison = match &self.poison {
            // It is made with its first message.
            Some(poison) => match poison.approximate_count().await {
                Err(QueueError::QueueNotFound { .. }) => Some(0),
                counted => counted.ok(),
            },
            None => None,
        };
        let depth = Depth { at_ms: Timestamp::now().as_millisecond(), messages, visible, poison };
        // Without this sample the picture has a gap.
        let _ = self.history.put_depth(&depth);
        let mut now = self.lock();
        (now.depth, now.not_counted) = (Some(depth), None);
    }

    /// Counts for ever.
    pub async fn keep_counting(self: Arc<Self>, pause: Duration) {
        loop {
            self.count().await;
            tokio::time::sleep(pause).await;
        }
    }

    pub(crate) fn now(&self) -> BoardNow {
        self.lock().clone()
    }

    /// What is in the poison queue, as it was seen a short time ago at most.
    pub(crate) async fn look(&self) -> Arc<PoisonSeen> {
        let mut looked = self.looked.lock().await;
        let count = self.now().depth.and_then(|it| it.poison);
        if !looked.is_good(count) {
            let began = Instant::now();
            looked.look = Arc::new(self.look_anew().await);
            (looked.at, looked.took, looked.count) = (Some(Instant::now()), began.elapsed(), count);
        }
        looked.look.clone()
    }

    /// What is in the poison queue now.
    pub(crate) async fn look_again(&self) -> Arc<PoisonSeen> {
        self.looked.lock().await.at = None;
        self.look().await
    }

    /// Forgets what was seen of the poison queue: something was done with it.
    pub(crate) async fn forget_look(&self) {
        self.looked.lock().await.at = None;
        self.count().await;
    }

    /// No body is kept, and no two are in memory at once.
    async fn look_anew(&self) -> PoisonSeen {
        let Some(poison) = &self.poison else { return PoisonSeen::default() };
        let (seen, kept) = shared(Vec::new());
        let url = poison.url().clone();
        let look = Box::new(move |specimen: Specimen| {
            locked(&kept).push(PoisonMessage::of(&url, &specimen));
            ControlFlow::Continue(())
        });
        match poison.look_through(MAX_LOOKED_AT, look).await {
            Ok(()) => {}
            Err(QueueError::QueueNotFound { .. }) => return PoisonSeen::default(),
            Err(error) => return PoisonSeen { problem: Some(error.to_string()), ..PoisonSeen::default() },
        }
        let messages = std::mem::take(&mut *locked(&seen));
        let count = poison.approximate_count().await.ok();
        PoisonSeen { of_about: count.filter(|it| *it > messages.len() as u64), messages, problem: None }
    }

    /// What `show` makes of the message of this id: its own one, or the one that it had before it
    /// was poisoned. The body is all that is kept of it.
    pub(crate) async fn find_body<T: Send + 'static>(
        &self,
        id: &str,
        show: impl Fn(&Body<'_>) -> T + Clone + Send + 'static,
    ) -> Option<T> {
        let _turn = self.finding.lock().await;
        for queue in self.poison.iter().chain([&self.queue]) {
            let is_poison = self.poison.as_ref().is_some_and(|it| Arc::ptr_eq(it, queue));
            let (found, kept) = shared(None);
            let (url, id, show) = (queue.url().clone(), id.to_owned(), show.clone());
            let look = Box::new(move |Specimen { message, .. }: Specimen| {
                let envelope = is_poison.then(|| envelope(&url, &message));
                let is_it = message.id == id || envelope.as_ref().is_some_and(|it| it.id == id);
                if !is_it {
                    return ControlFlow::Continue(());
                }
                let body = envelope.map_or_else(|| Body::of(&message.body), |it| it.body);
                *locked(&kept) = Some(show(&body));
                ControlFlow::Break(())
            });
            // A queue that does not answer has no body to show.
            let _ = queue.look_through(LOOKED_THROUGH, look).await;
            let found = locked(&found).take();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, BoardNow> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that a look fills from another thread, twice.
fn shared<T>(empty: T) -> (Arc<Mutex<T>>, Arc<Mutex<T>>) {
    let place = Arc::new(Mutex::new(empty));
    (place.clone(), place)
}

fn locked<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
