//! Every verb and flag, declared with clap. Flags double as `LONGSHORE_…` variables.

mod check;
mod format;
pub mod job;
mod outbox;
mod refusal;
mod registry;
mod run;
mod sandbox;
mod send;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::check::Check;
pub use self::format::Format;
pub use self::job::{ArmArg, Job, JobArg};
pub use self::outbox::OutboxQueue;
pub(crate) use self::refusal::{refuse, without_secrets};
pub use self::registry::{Push, RegistryArgs};
pub use self::run::Run;
pub use self::sandbox::{GrantArgs, Lines, SandboxArgs};
pub use self::send::Send;
use self::values::{Unquoted, duration, property};
use longshore_azure::Credential;
use longshore_component::Source;
use longshore_queue::QueueUrl;
use longshore_sandbox::Cpu;
use longshore_worker::admit::Encoding;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; with `run` also when messages failed: they are settled
  1  anything that has no code of its own
  2  the command line is wrong
  3  a host or configuration fault: no such queue, no permission, no answer
  4  the circuit breaker was open when the run ended";

/// Unloads a queue, and hands each message to a sandboxed WebAssembly component.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// How results are printed to standard output. Here as everywhere, a flag beats its variable.
    #[arg(
        long,
        global = true,
        help_heading = "Output",
        value_enum,
        default_value_t,
        env = "LONGSHORE_OUTPUT"
    )]
    pub output: Format,

    /// Which log lines are written, to standard error: a level, or filters such as `info,longshore::worker=debug`.
    #[arg(
        long,
        global = true,
        help_heading = "Output",
        default_value = "info",
        env = "LONGSHORE_LOG",
        value_name = "FILTER"
    )]
    pub log: String,

    /// How log lines look; auto: for people on a terminal, JSON elsewhere.
    #[arg(
        long,
        global = true,
        help_heading = "Output",
        value_enum,
        default_value_t,
        env = "LONGSHORE_LOG_FORMAT"
    )]
    pub log_format: LogFormat,

    /// Who the host is to Azure.
    #[arg(long, global = true, value_enum, default_value_t, env = "LONGSHORE_CREDENTIAL")]
    pub credential: Credential,

    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One line of text each.
    Text,
    /// One JSON object a line.
    Json,
}

/// What `longshore` can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Work off a queue: lease, handle and settle messages until none is left.
    Run(Box<Run>),
    /// Put messages into a queue.
    Send(Send),
    /// Look at the first messages of a queue without leasing or counting them.
    Peek(Peek),
    /// Say what can be known before the first message, without touching any: what is there, and what the identity may do.
    Check(Box<Check>),
    /// Look after messages that could not be handled.
    #[command(subcommand)]
    Poison(Poison),
    /// Look after queues.
    #[command(subcommand)]
    Queue(QueueVerb),
    /// Start and stop executions of the Container Apps job, and see what became of them.
    #[command(subcommand)]
    Job(Job),
    /// Hand one message to a component, without any queue, in the same sandbox.
    Invoke(Box<Invoke>),
    /// Show what a component imports and exports, and whether this host offers it.
    Inspect(Inspect),
    /// Compile a component ahead of time, for `--precompiled`.
    Compile(Compile),
    /// Push a component to a registry, to be run from there.
    Push(Push),
}

/// Which queue.
#[derive(Clone, Debug, Args)]
pub struct QueueArg {
    /// The queue: `file:./queues/orders`, a directory and the queue's name in it, or
    /// `https://ACCOUNT.queue.core.windows.net/orders`, with a SAS query if there is no identity.
    // A URL may carry a signature: neither the help nor an error shows it.
    #[arg(long, env = "LONGSHORE_QUEUE", hide_env_values = true, value_name = "URL", value_parser = Unquoted::<QueueUrl>::new())]
    pub queue: QueueUrl,
}

/// Which poison queue.
#[derive(Clone, Debug, Args)]
pub struct PoisonArg {
    /// The poison queue [default: the queue's name and `-poison`, beside it].
    #[arg(long, env = "LONGSHORE_POISON_QUEUE", hide_env_values = true, value_name = "URL", value_parser = Unquoted::<QueueUrl>::new())]
    pub poison_queue: Option<QueueUrl>,
}

/// Look at the first messages of a queue.
#[derive(Debug, Args)]
pub struct Peek {
    #[command(flatten)]
    pub(crate) queue: QueueArg,

    /// How many messages to show at most.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// Look after queues.
#[derive(Debug, Subcommand)]
pub enum QueueVerb {
    /// Make a queue; it is no error if it is there.
    Create(QueueArg),
    /// Show how many messages a queue holds, invisible ones included.
    Stats(QueueArg),
}

/// Which queue's poison messages.
#[derive(Clone, Debug, Args)]
pub struct PoisonOf {
    #[command(flatten)]
    pub(crate) queue: QueueArg,

