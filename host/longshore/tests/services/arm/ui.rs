//! `longshore ui`: executions over ARM, with the queue beside them; read-only unless it is asked
//! for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_testkit::identity::HEADER;
use longshore_testkit::program::{Process, Program};
use longshore_testkit::wait::until;
use serde_json::{Value, json};

use crate::arm::execution;
use crate::arm::server::{Answer, JOB, Server};

/// A job with an execution that failed and one that runs until it is stopped.
fn job(stopped: &Arc<Mutex<Vec<String>>>) -> Server {
    let stopped = stopped.clone();
    Server::start(move |call| match call.what.split_once(' ').unwrap() {
        ("GET", path) if path.ends_with("/executions") => {
            let ended = Some("2026-02-13T21:00:02+00:00");
            let failed = execution("orders-2", "Failed", "2026-02-13T21:00:00+00:00", ended, Some(3));
            let is_stopped = !stopped.lock().unwrap().is_empty();
            let (status, end) = if is_stopped { ("Stopped", ended) } else { ("Running", None) };
            let other = execution("orders-3", status, "2026-02-13T22:00:00+00:00", end, None);
            Answer::ok(json!({ "value": [failed, other] }))
        }
        ("GET", path) if path == JOB => Answer::ok(json!({ "properties": {
            "template": { "containers": [{ "name": "longshore", "resources": { "cpu": 1.5, "memory": "3Gi" } }] },
            "configuration": { "replicaTimeout": 1350, "eventTriggerConfig": { "scale": { "pollingInterval": 30, "maxExecutions": 10 } } },
        } })),
        ("POST", path) => {
            stopped.lock().unwrap().push(path.to_owned());
            Answer::Say(200, Vec::new(), Value::Null)
        }
        other => panic!("{other:?}"),
    })
}

struct Ui {
    process: Process,
    /// The name and the port that a browser uses.
    host: String,
    cookie: String,
}

fn ui(server: &Server, queue: &str, flags: &[&str]) -> Ui {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), folder);
    program.args(["ui", "--output=json", "--queue", queue, "--job", JOB]).args(flags);
    program.env("LONGSHORE_ARM_ENDPOINT", &server.url).env("IDENTITY_HEADER", HEADER);
    program.env("IDENTITY_ENDPOINT", format!("{}/msi/token", server.url));
    let process = program.start();
    let event = until("the link", || serde_json::from_str::<Value>(process.stdout().lines().next()?).ok());
    let link = event["link"].as_str().unwrap().to_owned();
    let (address, token) = link.split_once("/#t=").unwrap();
    let host = address.strip_prefix("http://").unwrap().to_owned();
    let mut ui = Ui { process, host, cookie: String::new() };
    let answer = ui.asked("POST", "/session", &format!("t={token}"));
    let cookie = answer.lines().find_map(|it| it.strip_prefix("set-cookie: ")).unwrap();
    ui.cookie = cookie.split(';').next().unwrap().to_owned();
    ui
}

impl Ui {
    fn asked(&self, method: &str, path: &str, body: &str) -> String {
        let Self { host, cookie, .. } = self;
        let port: u16 = host.rsplit(':').next().unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {cookie}\r\nOrigin: http://{host}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// A queue in a directory of its own, with a message and a poison message.
fn queue(directory: &std::path::Path) -> String {
    let url = format!("file:{}/orders", directory.display());
    for (queue, body) in [(url.clone(), "{}"), (format!("{url}-poison"), "bad")] {
        for words in [&["queue", "create", "--queue", &queue][..], &["send", "--queue", &queue, body]] {
            Program::new(env!("CARGO_BIN_EXE_longshore"), directory).args(words).run().succeeded();
        }
    }
    url
}

#[test]
fn the_page_shows_a_job_of_azure_and_changes_nothing_unless_that_is_allowed() {
    let (stopped, directory) = (Arc::default(), tempfile::tempdir().unwrap());
    let server = job(&stopped);
    let url = queue(directory.path());
    let looking = ui(&server, &url, &[]);
    let shown = until("the executions", || {
        let shown = looking.asked("GET", "/", "");
        (shown.contains("orders-3") && shown.contains("BackoffLimitExceeded")).then_some(shown)
    });
    assert!(shown.contains("1.5 vCPU and 3 GiB") && shown.contains("KEDA looks every 30 s"), "{shown}");
    for path in ["/execution/kill", "/send", "/poison/redrive", "/poison/purge", "/trouble", "/poison/replay"]
    {
        assert!(!shown.contains(&format!("action=\"{path}\"")), "{path} has a button");
        let body = "name=orders-3&body=x&all=1&what=queue&id=a";
        let answer = looking.asked("POST", path, body);
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
    }
    assert!(stopped.lock().unwrap().is_empty());
    looking.process.terminate();
    assert_eq!(looking.process.wait().code(), 0);

    let acting = ui(&server, &url, &["--allow-actions"]);
    until("the button", || acting.asked("GET", "/", "").contains("action=\"/execution/kill\"").then_some(()));
    let answer = acting.asked("POST", "/execution/kill", "name=orders-3");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(stopped.lock().unwrap()[0].ends_with("/executions/orders-3/stop"), "{stopped:?}");
    let planted = acting.asked("POST", "/execution/kill", "name=..%2F..%2Fother");
    assert!(planted.starts_with("HTTP/1.1 422") && stopped.lock().unwrap().len() == 1, "{planted}");
    let question = acting.asked("POST", "/poison/purge", "all=1");
    let handle = question.split("name=\"asked\" value=\"").nth(1).and_then(|it| it.split('"').next());
    let handle = handle.unwrap_or_else(|| panic!("{question}"));
    let purged = acting.asked("POST", "/poison/purge", &format!("asked={handle}"));
    assert!(purged.contains("1 message was deleted"), "{purged}");
}
