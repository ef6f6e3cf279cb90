//! The flags of `longshore run`, and what they make of the worker.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::args::{ComponentArg, ConcurrencyArg, PoisonOf};
use super::outbox::EncodingOf;
use super::sandbox::SandboxArgs;
use super::sessions::SessionArgs;
use super::values::{Lines, duration, flat, flush, lines, parse, show, some_time};
use crate::telemetry::Correlation;
use longshore_component::Source;
use longshore_queue::encoding::Encoding;
use longshore_worker::Config;
use longshore_worker::lease::{FIXED_ROOM, LeaseMode};
use longshore_worker::outbox::{OutboxEncoding, OutboxFormat};
use longshore_worker::poison::PoisonFormat;
use longshore_worker::retry::RetryPolicy;

/// What the flags of a run are about, as headings of its help.
const LEASES: &str = "Leases";
const RETRIES: &str = "Retries and poison messages";
const DURATION: &str = "How long it runs";
const BODIES: &str = "Bodies";
const TELEMETRY: &str = "Traces and metrics";

/// Work off a queue.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(crate) of: PoisonOf,

    #[command(flatten)]
    pub(crate) component: ComponentArg,

    /// Load the component again when its file changes.
    ///
    /// The next message gets the new one.
    #[arg(long, env = "LONGSHORE_WATCH", value_parser = BoolishValueParser::new())]
    pub watch: bool,

    #[command(flatten)]
    pub(crate) concurrency: ConcurrencyArg,

    /// How long a handler may take for one message.
    #[arg(long, env = "LONGSHORE_DEADLINE", value_name = "D", default_value = "30s", value_parser = some_time)]
    pub deadline: Duration,

    /// How long a received message is invisible to others, unless its lease is renewed.
    #[arg(long, env = "LONGSHORE_VISIBILITY", value_name = "D", default_value = "60s", value_parser = duration, help_heading = LEASES, hide_short_help = true)]
    pub visibility: Duration,

    /// Whether leases are renewed: if the identity has the right, always, or never.
    #[arg(long, env = "LONGSHORE_LEASE", value_enum, default_value_t, help_heading = LEASES, hide_short_help = true)]
    pub lease: LeaseMode,

    /// How often a message may be received.
    ///
    /// A failure at the last attempt poisons it. Crashes and interruptions count.
    #[arg(long, env = "LONGSHORE_MAX_DEQUEUE", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), help_heading = RETRIES)]
    pub max_dequeue: u32,

    /// The longest wait for a retry after the first attempt. Each further attempt doubles it.
    #[arg(long, env = "LONGSHORE_RETRY_BASE", value_name = "D", default_value = "2s", value_parser = duration, help_heading = RETRIES, hide_short_help = true)]
    pub retry_base: Duration,

    /// The longest wait for a retry after any attempt.
    #[arg(long, env = "LONGSHORE_RETRY_CAP", value_name = "D", default_value = "30s", value_parser = duration, help_heading = RETRIES, hide_short_help = true)]
    pub retry_cap: Duration,

    /// The longest retry delay that a handler may name itself.
    #[arg(long, env = "LONGSHORE_MAX_RETRY_DELAY", value_name = "D", default_value = "15m", value_parser = duration, help_heading = RETRIES, hide_short_help = true)]
    pub max_retry_delay: Duration,

    /// How many different messages have to fail in a row, at their first attempt, to open the
    /// circuit breaker. Before the first success five are enough, at any attempt. 0 turns it off.
    #[arg(long, env = "LONGSHORE_BREAKER", value_name = "N", default_value_t = 20, help_heading = RETRIES, hide_short_help = true)]
    pub breaker: usize,

    /// How long an open breaker, a component that cannot be loaded, or sessions that others hold
    /// keep the run alive [default: as long as the time budget lasts; without a component on a
    /// terminal: 0]. 0 ends it at once.
    #[arg(long, env = "LONGSHORE_HOLD", value_name = "D", value_parser = duration, help_heading = DURATION, hide_short_help = true)]
    pub hold: Option<Duration>,

    /// How long to wait for a retry that this run made itself.
    #[arg(long, env = "LONGSHORE_LINGER", value_name = "D", default_value = "30s", value_parser = duration, conflicts_with = "forever", help_heading = DURATION, hide_short_help = true)]
    pub linger: Duration,

    /// How long the run lasts at most.
    ///
    /// Its last deadline is a part of that.
    #[arg(long, env = "LONGSHORE_TIME_BUDGET", value_name = "D", default_value = "20m", value_parser = duration, conflicts_with = "forever", help_heading = DURATION)]
    pub time_budget: Duration,

    /// Receive this many messages at most.
    #[arg(long, env = "LONGSHORE_MAX_MESSAGES", value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = DURATION)]
    pub max_messages: Option<u64>,

    /// Poll without end, also when the queue is empty.
    #[arg(long, env = "LONGSHORE_FOREVER", value_parser = BoolishValueParser::new(), help_heading = DURATION)]
    pub forever: bool,

    /// How long running handlers have after SIGTERM.
    #[arg(long, env = "LONGSHORE_GRACE", value_name = "D", default_value = "20s", value_parser = duration, help_heading = DURATION, hide_short_help = true)]
    pub grace: Duration,

    /// How message bodies are encoded. `auto` guesses: the body `MTIz` reaches the handler as
    /// `123`. `text` and `base64` do not guess.
    #[arg(long, env = "LONGSHORE_ENCODING", value_enum, default_value_t, help_heading = BODIES, hide_short_help = true)]
    pub encoding: Encoding,

    /// How poison messages are written.
    #[arg(long, env = "LONGSHORE_POISON_FORMAT", value_enum, default_value_t, help_heading = RETRIES, hide_short_help = true)]
    pub poison_format: PoisonFormat,

    /// How many bytes of what the failing attempt logged last are kept beside a poison message. 0:
    /// none.
    #[arg(long, env = "LONGSHORE_POISON_LOG", value_name = "BYTES", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(..=32_768), help_heading = RETRIES, hide_short_help = true)]
    pub poison_log: u32,

    /// How messages for the queues of `--outbox` are written.
    #[arg(long, env = "LONGSHORE_OUTBOX_FORMAT", value_enum, default_value_t, help_heading = BODIES, hide_short_help = true)]
    pub outbox_format: OutboxFormat,

    /// How bodies are written to one queue of `--outbox`: as `base64`, which the trigger of Azure
    /// Functions expects in a Storage queue, or as they are, which is `text`. The flag can be
    /// repeated, and the variable holds one a line.
    #[arg(long, env = "LONGSHORE_OUTBOX_ENCODING", value_name = "NAME=ENCODING", value_parser = lines(parse::<EncodingOf>), help_heading = BODIES, hide_short_help = true)]
    pub outbox_encoding: Vec<Lines<EncodingOf>>,

    /// Whether the span of an attempt is a part of its sender's trace, or begins a trace that is
    /// linked with it. Traces are exported where OTEL_EXPORTER_OTLP_ENDPOINT is set.
    #[arg(long, env = "LONGSHORE_TRACE", value_name = "HOW", value_enum, default_value_t, help_heading = TELEMETRY, hide_short_help = true)]
    pub trace: Correlation,

    /// How long the end of the run waits for traces and metrics to be taken, at most 10s. What is
    /// left is dropped, and counted in the log. A stop ends the wait.
    #[arg(long, env = "LONGSHORE_TELEMETRY_FLUSH", value_name = "D", default_value = "2s", value_parser = flush, help_heading = TELEMETRY, hide_short_help = true)]
    pub telemetry_flush: Duration,

    /// The file in which `longshore dev` writes what is to fail: the page has a button for it.
    // No variable: it is for the one process that writes it.
    #[cfg(feature = "dev")]
    #[arg(long, hide = true)]
    pub trouble: Option<std::path::PathBuf>,

    #[command(flatten)]
    pub(crate) sessions: SessionArgs,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}

