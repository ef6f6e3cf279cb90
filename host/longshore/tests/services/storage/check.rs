//! `longshore check`: what the identity may do, learnt without touching a message.

use std::sync::Arc;

use crate::storage::azurite::plain;
use crate::storage::host::Host;
use crate::storage::proxy::{Decide, Fate, Proxy};
use longshore_testkit::program::Ended;

/// What was found, by check.
pub fn found(ran: &Ended, check: &str) -> String {
    let line = ran.json_lines().into_iter().find(|line| line["check"] == check);
    line.unwrap_or_else(|| panic!("{check}: {ran:?}"))["result"].as_str().unwrap().to_owned()
}

pub const ALL: [&str; 6] =
    ["queue exists", "receive", "renew", "count", "poison queue exists", "send poison"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_told_with_the_permission_that_is_missing() {
    let direct = Host::signed();
    let forbidden = Fate::Answer("403 Forbidden", "x-ms-error-code: AuthorizationPermissionMismatch\r\n");
    let decide: Decide = Arc::new(move |method, _| match method {
        "PUT" | "GET" => forbidden.clone(),
        _ => Fate::Pass,
    });
    let proxy = Proxy::start(plain(), decide).await;
    let faulty = Host::at(proxy.url(&direct.url));
    let ran = tokio::task::spawn_blocking(move || faulty.start(&["check"])).await.unwrap();
    assert_eq!(
        ALL[..4].iter().map(|it| found(&ran, it)).collect::<Vec<_>>(),
        ["yes", "allowed", "denied", "denied"]
    );
    assert!(ran.stdout.contains("u (update)") && ran.stdout.contains("r (read)"), "{ran:?}");
}
