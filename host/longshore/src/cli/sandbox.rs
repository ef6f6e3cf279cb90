//! The flags of the sandbox: what a handler is granted, and what it may use.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::{OutboxQueue, RegistryArgs};
use longshore_sandbox::{Cidr, Grants, Limits, Settings, Target};

/// A name and its value.
type Pair = (String, String);

/// What a handler may reach. Nothing is granted by default. Each flag can be repeated; its variable holds one grant a
/// line. A flag replaces what its variable grants.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Grants")]
pub struct GrantArgs {
    /// An environment variable that the handler sees; without a value it has the host's own.
    #[arg(long, env = "LONGSHORE_ENV", hide_env_values = true, value_name = "KEY[=VALUE]", value_parser = lines(variable))]
    pub env: Vec<Lines<Pair>>,

    /// A setting that the handler can read through `wasi:config`.
    #[arg(long, env = "LONGSHORE_CONFIG", hide_env_values = true, value_name = "KEY=VALUE", value_parser = lines(super::property))]
    pub config: Vec<Lines<Pair>>,

    /// A host that the handler may send HTTP requests to: with TLS, unless `http://` stands before it.
    #[arg(long, env = "LONGSHORE_ALLOW_HTTP", value_name = "HOST[:PORT]", value_parser = lines(parse::<Target>))]
    pub allow_http: Vec<Lines<Target>>,

    /// Addresses that such a host may have although they are not public: `10.1.0.0/16`.
    #[arg(long, env = "LONGSHORE_ALLOW_PRIVATE", value_name = "CIDR", value_parser = lines(parse::<Cidr>))]
    pub allow_private: Vec<Lines<Cidr>>,

    /// A queue that the handler may send messages to, and the handler's name for it. Can be repeated; the variable
    /// holds one a line. A flag replaces all queues of the variable.
    // A URL may carry a signature.
    #[arg(long, env = "LONGSHORE_OUTBOX", hide_env_values = true, value_name = "NAME=QUEUE-URL", value_parser = lines(parse::<OutboxQueue>))]
    pub outbox: Vec<Lines<OutboxQueue>>,
}

impl GrantArgs {
    /// The grants, as the sandbox takes them.
    pub fn grants(&self) -> Grants {
        Grants {
            env: flat(&self.env),
            config: flat(&self.config),
            http: flat(&self.allow_http),
            private: flat(&self.allow_private),
            outputs: self.outbox().into_iter().map(|queue| queue.name).collect(),
        }
    }

    /// The queues that handlers may send messages to.
    pub fn outbox(&self) -> Vec<OutboxQueue> {
        flat(&self.outbox)
    }
}

/// Where a component runs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits of one handler")]
pub struct SandboxArgs {
    #[command(flatten)]
    pub(crate) grants: GrantArgs,

    /// Memory, in MiB.
    #[arg(long, env = "LONGSHORE_MEMORY", value_name = "MIB", default_value_t = 128, value_parser = value_parser!(u32).range(1..=4096))]
    pub memory: u32,

    /// Elements in each of its tables.
    #[arg(long, env = "LONGSHORE_TABLE_ELEMENTS", value_name = "N", default_value_t = 20_000, value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub table_elements: u32,

    /// Call stack, in KiB.
    #[arg(long, env = "LONGSHORE_STACK", value_name = "KIB", default_value_t = 512, value_parser = value_parser!(u32).range(64..=65_536))]
    pub stack: u32,

    /// What it may hand to the host in one call, its answer included, in KiB.
    #[arg(long, env = "LONGSHORE_CALL_LIMIT", value_name = "KIB", default_value_t = 1024, value_parser = value_parser!(u32).range(1..))]
    pub call_limit: u32,

    /// Host resources (streams, timers, requests) that it may hold at a time.
    #[arg(long, env = "LONGSHORE_HANDLES", value_name = "N", default_value_t = 1000, value_parser = value_parser!(u32).range(1..))]
    pub handles: u32,

    /// HTTP requests for one message.
    #[arg(long, env = "LONGSHORE_HTTP_CALLS", value_name = "N", default_value_t = 50)]
    pub http_calls: u32,

    /// All bodies of HTTP requests and responses for one message together, in KiB.
    #[arg(long, env = "LONGSHORE_HTTP_LIMIT", value_name = "KIB", default_value_t = 10_240)]
    pub http_limit: u32,

    /// What it may log for one message, in KiB; the rest is dropped and counted.
    #[arg(long, env = "LONGSHORE_LOG_LIMIT", value_name = "KIB", default_value_t = 64)]
    pub log_limit: u32,