/// The variable in which Azure Container Apps names a job's execution.
const EXECUTION: &str = "CONTAINER_APP_JOB_EXECUTION_NAME";
/// The longest name of an execution that is believed, in bytes.
const MAX_EXECUTION: usize = 128;

/// The name of the execution that this process belongs to, if it is one's.
fn execution() -> Option<String> {
    std::env::var(EXECUTION).ok().filter(|name| (1..=MAX_EXECUTION).contains(&name.len()))
}

impl RunArgs {
    /// How bodies are written to a queue of the outbox.
    pub fn encoding_of(&self, outbox: &str) -> OutboxEncoding {
        let named = flat(&self.outbox_encoding).into_iter().find(|it| it.name == outbox);
        named.map(|it| it.encoding).unwrap_or_default()
    }

    /// Refuses an encoding of a queue that is not there, and a second one of the same.
    fn check_encodings(&self) -> Result<(), String> {
        let outboxes: Vec<_> = self.sandbox.grants.outbox().into_iter().map(|it| it.name).collect();
        let mut named = BTreeSet::new();
        for EncodingOf { name, .. } in flat(&self.outbox_encoding) {
            if !outboxes.contains(&name) {
                let granted = if outboxes.is_empty() { "none".to_owned() } else { outboxes.join(", ") };
                return Err(format!(
                    "--outbox-encoding names `{name}`, and --outbox grants {granted}; grant it with `--outbox {name}=QUEUE-URL`"
                ));
            }
            if !named.insert(name.clone()) {
                return Err(format!("--outbox-encoding names `{name}` twice; name it once"));
            }
        }
        Ok(())
    }

