//! Handlers that mean harm, each beside one that does not, in the same process. None of them ends
//! the host, delays its neighbour by more than 200 ms, or takes more memory than its cap and 20 MB.
//! None reaches a message that is not its own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use longshore_handler::{Answer, Invocation, RetryReason, Verdict};
use longshore_sandbox::{Component, Grants, Sandbox, Settings};
use longshore_testkit::{guest, sample, wat};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// How much longer a neighbour may wait than alone.
const DELAY: Duration = Duration::from_millis(200);
/// What a guest may have, and what the host may need besides, in bytes.
const CAP: usize = (128 << 20) + 20_000_000;
/// The deadline of a handler that would never end.
const DEADLINE: Duration = Duration::from_millis(1500);

struct Harbour {
    runtime: Runtime,
    sandbox: Sandbox,
    rogue: Component,
    order: Component,
    /// Memory is the process's: one test at a time.
    alone: Mutex<()>,
}

fn harbour() -> &'static Harbour {
    static HARBOUR: OnceLock<Harbour> = OnceLock::new();
    HARBOUR.get_or_init(|| {
        let grants = Grants {
            config: vec![("greeting".into(), "hello".into())],
            http: vec!["localhost:1".parse().unwrap()],
            outbox: vec!["invoices".into()],
            ..Grants::default()
        };
        let sandbox = Sandbox::new(&Settings { concurrency: 4, grants, ..settings() }).unwrap();
        let load = |path| sandbox.load(&std::fs::read(path).unwrap()).unwrap();
        let (rogue, order) = (load(guest::rogue()), load(guest::order()));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Harbour { runtime, sandbox, rogue, order, alone: Mutex::default() }
    })
}

fn settings() -> Settings {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    Settings { cache: Some(cache), ..Settings::default() }
}

/// Hands a well-behaved handler a message, and says how long it took.
async fn neighbour(order: &Component) -> Duration {
    let message = sample::invocation("neighbour", r#"{"order_id": "o-1", "msg": "ok"}"#);
    let started = Instant::now();
    assert_eq!(order.invoke(message).await.verdict, Verdict::Completed);
    started.elapsed()
}

/// A line of `/proc/self/status`, in bytes.
fn memory(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|it| it.strip_prefix(line)).unwrap();
    value.trim_matches(|it: char| !it.is_ascii_digit()).parse::<usize>().unwrap() << 10
}

