//! Handlers that were not written for this version of the host: for wasmCloud, and against the
//! first version of the contract (`conformance.rs` has more of the latter).

use std::path::Path;
use std::time::Duration;

use longshore_handler::{Invocation, RetryReason, Verdict};
use longshore_sandbox::{Component, Grants, Sandbox, Settings, describe};
use longshore_testkit::{guest, log, sample};

fn load(bytes: &[u8]) -> Result<Component, String> {
    log::collect();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let sandbox =
        Sandbox::new(&Settings { concurrency: 1, cache: Some(cache), ..Settings::default() }).unwrap();
    sandbox.load(bytes).map_err(|error| error.to_string())
}

fn message(id: &str, body: &str) -> Invocation {
    Invocation {
        dequeue_count: 2,
        deadline: Duration::from_secs(60),
        properties: vec![("unseen".into(), "property".into())],
        ..sample::invocation(id, body)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_for_wasmcloud_runs_unchanged() {
    let bytes = std::fs::read(guest::wasmcloud()).unwrap();
    let description = describe(&bytes, &Grants::default()).unwrap();
    assert!(description.handler, "{description:?}");
    let world = ("wasmcloud:messaging/message-handler".to_owned(), "0.2.0".to_owned());
    assert_eq!(description.world(), world);

    let component = load(&bytes).unwrap();
    assert_eq!(component.invoke(message("w-1", "hello")).await.verdict, Verdict::Completed);
    let lines: Vec<_> = log::of("w-1").into_iter().map(|line| line.text).collect();
    assert_eq!(lines, ["orders: 5 bytes, reply to None"], "the subject is the queue");
    let failed = component.invoke(message("w-2", "fail")).await.verdict;
    let (reason, detail) = (RetryReason::Requested, "orders is told to fail".to_owned());
    assert_eq!(failed, Verdict::Retry { reason, detail, after: None }, "an error is a retry");
    let trapped = component.invoke(message("w-3", "trap")).await.verdict;
    assert!(matches!(trapped, Verdict::Retry { reason: RetryReason::Trap, .. }), "{trapped:?}");
}

#[test]
fn a_handler_for_wasmcloud_that_sends_is_refused_by_what_it_imports() {
    let component = wat::parse_str(
        r#"(component
            (import "wasmcloud:messaging/consumer@0.2.0" (instance (export "publish" (func))))
            (instance $handler) (export "wasmcloud:messaging/handler@0.2.0" (instance $handler)))"#,
    );
    let error = load(&component.unwrap()).unwrap_err();
    assert!(error.contains("needs wasmcloud:messaging/consumer@0.2.0"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_of_the_first_version_of_the_contract_runs_on_this_host() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/contracts/handler-0.1.0.wasm");
    let component = load(&std::fs::read(path).unwrap()).unwrap();
    let order = r#"{"order_id": "o-1", "msg": "retry-until:2"}"#;
    assert_eq!(component.invoke(message("v-1", order)).await.verdict, Verdict::Completed);
}
