//! The broker, started by the tests on free ports, and ended with them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use longshore_testkit::{certificates, needs};

/// What the broker takes: the name of its only key, and the key.
pub const KEY: (&str, &str) = ("everything", "c2VjcmV0LW9mLXRoZS10ZXN0cw==");

/// Where the broker lies, and the clients of other people are installed.
pub fn installed(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/servicebus");
    needs::file(folder.join(path), needs::SERVICES)
}

/// A running broker. It ends when its standard input does: with this value, or with the tests.
pub struct Broker {
    child: Child,
    _stdin: ChildStdin,
    pub port: u16,
    /// Where TLS is spoken, and the certificate of the authority that signed the broker's, if it
    /// has one.
    pub tls: Option<(u16, PathBuf)>,
    _directory: Option<TempDir>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One for all tests that order no faults.
pub fn calm() -> &'static Broker {
    static CALM: OnceLock<Broker> = OnceLock::new();
    CALM.get_or_init(|| Broker::start(&[]))
}

/// The same for those that come over TLS.
pub fn secure() -> &'static Broker {
    static SECURE: OnceLock<Broker> = OnceLock::new();
    SECURE.get_or_init(|| Broker::start_with_tls("127.0.0.1:0").unwrap())
}

/// A name that no test has had before.
pub fn fresh() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("orders-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Broker {
    /// Starts one with these arguments.
    pub fn start(args: &[&str]) -> Self {
        Self::listen(args, None).expect("the broker says where it listens")
    }

    /// Starts one that speaks TLS at this address and port as well; `None` if it may not listen
    /// there.
    pub fn start_with_tls(at: &str) -> Option<Self> {
        let (host, _) = at.split_once(':').unwrap();
        Self::start_with_tls_for(at, &format!("IP:{host}"))
    }

    /// The same with a certificate for another name: `DNS:…` or `IP:…`.
    pub fn start_with_tls_for(at: &str, name: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let authority = certificates::make(directory.path(), name);
        let place = directory.path().to_str().unwrap().to_owned();
        Self::listen(&["--tls", &place, "--tls-at", at], Some((directory, authority)))
    }

    fn listen(args: &[&str], certified: Option<(TempDir, PathBuf)>) -> Option<Self> {
        installed("node/node_modules");
        let mut command = needs::program("node", needs::SERVICES);
        command.arg(installed("broker/main.js")).args(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut ports = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ports).unwrap();
        let Ok(ports) = serde_json::from_str::<Value>(&ports) else {
            child.wait().unwrap();
            return None;
        };
        let port = |name: &str| ports[name].as_u64().and_then(|it| u16::try_from(it).ok());
        let (directory, authority) = certified.unzip();
        let tls = port("tls").zip(authority);
        Some(Self { child, _stdin: stdin, port: port("port").unwrap(), tls, _directory: directory })
    }

    /// How many connections there were, and how many tokens they brought.
    pub fn state(&self) -> (u64, u64) {
        let state = self.put("/-/state", &Value::Null);
        (state["opened"].as_u64().unwrap(), state["puts"].as_u64().unwrap())
    }

    /// How many links have received, and how many requests of a kind there were.
    pub fn links_and_requests(&self, kind: &str) -> (u64, u64) {
        let state = self.put("/-/state", &Value::Null);
        (state["receivers"].as_u64().unwrap(), state["requests"][kind].as_u64().unwrap_or_default())
    }

    /// Stops it, or lets it go on, as a machine that freezes.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What the official clients and ours connect with.
    pub fn connection_string(&self) -> String {
        let (name, key) = KEY;
        format!(
            "Endpoint=sb://127.0.0.1:{};SharedAccessKeyName={name};SharedAccessKey={key};UseDevelopmentEmulator=true",
            self.port
        )
    }

    /// Makes a queue of a new name, with locks that last so many seconds.
    pub fn queue(&self, lock_s: u32, max_deliveries: u32) -> String {
        let name = fresh();
        let body = serde_json::json!({ "lockMs": lock_s * 1000, "maxDeliveries": max_deliveries });
        self.put(&format!("/-/queues/{name}"), &body);
        name
    }

    /// Makes a queue that requires sessions, whose locks last so many seconds.
    pub fn session_queue(&self, lock_s: u32, max_deliveries: u32) -> String {
        let name = fresh();
        let body =
            serde_json::json!({ "lockMs": lock_s * 1000, "maxDeliveries": max_deliveries, "sessions": true });
        self.put(&format!("/-/queues/{name}"), &body);
        name
    }

    /// What is known of the sessions of a queue, by their ids: whether each is held, its state, and
    /// how often its messages were delivered in vain.
    pub fn sessions(&self, queue: &str) -> Value {
        self.put(&format!("/-/sessions/{queue}"), &Value::Null)
    }

    /// Makes a topic of a new name with these subscriptions, which are as queues are.
    pub fn topic(&self, lock_s: u32, max_deliveries: u32, subscriptions: &[&str]) -> String {
        let name = fresh();
        let body = serde_json::json!({
            "lockMs": lock_s * 1000, "maxDeliveries": max_deliveries, "subscriptions": subscriptions,
        });
        self.put(&format!("/-/topics/{name}"), &body);
        name
    }

    /// The same with subscriptions that require sessions.
    pub fn session_topic(&self, lock_s: u32, max_deliveries: u32, subscriptions: &[&str]) -> String {
        let name = fresh();
        let body = serde_json::json!({
            "lockMs": lock_s * 1000, "maxDeliveries": max_deliveries, "subscriptions": subscriptions,
            "sessions": true,
        });
        self.put(&format!("/-/topics/{name}"), &body);
        name
    }

    /// How many messages of a queue are locked.
    pub fn locked(&self, queue: &str) -> u64 {
        self.put(&format!("/-/locks/{queue}"), &Value::Null)["locked"].as_u64().unwrap()
    }

    /// Puts messages into a queue as the bytes that carry them.
    pub fn put_raw(&self, queue: &str, messages: &[Vec<u8>]) {
        let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.put(&format!("/-/raw/{queue}"), &messages.iter().map(hex).collect::<Vec<_>>().into());
    }

    /// The process.
    #[allow(dead_code, reason = "only the bench asks for it")]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The same without being shown them.
    pub fn fill_raw(&self, queue: &str, messages: &[Vec<u8>]) {
        let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let bodies: Value = messages.iter().map(hex).collect::<Vec<_>>().into();
        self.request(&format!("/-/raw/{queue}"), "prefer: return=minimal\r\n", &bodies);
    }

    /// When the first message of a queue was locked (`taken`), how many were completed (`count`),
    /// and when the first and the last of these was, in ms since 1970.
    pub fn done(&self, queue: &str) -> Value {
        self.put(&format!("/-/done/{queue}"), &Value::Null)
    }

    /// What the messages of a queue carry of their sender's, as hexadecimal digits, in order.
    pub fn bare(&self, queue: &str) -> Vec<String> {
        let told = self.put(&format!("/-/raw/{queue}"), &serde_json::json!([]));
        told["bare"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    /// Orders faults: see `broker/faults.js`. Returns those that there were, by kind.
    pub fn order(&self, faults: &Value) -> Value {
        self.put("/-/faults", faults)
    }

    fn put(&self, path: &str, body: &Value) -> Value {
        self.request(path, "", body)
    }

    fn request(&self, path: &str, headers: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(path, headers, body);
        assert_eq!(status, "200", "{path}: {answer}");
        let json = answer.lines().find(|line| line.starts_with(['{', '['])).unwrap_or("null");
        serde_json::from_str(json).unwrap()
    }

    /// The status of an answer to an order, and its body.
    pub fn ask(&self, path: &str, headers: &str, body: &Value) -> (String, String) {
        let body = body.to_string();
        let request = format!(
            "PUT {path} HTTP/1.1\r\nhost: broker\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
    }
}