/// Hands a message to a hostile handler, and watches the host and the neighbour until it is over.
fn endure(component: &Component, body: &str) -> Answer {
    let Harbour { runtime, order, alone, .. } = harbour();
    let component = component.clone();
    let message = Invocation { deadline: DEADLINE, ..sample::invocation("hostile", body) };
    runtime.block_on(async {
        let _alone = alone.lock().await;
        // What a call takes on this machine at this moment, so that only what the hostile one adds
        // is measured.
        let mut usual = Duration::ZERO;
        for _ in 0..20 {
            usual = usual.max(neighbour(order).await);
        }
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = memory("VmRSS:");
        let hostile = tokio::spawn(async move { component.invoke(message).await });
        let mut slowest = Duration::ZERO;
        while !hostile.is_finished() {
            slowest = slowest.max(neighbour(order).await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let answer = hostile.await.unwrap();
        slowest = slowest.max(neighbour(order).await);
        assert!(slowest <= usual + DELAY, "a neighbour took {slowest:?}, and {usual:?} alone");
        let grown = memory("VmHWM:").saturating_sub(before);
        assert!(grown <= CAP, "the host grew by {grown} bytes for {:?}", answer.usage);
        assert!(answer.usage.peak_memory <= 128 << 20, "{:?}", answer.usage);
        answer
    })
}

#[track_caller]
fn assert_retry(answer: &Answer, expected: RetryReason, words: &str) {
    assert!(answer.outbox.is_empty(), "{answer:?}");
    match &answer.verdict {
        Verdict::Retry { reason, detail, .. } if *reason == expected && detail.contains(words) => {}
        other => panic!("expected {expected} with {words:?}, got {other:?}"),
    }
}

/// A handler of one function, as WebAssembly text.
fn small(globals: &str, code: &str) -> Component {
    // A compiler at work is memory, too.
    let _alone = harbour().alone.blocking_lock();
    harbour().sandbox.load(&wat::handler(globals, code)).unwrap()
}

fn rogue(body: &str) -> Answer {
    endure(&harbour().rogue, body)
}

macro_rules! hostile {
    ($($name:ident: $body:expr => $reason:ident, $words:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_retry(&rogue($body), RetryReason::$reason, $words);
        })*
    };
}

hostile! {
    an_endless_loop_runs_into_the_deadline: "spin" => Deadline, "no answer within 1s 500ms";
    an_endless_loop_of_host_calls_runs_into_the_deadline: "spin-in-host" => Deadline, "no answer";
    a_sleep_of_an_hour_runs_into_the_deadline: "sleep:3600" => Deadline, "no answer";
    a_log_without_end_runs_into_the_deadline: "lines-without-end" => Deadline, "no answer";
    allocation_without_end_runs_into_the_memory_limit: "allocate" => MemoryLimit, "128 MiB";
    a_recursion_without_end_runs_into_the_stack_limit: "recurse" => StackLimit, "512 KiB";
    a_panic_is_a_trap_in_the_handler_s_own_words: "panic" => Trap, ": as the message wishes";
    an_abort_is_a_trap: "abort" => Trap, "unreachable instruction executed";
    an_exit_with_0_is_a_trap: "exit:0" => Trap, "exit(0)";
    // Any other code is 1 when the host hears of it: WASI 0.2 tells only success and failure apart.
    an_exit_with_3_is_a_trap: "exit:3" => Trap, "exit(1)";
    a_result_of_100_megabytes_runs_into_the_call_limit: "reason:100000000" => CallLimit, "1024 KiB";
    a_result_that_is_not_utf_8_is_a_trap: "not-utf-8" => Trap, "utf-8";
    random_bytes_run_into_the_call_limit: "random:67108864" => CallLimit, "1024 KiB of random bytes in one call";
    empty_properties_run_into_the_outbox_limit: "empty-properties:8000" => OutboxLimit, "more than 1048576 bytes";
    a_million_handles_run_into_the_handle_limit: "handles:1000000" => HandleLimit, "1000 host resources";
    http_to_a_host_that_is_not_granted_is_refused: "get:https://elsewhere.invalid/" => Requested, "HttpRequestDenied";
    http_to_the_metadata_service_is_refused: "get:http://169.254.169.254/metadata/identity" => Requested, "HttpRequestDenied";
    http_to_a_granted_name_that_resolves_to_loopback_is_refused: "get:https://localhost:1/" => Requested, "DestinationIpProhibited";
    http_calls_without_end_run_into_their_limit: "flood:https://elsewhere.invalid/" => HttpLimit, "more than 50 HTTP requests";
    an_output_of_an_unknown_name_is_refused: "output:elsewhere" => UnknownOutput, "the outbox \"elsewhere\" is not granted, only invoices; grant it with `--outbox NAME=QUEUE-URL`";
    ten_thousand_outputs_run_into_the_outbox_limit: "outputs:10000" => OutboxLimit, "more than 100 messages";
    outputs_that_are_large_together_run_into_the_outbox_limit: "large-outputs" => OutboxLimit, "more than 1048576 bytes";
    an_output_of_a_handler_that_fails_is_not_sent: "output-then-fail" => Requested, "after all";
    an_output_of_a_handler_that_traps_is_not_sent: "output-then-trap" => Trap, "after all";
}

#[test]
fn table_growth_runs_into_the_table_limit() {
    let code = "(loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable";
    assert_retry(
        &endure(&small("(table 1 funcref)", code), ""),
        RetryReason::TableLimit,
        "20000 table elements",
    );
}

#[test]
fn calls_without_end_run_into_the_stack_limit() {
    let deep = "(func $deep (result i64) (i64.add (call $deep) (i64.const 1)))";
    assert_retry(
        &endure(&small(deep, "(drop (call $deep)) unreachable"), ""),
        RetryReason::StackLimit,
        "512 KiB",
    );
}

#[test]
fn an_endless_start_runs_into_the_deadline_and_one_that_fills_memory_into_that_limit() {
    for (code, reason) in [
        ("(loop $l (br $l))", RetryReason::Deadline),
        (
            "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
            RetryReason::MemoryLimit,
        ),
    ] {
        let start = format!(
            "(core module $s (memory 1) (func $f {code}) (start $f)) (core instance (instantiate $s))"
        );
        let component = {
            let _alone = harbour().alone.blocking_lock();
            harbour().sandbox.load(&wat::handler_beside(&start, "", "")).unwrap()
        };
        assert_retry(&endure(&component, ""), reason, "");
    }
}

#[test]
fn a_result_that_claims_to_have_a_gigabyte_is_a_trap() {
    let code = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 1))
        (i32.store (i32.const 1040) (i32.const 0)) (i32.store (i32.const 1044) (i32.const 0x40000000))
        (return (i32.const 1024))";
    assert_retry(&endure(&small("", code), ""), RetryReason::Trap, "");
}

