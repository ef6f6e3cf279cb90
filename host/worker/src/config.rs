//! How a worker behaves.

use std::time::Duration;

use crate::lease::LeaseMode;
use crate::poison::PoisonFormat;
use crate::retry::RetryPolicy;
use longshore_queue::encoding::Encoding;

/// How a worker behaves. [`Config::default`] is what the documentation calls the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many messages are handled at once.
    pub concurrency: usize,
    /// The visibility timeout of each lease.
    pub visibility: Duration,
    /// Whether leases are renewed.
    pub lease: LeaseMode,
    /// How long a handler may take for one message.
    pub deadline: Duration,
    /// How often a message may be received before it is poison.
    pub max_dequeue: u32,
    /// How long failed messages stay invisible.
    pub retry: RetryPolicy,
    /// How many failures of different messages in a row open the breaker; zero: it never opens.
    pub breaker: usize,
    /// How long an open breaker keeps the run alive; `None`: as long as the time budget lasts.
    pub hold: Option<Duration>,
    /// The same while there is no handler.
    pub hold_without_handler: Option<Duration>,
    /// Whether a stop makes visible at once what an open breaker has hidden.
    pub stop_shows_hidden: bool,
    /// How long to wait for a retry that the run made itself.
    pub linger: Duration,
    /// How long the run lasts, the last deadline included.
    pub time_budget: Duration,
    /// Poll without end instead of draining.
    pub forever: bool,
    /// How many messages to receive at most.
    pub max_messages: Option<u64>,
    /// How long running handlers have after a signal.
    pub grace: Duration,
    /// How bodies are encoded.
    pub encoding: Encoding,
    /// How poison messages are written.
    pub poison_format: PoisonFormat,
    /// How many bytes of what the failing attempt logged last stand beside a poison message.
    pub poison_log: usize,
    /// The name of the job's execution, as poison messages have it.
    pub execution: Option<String>,
    /// Seeds the jitter, for tests; `None`: from the system.
    pub seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency: 16,
            visibility: Duration::from_secs(60),
            lease: LeaseMode::Auto,
            deadline: Duration::from_secs(30),
            max_dequeue: 5,
            retry: RetryPolicy::default(),
            breaker: 20,
            hold: None,
            hold_without_handler: None,
            stop_shows_hidden: false,
            linger: Duration::from_secs(30),
            time_budget: Duration::from_secs(20 * 60),
            forever: false,
            max_messages: None,
            grace: Duration::from_secs(20),
            encoding: Encoding::Auto,
            poison_format: PoisonFormat::Envelope,
            poison_log: 4 << 10,
            execution: None,
            seed: None,
        }
    }
}