    /// The worker's configuration, or why the flags contradict each other.
    pub fn config(&self) -> Result<Config, String> {
        if !self.forever && self.time_budget <= self.deadline {
            let (budget, deadline) = (show(self.time_budget), show(self.deadline));
            return Err(format!(
                "--time-budget {budget} leaves no time to receive before the last --deadline of {deadline}; make it longer, or the deadline shorter"
            ));
        }
        if self.visibility < Duration::from_secs(1) || self.visibility > longshore_queue::MAX_VISIBILITY {
            return Err(format!("--visibility {} is not between 1s and 7days", show(self.visibility)));
        }
        if self.watch && !matches!(self.component.component, Source::File(_)) {
            return Err(format!("--watch looks at a file, and {} is none", self.component.component));
        }
        let fixed = self.deadline.saturating_add(FIXED_ROOM);
        if self.lease != LeaseMode::Renew && fixed > longshore_queue::MAX_VISIBILITY {
            let (deadline, room) = (show(self.deadline), show(FIXED_ROOM));
            return Err(format!(
                "--deadline {deadline} and {room} are longer than a lease that is not renewed may last, 7days; make the deadline shorter, or take --lease renew"
            ));
        }
        self.sandbox.grants.check_outbox()?;
        self.check_encodings()?;
        self.sessions.check(&self.of.queue.queue)?;
        if self.retry_cap < self.retry_base {
            let (base, cap) = (show(self.retry_base), show(self.retry_cap));
            return Err(format!("--retry-cap {cap} is shorter than --retry-base {base}"));
        }
        // A person who sees the cause mends it and starts again, and does not wait for what is
        // hidden.
        let is_attended = std::io::stderr().is_terminal();
        Ok(Config {
            concurrency: self.concurrency.concurrency.into(),
            visibility: self.visibility,
            lease: self.lease,
            deadline: self.deadline,
            max_dequeue: self.max_dequeue,
            retry: RetryPolicy {
                base: self.retry_base,
                cap: self.retry_cap,
                max_delay: self.max_retry_delay,
            },
            breaker: self.breaker,
            hold: self.hold,
            hold_without_handler: self.hold.or(is_attended.then_some(Duration::ZERO)),
            stop_shows_hidden: is_attended,
            linger: self.linger,
            time_budget: self.time_budget,
            forever: self.forever,
            max_messages: self.max_messages,
            grace: self.grace,
            encoding: self.encoding,
            poison_format: self.poison_format,
            poison_log: self.poison_log as usize,
            execution: execution(),
            seed: None,
        })
    }
}