    #[command(flatten)]
    pub(crate) poison: PoisonArg,
}

/// Which poison messages.
#[derive(Clone, Debug, Args)]
pub struct Selection {
    /// Only those that were poisoned for this reason: `rejected`, `attempts-exhausted`, `undecodable`, `expiring`;
    /// `unknown` for what has no envelope.
    #[arg(long, value_name = "WORD")]
    pub reason: Option<String>,

    /// At most so many.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Look after messages that could not be handled.
#[derive(Debug, Subcommand)]
pub enum Poison {
    /// List them: reason, detail, and where they came from.
    List {
        /// Whose poison messages.
        #[command(flatten)]
        of: PoisonOf,
        /// Which of them.
        #[command(flatten)]
        which: Selection,
    },
    /// Show one with its body.
    Show {
        /// Whose poison messages.
        #[command(flatten)]
        of: PoisonOf,
        /// The message's id, as `list` shows it: its own, or the one in the poison queue.
        id: String,
    },
    /// Send them to their queue again, without the envelope, to be handled anew.
    Redrive(Redrive),
    /// Delete them.
    Purge {
        /// Whose poison messages.
        #[command(flatten)]
        of: PoisonOf,
        /// Which of them.
        #[command(flatten)]
        which: Selection,
        /// Only say what would be deleted.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Send poison messages to their queue again.
#[derive(Debug, Args)]
pub struct Redrive {
    #[command(flatten)]
    pub(crate) of: PoisonOf,

    #[command(flatten)]
    pub(crate) which: Selection,

    /// At most so many a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,

    /// Only say what would be sent.
    #[arg(long)]
    pub dry_run: bool,
}

/// Hand one message to a component.
#[derive(Debug, Args)]
pub struct Invoke {
    /// The component: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`.
    #[arg(long, env = "LONGSHORE_COMPONENT", hide_env_values = true, value_name = "PATH", value_parser = Unquoted::<Source>::new())]
    pub component: Source,

    /// The message's body; `-` reads it from standard input.
    #[arg(value_name = "BODY", required_unless_present = "file")]
    pub body: Option<String>,

    /// Read the body from a file.
    #[arg(long, value_name = "F", conflicts_with = "body")]
    pub file: Option<PathBuf>,

    /// The message's id.
    #[arg(long, default_value = "invoke")]
    pub id: String,

    /// The name of the queue that the handler sees.
    #[arg(long, default_value = "invoke")]
    pub queue_name: String,

    /// How often the message was received, as the handler sees it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub dequeue_count: u32,

    /// A property of the message.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,

    /// How long the handler may take.
    #[arg(long, env = "LONGSHORE_DEADLINE", value_name = "D", default_value = "30s", value_parser = duration)]
    pub deadline: Duration,

    /// How the body is encoded.
    #[arg(long, env = "LONGSHORE_ENCODING", value_enum, default_value_t)]
    pub encoding: Encoding,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}

/// Show what a component needs.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The component: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`.
    #[arg(value_name = "PATH", env = "LONGSHORE_COMPONENT", hide_env_values = true, value_parser = Unquoted::<Source>::new())]
    pub component: Source,

    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// Compile a component ahead of time.
#[derive(Debug, Args)]
pub struct Compile {
    /// The component: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`.
    #[arg(value_name = "PATH", env = "LONGSHORE_COMPONENT", hide_env_values = true, value_parser = Unquoted::<Source>::new())]
    pub component: Source,

    /// Where to write the result.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub to: PathBuf,

    /// The target: `x86_64-unknown-linux-gnu` [default: this machine's].
    #[arg(long, value_name = "TRIPLE", conflicts_with = "cpu")]
    pub target: Option<String>,

    /// Which processors the result runs on: any of the target's, or those that have what this machine's has.
    #[arg(long, value_enum, default_value_t)]
    pub cpu: Cpu,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_flags_variable_is_its_name_in_capitals() {
        fn look(command: &clap::Command, found: &mut usize) {
            for arg in command.get_arguments() {
                let (Some(flag), Some(variable)) = (arg.get_long(), arg.get_env()) else { continue };
                assert_eq!(
                    variable.to_str().unwrap(),
                    format!("LONGSHORE_{}", flag.to_uppercase().replace('-', "_"))
                );
                *found += 1;
            }
            command.get_subcommands().for_each(|verb| look(verb, found));
        }
        let mut found = 0;
        look(&Cli::command(), &mut found);
        assert!(found > 40, "{found}");
    }

    #[test]
    fn the_defaults_of_the_flags_are_those_of_the_worker() {
        let cli =
            Cli::parse_from(["longshore", "run", "--queue", "file:./q/orders", "--component", "o.wasm"]);
        let Verb::Run(run) = cli.verb else { panic!("not run") };
        assert_eq!(
            format!("{:?}", run.config().unwrap()),
            format!("{:?}", longshore_worker::Config::default())
        );
    }
}
