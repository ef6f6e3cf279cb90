//! The handler that the worker gets, while its component is not there, damaged, and there.

use longshore_component::{LoadedComponent, Source};
use longshore_handler::{Handler, RetryReason, Verdict};
use longshore_sandbox::{Sandbox, Settings};
use longshore_testkit::{guest, sample};

#[tokio::test]
async fn a_component_that_is_not_there_is_unavailable_until_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("order.wasm");
    let source: Source = path.to_str().unwrap().parse().unwrap();
    let settings = Settings { cache: Some(crate::process::cache().to_owned()), ..Settings::default() };
    let handler = LoadedComponent::load(Sandbox::new(&settings).unwrap(), source).await;
    let handle = async |id: &str| {
        let body = format!(r#"{{"order_id": "{id}", "msg": "ok"}}"#);
        handler.handle(sample::invocation(id, body)).await.verdict
    };
    let unavailable = |verdict: Verdict, words: &str| match verdict {
        Verdict::Retry { reason: RetryReason::ComponentUnavailable, detail, .. }
            if detail.contains(words) => {}
        other => panic!("expected {words:?}, got {other:?}"),
    };
    unavailable(handle("early").await, path.to_str().unwrap());
    assert_eq!(handler.digest(), None);
    assert!(handler.unavailable().unwrap().cause.contains("is the path right"));

    std::fs::write(&path, "not a component").unwrap();
    handler.reload().await.unwrap_err();
    unavailable(handle("damaged").await, "does not start with");
    assert!(handler.digest().is_some());

    std::fs::copy(guest::order(), &path).unwrap();
    handler.reload().await.unwrap();
    assert_eq!(handler.unavailable(), None);
    assert_eq!(handle("late").await, Verdict::Completed);
}
