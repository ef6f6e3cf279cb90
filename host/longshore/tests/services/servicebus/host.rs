//! The real binary in front of a queue of the broker's.

use std::path::Path;

use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity};
use longshore_testkit::program::Program;
use longshore_testkit::{guest, sample};
use serde_json::Value;

use crate::servicebus::broker::Broker;

/// A queue, and the binary in front of it.
pub struct Host {
    pub name: String,
    /// What clients of other people connect with.
    pub connection: String,
    /// What the queue is called on the command line.
    pub url: String,
    /// What else the binary finds in its environment.
    pub env: Vec<(&'static str, String)>,
    /// Whether the caller's own environment is the binary's as well, with the login in it.
    pub is_caller_s: bool,
    /// The session that messages are sent into; none where there are no sessions, and where each
    /// test names its own.
    pub session: Option<&'static str>,
}

impl Host {
    pub fn new(broker: &Broker, lock_s: u32) -> Self {
        let (name, connection) = (broker.queue(lock_s, 10), broker.connection_string());
        let url = format!("{connection};EntityPath={name}");
        Self { name, connection, url, env: Vec::new(), is_caller_s: false, session: None }
    }

    /// A queue that requires sessions.
    pub fn of_sessions(broker: &Broker, lock_s: u32) -> Self {
        let (name, connection) = (broker.session_queue(lock_s, 1000), broker.connection_string());
        let url = format!("{connection};EntityPath={name}");
        Self { name, connection, url, env: Vec::new(), is_caller_s: false, session: None }
    }

    /// A subscription of this topic.
    pub fn of_subscription(broker: &Broker, topic: &str, subscription: &str) -> Self {
        let (name, connection) =
            (format!("{topic}/Subscriptions/{subscription}"), broker.connection_string());
        let url = format!("{connection};EntityPath={name}");
        Self { name, connection, url, env: Vec::new(), is_caller_s: false, session: None }
    }

    /// In front of an entity that the caller named, with the caller's login.
    pub fn of_caller(url: &str) -> Self {
        let (name, connection) = (String::new(), String::new());
        Self { name, connection, url: url.into(), env: Vec::new(), is_caller_s: true, session: None }
    }

    /// The same host in front of another entity of its namespace.
    pub fn beside(&self, name: &str) -> Self {
        let url = self.url.replace(&self.name, name);
        let (connection, env) = (self.connection.clone(), self.env.clone());
        Self { name: name.into(), connection, url, env, is_caller_s: self.is_caller_s, session: self.session }
    }

    /// With a managed identity, over TLS.
    pub fn with_identity(broker: &Broker, identity: &Identity, host: &str, query: &str) -> Self {
        let (_, authority) = broker.tls.as_ref().unwrap();
        let plain = Self::new(broker, 30);
        let env = [
            ("IDENTITY_ENDPOINT", identity.url.clone()),
            ("IDENTITY_HEADER", HEADER.to_owned()),
            ("AZURE_CLIENT_ID", CLIENT_ID.to_owned()),
            ("SSL_CERT_FILE", authority.to_str().unwrap().to_owned()),
        ];
        Self { url: format!("sb://{host}/{}{query}", plain.name), env: env.into(), ..plain }
    }

    /// The same without one of its variables.
    pub fn without(mut self, variable: &str) -> Self {
        self.env.retain(|(name, _)| *name != variable);
        self
    }

    pub fn program(&self, args: &[&str]) -> Program {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let binary = env!("CARGO_BIN_EXE_longshore");
        let mut program = if self.is_caller_s { Program::as_us(binary) } else { Program::new(binary, home) };
        program
            .args(args)
            .env("LONGSHORE_CACHE_DIR", home.join("compiled"))
            .env("LONGSHORE_QUEUE", &self.url)
            .env("LONGSHORE_OUTPUT", "json")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        program
    }

    /// The only value that a command prints; `null` if it prints none.
    pub fn json(&self, args: &[&str]) -> Value {
        let ended = self.program(args).run().succeeded();
        if ended.stdout.is_empty() { Value::Null } else { ended.json() }
    }

    /// How many messages the queue holds.
    pub fn count(&self) -> Value {
        self.json(&["queue", "stats"])["approximate_count"].clone()
    }

    pub fn send(&self, words: &[&str]) {
        let order = |(n, msg): (usize, &&str)| sample::order(&format!("o-{n}"), msg);
        let orders: Vec<_> = words.iter().enumerate().map(order).collect();
        self.sending(&[]).args(orders).run().succeeded();
    }

    /// `send`, into the session if there is one.
    pub fn sending(&self, args: &[&str]) -> Program {
        let mut send = self.program(&["send"]);
        if let Some(session) = self.session {
            send.args(["--property", &format!("session-id={session}")]);
        }
        send.args(args);
        send
    }

    /// Sends orders into a session.
    pub fn send_into(&self, session: &str, words: &[&str]) {
        let order = |(n, msg): (usize, &&str)| sample::order(&format!("{session}-{n}"), msg);
        let orders: Vec<_> = words.iter().enumerate().map(order).collect();
        let property = format!("session-id={session}");
        self.program(&["send", "--property", &property]).args(orders).run().succeeded();
    }

    /// `run`, with retries that a test can wait for.
    pub fn run(&self, args: &[&str]) -> Program {
        let component = guest::order();
        let fixed = ["run", "--component", component.to_str().unwrap(), "--retry-base", "200ms"];
        let more = ["--retry-cap", "500ms", "--max-retry-delay", "1s", "--breaker", "0"];
        self.program(&[&fixed[..], &more[..], args].concat())
    }
}