/// What is said of a request never sent, and of headers never used, is the host's memory.
#[test]
fn what_wasi_http_keeps_for_a_guest_is_capped_and_counts_as_its_memory() {
    // A busy machine may need more than the deadline once.
    let in_time =
        |answer: &Answer| !matches!(answer.verdict, Verdict::Retry { reason: RetryReason::Deadline, .. });
    let rejected = |body: &str| {
        let answer = (0..4).map(|_| rogue(body)).find(in_time).unwrap_or_else(|| rogue(body));
        match answer {
            Answer { verdict: Verdict::Reject { detail }, usage, .. } => (detail, usage.peak_memory),
            other => panic!("{other:?}"),
        }
    };
    // Method and authority of a megabyte, and a path.
    assert_eq!(rejected("hoard:1000000").0, "0 taken");
    // The longest that pass: 64, 320 and 8192 bytes, of which a slash is one.
    assert_eq!(rejected("hoard:65").0, "600 taken");
    assert_eq!(rejected("hoard:321").0, "300 taken");
    assert_eq!(rejected("hoard:8192").0, "0 taken");
    let (said, peak) = rejected("hoard:64");
    assert_eq!(said, "900 taken");
    // 150 fields, a body's two chunks, and the names.
    assert!(peak > 300 * (150 * 256 + (32 << 10) + 64), "{peak} bytes");
    let (said, peak) = rejected("copy-fields:900");
    assert!(said == "900 copies" && peak > 900 * 14 * 1256, "{said}, {peak} bytes");
}

#[test]
fn what_the_host_keeps_for_a_guest_runs_into_its_memory_limit() {
    let limits = longshore_sandbox::Limits { memory: 8 << 20, ..Default::default() };
    let grants = Grants {
        config: vec![("greeting".into(), "hello".into())],
        outbox: vec!["invoices".into()],
        ..Grants::default()
    };
    let small = Sandbox::new(&Settings { concurrency: 1, limits, grants, ..settings() }).unwrap();
    let component = small.load(&std::fs::read(guest::rogue()).unwrap()).unwrap();
    for body in ["hoard:64", "copy-fields:900"] {
        assert_retry(&endure(&component, body), RetryReason::MemoryLimit, "8 MiB");
    }
}

#[test]
fn contexts_of_a_megabyte_do_not_grow_the_host() {
    let answer = rogue("contexts:2000");
    assert!(
        matches!(answer.verdict, Verdict::Completed | Verdict::Retry { reason: RetryReason::Deadline, .. }),
        "{answer:?}"
    );
}

#[test]
fn a_hundred_megabytes_of_output_neither_grow_the_host_nor_delay_a_neighbour() {
    let answer = rogue("prints:10000");
    assert!(
        matches!(answer.verdict, Verdict::Completed | Verdict::Retry { reason: RetryReason::Deadline, .. }),
        "{answer:?}"
    );
}

macro_rules! out_of_reach {
    ($($name:ident: $what:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!(rogue($what).verdict, Verdict::Completed);
        })*
    };
}

out_of_reach! {
    files_are_out_of_reach: "reach:files";
    the_host_s_environment_is_out_of_reach: "reach:environment";
    sockets_are_out_of_reach: "reach:sockets";
    names_are_out_of_reach: "reach:names";
}

#[test]
fn http_to_the_metadata_service_through_a_redirect_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let redirecting = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).unwrap() > 0);
        let to = "http://169.254.169.254/metadata/identity";
        write!(stream, "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let grants = Grants {
        config: vec![("greeting".into(), "hello".into())],
        http: vec![host.parse().unwrap()],
        private: vec!["127.0.0.1".parse().unwrap()],
        outbox: vec!["invoices".into()],
        ..Grants::default()
    };
    let sandbox = Sandbox::new(&Settings { concurrency: 1, grants, ..settings() }).unwrap();
    let component = sandbox.load(&std::fs::read(guest::rogue()).unwrap()).unwrap();
    let answer = endure(&component, &format!("follow:{host}/"));
    assert_retry(&answer, RetryReason::Requested, "HttpRequestDenied");
    redirecting.join().unwrap();
}

#[test]
fn nothing_is_left_for_the_next_message() {
    for _ in 0..3 {
        assert_eq!(rogue("count").verdict, Verdict::Reject { detail: "call 1".into() });
    }
}
