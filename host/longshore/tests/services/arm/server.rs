//! Azure Resource Manager and the identity endpoint of a Container App, on one loopback address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use longshore_testkit::identity::HEADER;
use longshore_testkit::program::{Ended, Program};
use serde_json::{Value, json};

/// The job of these tests.
pub const JOB: &str = "/subscriptions/34adfa4f-cedf-4dc0-ba29-b6d1a69ab345/resourceGroups/rg/providers/Microsoft.App/jobs/orders";

/// One call that the server got.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method and path, without the query: `GET /subscriptions/…`.
    pub what: String,
    pub query: String,
    pub token: String,
    pub body: Value,
    /// How many of the same came before it.
    pub nth: usize,
}

/// How a call is answered.
pub enum Answer {
    /// Status, headers, and a body, if it is not null.
    Say(u16, Vec<(&'static str, String)>, Value),
    /// The connection is cut when the call has been read.
    Cut,
    /// The body is no JSON.
    Garbage,
}

impl Answer {
    /// 200 with this body.
    pub fn ok(body: Value) -> Self {
        Self::Say(200, Vec::new(), body)
    }

    /// 200 with this body, and the wish to be asked again at once.
    pub fn again(body: Value) -> Self {
        Self::Say(200, vec![("retry-after", "0".into())], body)
    }

    /// A refusal with ARM's error body.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Say(
            status,
            vec![("retry-after", "0".into())],
            json!({ "error": { "code": code, "message": message } }),
        )
    }
}

type Script = dyn Fn(&Call) -> Answer + Send + Sync;

/// The server, whose thread ends with the tests.
#[derive(Clone)]
pub struct Server {
    pub url: String,
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<Call>>>,
    tokens: Arc<Mutex<Vec<String>>>,
    /// Whether it gives tokens for storage as well, and for Log Analytics.
    for_storage: Arc<AtomicBool>,
    for_logs: Arc<AtomicBool>,
}

impl Server {
    /// A server that answers each call as the script says.
    pub fn start(script: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (script, for_storage, for_logs) = (Arc::new(script), Arc::default(), Arc::default());
        let server =
            Self { url, script, calls: Arc::default(), tokens: Arc::default(), for_storage, for_logs };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        server
    }

    /// Has it give tokens for storage, too.
    pub fn gives_tokens_for_storage(&self) {
        self.for_storage.store(true, Ordering::Relaxed);
    }

    /// Has it give tokens for Log Analytics, too. Their text says so.
    pub fn gives_tokens_for_logs(&self) {
        self.for_logs.store(true, Ordering::Relaxed);
    }

    /// What it was asked so far, the identity endpoint left out.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How often it was asked that: method and the end of the path.
    pub fn asked(&self, method: &str, path_end: &str) -> usize {
        let is = |call: &&Call| call.what.starts_with(method) && call.what.ends_with(path_end);
        self.calls().iter().filter(is).count()
    }

    /// How many tokens were fetched.
    pub fn tokens(&self) -> usize {
        self.tokens.lock().unwrap().len()
    }

    /// Runs the binary against this server, as a managed identity; and looks through its log for
    /// what must not be in it.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, &[])
    }

    /// The same with more variables.
    pub fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        self.run_in(Path::new(env!("CARGO_TARGET_TMPDIR")), args, env)
    }

    /// The same in a folder, such as a project's.
    pub fn run_in(&self, folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Ended {
        let ended = self.program_in(folder, args, env).run();
        for secret in self.tokens.lock().unwrap().iter().map(String::as_str).chain(["Bearer", HEADER]) {
            assert!(!ended.stderr.contains(secret), "`{secret}` is in the log: {}", ended.stderr);
        }
        ended
    }

    /// The binary against this server, not started yet.
    pub fn program(&self, args: &[&str], env: &[(&str, &str)]) -> Program {
        self.program_in(Path::new(env!("CARGO_TARGET_TMPDIR")), args, env)
    }

    fn program_in(&self, folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Program {
        let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), folder);
        program.current_dir(folder);
        program
            .behind_a_dead_proxy()
            .args(args)
            // `check` asks about a job only where a test names one.
            .envs((args.first() != Some(&"check")).then_some(("LONGSHORE_JOB", JOB)))
            .env("LONGSHORE_ARM_ENDPOINT", &self.url)
            .env("LONGSHORE_OUTPUT", "json")
            .env("IDENTITY_ENDPOINT", format!("{}/msi/token", self.url))
            .env("IDENTITY_HEADER", HEADER)
            .envs(env.iter().copied());
        program
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut length, mut token, mut platform) = (0, String::new(), false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "authorization" => token = value.trim().trim_start_matches("Bearer ").to_owned(),
                "x-identity-header" => platform = value.trim() == HEADER,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let answer = if path == "/msi/token" {
            assert!(platform, "the identity endpoint wants its header");
            Answer::ok(self.mint(query))
        } else {
            let what = format!("{method} {path}");
            let mut calls = self.calls.lock().unwrap();
            let nth = calls.iter().filter(|call| call.what == what && call.query == query).count();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let call = Call { what, query: query.to_owned(), token, body, nth };
            calls.push(call.clone());
            drop(calls);
            (self.script)(&call)
        };
        let (status, headers, body) = match answer {
            Answer::Cut => return None,
            Answer::Garbage => (200, Vec::new(), "<html>a proxy's page</html>".to_owned()),
            Answer::Say(status, headers, Value::Null) => (status, headers, String::new()),
            Answer::Say(status, headers, body) => (status, headers, body.to_string()),
        };
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} Whatever\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .ok()
    }

    fn mint(&self, query: &str) -> Value {
        let for_storage = self.for_storage.load(Ordering::Relaxed)
            && query.contains("resource=https%3A%2F%2Fstorage.azure.com");
        let for_logs = self.for_logs.load(Ordering::Relaxed)
            && query.contains("resource=https%3A%2F%2Fapi.loganalytics.io");
        assert!(
            for_storage || for_logs || query.contains("resource=https%3A%2F%2Fmanagement.azure.com"),
            "for ARM: {query}"
        );
        let mut tokens = self.tokens.lock().unwrap();
        let token = format!("token{}-number-{}", if for_logs { "-for-logs" } else { "" }, tokens.len());
        tokens.push(token.clone());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({ "access_token": token, "expires_on": (now + 3600).to_string(), "token_type": "Bearer",
                "resource": "https://management.azure.com" })
    }
}
