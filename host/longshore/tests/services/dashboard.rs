//! A receiver of OpenTelemetry that nobody here wrote: the Aspire dashboard, as people use it. The
//! spans that it was sent are read back from it as OTLP in JSON. Metrics it only shows on its page,
//! and a browser reads them there.
//!
//! It is found as `otlp-dashboard PAGE-PORT GRPC-PORT HTTP-PORT` in `PATH`. Where it is not, or
//! where the browser is not, the test says so and tries nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longshore_testkit::program::Program;
use longshore_testkit::{guest, sample, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const DASHBOARD: &str = "otlp-dashboard";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The dashboard, which ends with the test.
struct Dashboard {
    child: Child,
    page: u16,
    grpc: u16,
    http: u16,
}

impl Dashboard {
    fn start() -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (page, grpc, http) = (free(), free(), free());
        let mut command = Command::new(DASHBOARD);
        command.args([page, grpc, http].map(|it| it.to_string()));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let dashboard = Self { child, page, grpc, http };
        wait::until("the dashboard", || dashboard.get("resources").map(drop));
        dashboard
    }

    /// What it tells of the telemetry that it has; `None` until it answers.
    fn get(&self, what: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.page)).ok()?;
        let host = format!("host: 127.0.0.1:{}\r\nconnection: close\r\n", self.page);
        write!(stream, "GET /api/telemetry/{what} HTTP/1.0\r\n{host}\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok().filter(|_| head.contains(" 200 "))
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Looks at what the page shows of each metric of a service that handled one message, where there
/// is a browser.
fn look_at_metrics(dashboard: &Dashboard, service: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let is_there = ["node", "chromium"].into_iter().all(is_installed);
    if !is_there || !tests.join("node_modules").is_dir() {
        eprintln!("the metrics were not looked at: there is no browser; `make test-page` installs one");
        return;
    }
    let expected = json!({
        "longshore.breaker.state": ["1 while the circuit breaker is open, else 0."],
        "longshore.message.age": ["Age of messages when their handler starts.", "process", "orders", "file"],
        "longshore.messages": ["Messages by outcome and reason.", "1", "completed", "orders", "file"],
        "longshore.queue.depth": ["start", "end", "1"],
        "messaging.client.consumed.messages": ["Messages received.", "1", "receive"],
        "messaging.client.operation.duration": ["Time of receives, sends and settlements.", "settle"],
        "messaging.process.duration": ["Time in the handler.", "process", "orders", "file"],
    });
    let mut node = Command::new("node");
    node.arg(tests.join("metrics.js")).arg(format!("http://127.0.0.1:{}", dashboard.page)).arg(service);
    let output = node.arg(expected.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Handles a message that belongs to a trace, as this service, and exports to there.
fn handle(home: &Path, service: &str, endpoint: u16, protocol: &str) {
    let queue = format!("file:{}/{service}/orders", home.display());
    let program = |words: &[&str]| {
        let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), home);
        program.args(words).arg("--queue").arg(&queue);
        program
    };
    program(&["queue", "create"]).run().succeeded();
    let body = sample::order("o-1", "ok");
    program(&["send", &format!("--property=traceparent={PARENT}"), &body]).run().succeeded();
    let mut run = program(&["run", "--max-messages=1"]);
    run.arg("--component")
        .arg(guest::order())
        .env("OTEL_SERVICE_NAME", service)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
    run.env("LONGSHORE_CACHE_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
    let endpoint = format!("http://127.0.0.1:{endpoint}");
    let ended = run.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).run().succeeded();
    assert!(!ended.stderr.contains("telemetry was dropped"), "{ended:?}");
}

#[test]
fn a_receiver_that_nobody_here_wrote_has_the_spans_and_the_metrics_over_both_protocols() {
    if !is_installed(DASHBOARD) {
        eprintln!("not tried: there is no {DASHBOARD} in PATH");
        return;
    }
    let (dashboard, home) = (Dashboard::start(), tempfile::tempdir().unwrap());
    handle(home.path(), "over-grpc", dashboard.grpc, "grpc");
    handle(home.path(), "over-http", dashboard.http, "http/protobuf");
    for service in ["over-grpc", "over-http"] {
        let spans = wait::until(format_args!("the spans of {service}"), || {
            let told = dashboard.get(&format!("traces?resource={service}"))?.to_string();
            ["process orders", "receive orders", "\"run\""].iter().all(|it| told.contains(it)).then_some(told)
        });
        assert!(spans.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{spans}");
        assert!(dashboard.get("resources").unwrap().to_string().contains(service));
        look_at_metrics(&dashboard, service);
    }
}
