//! The flags of the sandbox: what a handler is granted, and what it may use.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueHint, value_parser};

use super::given::{Given, resolved, setting, variable};
use super::outbox::OutboxQueue;
use super::registry::RegistryArgs;
use super::values::{Lines, flat, lines, parse, some_time};
use crate::host_identity::HostIdentity;
use longshore_sandbox::{Cidr, Grants, HeaderGrant, IdentityGrant, Limits, Origin, Settings};

/// What a handler may reach. Nothing is granted by default. Each flag can be repeated. Its variable
/// holds one grant a line. A flag replaces what its variable grants.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Grants")]
pub struct GrantArgs {
    /// An environment variable that the handler sees.
    ///
    /// Without a value, the handler sees the host's. `KEY=@FILE` takes the value from a file, and
    /// `KEY=@@…` is a value that begins with `@`.
    #[arg(long, env = "LONGSHORE_ENV", hide_env_values = true, value_name = "KEY[=VALUE]", value_parser = lines(variable))]
    pub env: Vec<Lines<Given>>,

    /// A setting that the handler can read.
    ///
    /// It does so through `wasi:config`. `KEY=@FILE` takes the value from a file, such as a key of
    /// several lines.
    #[arg(long, env = "LONGSHORE_CONFIG", hide_env_values = true, value_name = "KEY=VALUE", value_parser = lines(setting))]
    pub config: Vec<Lines<Given>>,

    /// A host that the handler may send HTTP requests to.
    ///
    /// They use TLS, unless `http://` stands before the host.
    #[arg(long, env = "LONGSHORE_ALLOW_HTTP", value_name = "HOST[:PORT]", value_parser = lines(parse::<Origin>))]
    pub allow_http: Vec<Lines<Origin>>,

    /// A service that the handler may call with the host's identity.
    ///
    /// The host adds the token, and the handler never has it. `acme.blob.core.windows.net/orders`
    /// grants a part of a service, `GET,PUT` before it only these methods. `=SCOPE` names the scope
    /// where it is no service of Azure, and `;client-id=ID` another identity.
    #[arg(long, env = "LONGSHORE_HTTP_IDENTITY", value_name = "HOST[/PATH][=SCOPE]", value_parser = lines(parse::<IdentityGrant>), hide_short_help = true)]
    pub http_identity: Vec<Lines<IdentityGrant>>,

    /// A header that the host adds to requests to a host: the key of an API. Its value is that of
    /// one of the host's variables, and the handler never has it.
    // Who does not know may write the key itself here.
    #[arg(long, env = "LONGSHORE_HTTP_HEADER", hide_env_values = true, value_name = "HOST[/PATH]=NAME=@VARIABLE", value_parser = lines(parse::<HeaderGrant>), hide_short_help = true)]
    pub http_header: Vec<Lines<HeaderGrant>>,

    /// Addresses that such a host may have although they are not public: `10.1.0.0/16`.
    #[arg(long, env = "LONGSHORE_ALLOW_PRIVATE", value_name = "CIDR", value_parser = lines(parse::<Cidr>), hide_short_help = true)]
    pub allow_private: Vec<Lines<Cidr>>,

    /// A queue that the handler may send messages to, and the handler's name for it.
    ///
    /// The flag can be repeated, and the variable holds one queue a line. A flag replaces all
    /// queues of the variable.
    // A URL may carry a signature.
    #[arg(long, env = "LONGSHORE_OUTBOX", hide_env_values = true, value_name = "NAME=QUEUE-URL", value_hint = ValueHint::Url, value_parser = lines(parse::<OutboxQueue>))]
    pub outbox: Vec<Lines<OutboxQueue>>,
}

impl GrantArgs {
    /// The grants, as the sandbox takes them.
    ///
    /// # Errors
    /// When a value cannot be had from a file, or from a variable of this process.
    pub fn grants(&self) -> Result<Grants, String> {
        let (env, config) = (resolved("env", &self.env)?, resolved("config", &self.config)?);
        let headers = flat(&self.http_header).into_iter().map(|grant| {
            let value = std::env::var(grant.variable()).ok();
            grant.with_value(value.as_deref()).map_err(|error| format!("--http-header {error}"))
        });
        let headers = headers.collect::<Result<_, _>>()?;
        for grant in flat(&self.http_identity) {
            if let Some(doubt) = grant.doubt() {
                tracing::warn!("--http-identity {doubt}");
            }
        }
        let seen = |grant: &HeaderGrant| env.iter().any(|(name, _)| name == grant.variable());
        if let Some(grant) = flat(&self.http_header).iter().find(|it| seen(it)) {
            tracing::warn!(
                "--env hands {} to the handler, which --http-header keeps from it",
                grant.variable()
            );
        }
        let tokens = (!self.http_identity.is_empty()).then(|| Arc::new(HostIdentity) as _);
        let grants = Grants { env, config, headers, tokens, ..self.reach() };
        match grants.conflict() {
            None => Ok(grants),
            Some((one, two)) => Err(format!(
                "`{one}` and `{two}` both add something to the same requests; give each a path or methods of its own"
            )),
        }
    }

    /// What the handler may reach, without the values that it sees and those that it does not.
    pub fn reach(&self) -> Grants {
        Grants {
            http: flat(&self.allow_http),
            private: flat(&self.allow_private),
            identities: flat(&self.http_identity),
            outbox: self.outbox().into_iter().map(|queue| queue.name).collect(),
            ..Grants::default()
        }
    }