    /// Messages for other queues that it may send for one message.
    #[arg(long, env = "LONGSHORE_OUTBOX_MESSAGES", value_name = "N", default_value_t = 100)]
    pub outbox_messages: u32,

    /// All of them together, in KiB.
    #[arg(long, env = "LONGSHORE_OUTBOX_LIMIT", value_name = "KIB", default_value_t = 1024)]
    pub outbox_limit: u32,

    /// Messages that one instance may handle, one after the other: for heavy components whose authors accept that what
    /// stays in memory is seen by the next message. An instance is thrown away after any failure.
    #[arg(long, env = "LONGSHORE_REUSE", value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    pub reuse: u32,

    /// The component, compiled ahead of time by `longshore compile`. The file is trusted: it is machine code, and what
    /// it does is not checked. If it does not fit the component or this host, the component is compiled after all.
    #[arg(long, env = "LONGSHORE_PRECOMPILED", value_name = "FILE", help_heading = "Options")]
    pub precompiled: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

impl SandboxArgs {
    /// The sandbox for so many handlers at a time.
    pub fn settings(&self, concurrency: usize) -> Settings {
        let kibibytes = |number: u32| (number as usize) << 10;
        let limits = Limits {
            memory: (self.memory as usize) << 20,
            table_elements: self.table_elements as usize,
            stack: kibibytes(self.stack),
            per_call: kibibytes(self.call_limit),
            handles: self.handles as usize,
            http_calls: self.http_calls as usize,
            http_bytes: kibibytes(self.http_limit),
            log: kibibytes(self.log_limit),
            outbox_messages: self.outbox_messages as usize,
            outbox_bytes: kibibytes(self.outbox_limit),
        };
        let grants = self.grants.grants();
        Settings {
            concurrency,
            limits,
            grants,
            reuse: self.reuse,
            precompiled: self.precompiled.clone(),
            cache: self.registry.cache_dir.clone(),
        }
    }
}

/// What one flag, or its variable, names: in a variable each stands on a line of its own.
#[derive(Clone, Debug)]
pub struct Lines<T>(pub Vec<T>);

/// Reads each line that is not empty.
pub(super) fn lines<T>(
    read: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Lines<T>, String> + Clone + Send + Sync {
    move |text| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(read).collect::<Result<_, _>>().map(Lines)
    }
}

fn flat<T: Clone>(groups: &[Lines<T>]) -> Vec<T> {
    groups.iter().flat_map(|group| group.0.clone()).collect()
}

fn parse<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn variable(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the variable has no name; write it as KEY=VALUE".into()),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => match std::env::var(text) {
            Ok(value) => Ok((text.to_owned(), value)),
            Err(error) => Err(format!("{text} has no value here ({error}); write it as {text}=VALUE")),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Verb};
    use longshore_sandbox::Settings;

    #[test]
    fn the_defaults_of_the_flags_are_those_of_the_sandbox() {
        let cli =
            Cli::parse_from(["longshore", "run", "--queue", "file:./q/orders", "--component", "o.wasm"]);
        let Verb::Run(run) = cli.verb else { panic!("not run") };
        assert_eq!(format!("{:?}", run.sandbox.settings(16)), format!("{:?}", Settings::default()));
    }

    #[test]
    fn grants_are_repeated_flags_or_lines() {
        let flags =
            ["--config", "a=1", "--config", "b=x=y\nc=", "--env", "KEY=1", "--allow-http", "example.com"];
        let verb =
            ["longshore", "invoke", "--component", "o.wasm", "--outbox", "invoices=file:./q/invoices", "{}"];
        let cli = Cli::parse_from(verb.into_iter().chain(flags));
        let Verb::Invoke(invoke) = cli.verb else { panic!("not invoke") };
        let grants = invoke.sandbox.grants.grants();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(grants.config, [pair("a", "1"), pair("b", "x=y"), pair("c", "")]);
        assert_eq!(grants.env, [pair("KEY", "1")]);
        assert_eq!((grants.http.len(), grants.outputs), (1, vec!["invoices".to_owned()]));
    }

    #[test]
    fn what_names_no_queue_is_no_outbox() {
        for (outbox, words) in [
            ("json", "write it as NAME=QUEUE-URL"),
            ("=file:./q/one", "has no name"),
            ("a=nonsense", "nonsense"),
        ] {
            let words_of = |error: clap::Error| error.to_string();
            let refused =
                Cli::try_parse_from(["longshore", "inspect", "o.wasm", "--outbox", outbox]).map_err(words_of);
            assert!(refused.as_ref().is_err_and(|error| error.contains(words)), "{outbox}: {refused:?}");
        }
    }
}