    /// The queues that handlers may send messages to.
    pub fn outbox(&self) -> Vec<OutboxQueue> {
        flat(&self.outbox)
    }

    /// Refuses a name that stands for two queues.
    ///
    /// # Errors
    /// When a name is repeated: which one.
    pub fn check_outbox(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        match self.outbox().into_iter().find(|queue| !names.insert(queue.name.clone())) {
            Some(OutboxQueue { name, .. }) => {
                Err(format!("--outbox names two queues `{name}`; give each a name of its own"))
            }
            None => Ok(()),
        }
    }
}

/// Where a component runs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits of one handler")]
pub struct SandboxArgs {
    /// Memory, in MiB.
    #[arg(long, env = "LONGSHORE_MEMORY", value_name = "MIB", default_value_t = 128, value_parser = value_parser!(u32).range(1..=4096), hide_short_help = true)]
    pub memory: u32,

    /// Elements in each of its tables.
    #[arg(long, env = "LONGSHORE_TABLE_ELEMENTS", value_name = "N", default_value_t = 20_000, value_parser = value_parser!(u32).range(1..=10_000_000), hide_short_help = true)]
    pub table_elements: u32,

    /// Call stack, in KiB.
    #[arg(long, env = "LONGSHORE_STACK", value_name = "KIB", default_value_t = 512, value_parser = value_parser!(u32).range(64..=65_536), hide_short_help = true)]
    pub stack: u32,

    /// What it may hand to the host in one call, in KiB. Its answer is one of these calls.
    #[arg(long, env = "LONGSHORE_CALL_LIMIT", value_name = "KIB", default_value_t = 1024, value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub call_limit: u32,

    /// Host resources (streams, timers, requests) that it may hold at a time.
    #[arg(long, env = "LONGSHORE_HANDLES", value_name = "N", default_value_t = 1000, value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub handles: u32,

    /// HTTP requests for one message.
    #[arg(
        long,
        env = "LONGSHORE_HTTP_CALLS",
        value_name = "N",
        default_value_t = 50,
        hide_short_help = true
    )]
    pub http_calls: u32,

    /// All bodies of HTTP requests and responses for one message together, in KiB.
    #[arg(
        long,
        env = "LONGSHORE_HTTP_LIMIT",
        value_name = "KIB",
        default_value_t = 10_240,
        hide_short_help = true
    )]
    pub http_limit: u32,

    /// What it may log for one message, in KiB. The rest is dropped and counted.
    #[arg(
        long,
        env = "LONGSHORE_LOG_LIMIT",
        value_name = "KIB",
        default_value_t = 64,
        hide_short_help = true
    )]
    pub log_limit: u32,

    /// Messages for other queues that it may send for one message.
    #[arg(
        long,
        env = "LONGSHORE_OUTBOX_MESSAGES",
        value_name = "N",
        default_value_t = 100,
        hide_short_help = true
    )]
    pub outbox_messages: u32,

    /// Messages for other queues, all of them together, in KiB.
    #[arg(
        long,
        env = "LONGSHORE_OUTBOX_LIMIT",
        value_name = "KIB",
        default_value_t = 1024,
        hide_short_help = true
    )]
    pub outbox_limit: u32,

    /// How many messages one instance may handle, one after the other. This is for heavy
    /// components: what stays in memory is seen by the next message. An instance is thrown away
    /// after any failure.
    #[arg(long, env = "LONGSHORE_REUSE", value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub reuse: u32,

    /// The component, compiled ahead of time by `longshore compile`. The file is machine code, and
    /// nothing checks what it does. If it does not fit the component or this host, the component is
    /// compiled after all.
    #[arg(
        long,
        env = "LONGSHORE_PRECOMPILED",
        value_name = "FILE",
        help_heading = "Loading the component",
        hide_short_help = true
    )]
    pub precompiled: Option<PathBuf>,

    /// How long it may take to fetch and compile the component.
    #[arg(long, env = "LONGSHORE_LOAD_TIMEOUT", value_name = "D", default_value = "5m", value_parser = some_time, help_heading = "Loading the component", hide_short_help = true)]
    pub load_timeout: Duration,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    // The heading of what is flattened would be that of the flags after it.
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
}

impl SandboxArgs {
    /// The sandbox for `concurrency` handlers at a time.
    ///
    /// # Errors
    /// When a value that is granted cannot be had.
    pub fn settings(&self, concurrency: usize) -> Result<Settings, String> {
        Ok(Settings {
            concurrency,
            limits: self.limits(),
            grants: self.grants.grants()?,
            reuse: self.reuse,
            precompiled: self.precompiled.clone(),
            load_timeout: self.load_timeout,
            cache: self.registry.fetch.cache_dir.clone(),
        })
    }

    /// What one handler may use.
    pub fn limits(&self) -> Limits {
        let kibibytes = |number: u32| (number as usize) << 10;
        Limits {
            memory: (self.memory as usize) << 20,
            table_elements: self.table_elements as usize,
            stack: kibibytes(self.stack),
            per_call: kibibytes(self.call_limit),
            handles: self.handles as usize,
            http_calls: self.http_calls as usize,
            http_bytes: kibibytes(self.http_limit),
            log: kibibytes(self.log_limit),
            log_tail: Limits::default().log_tail,
            outbox_messages: self.outbox_messages as usize,
            outbox_bytes: kibibytes(self.outbox_limit),
        }
    }
}
