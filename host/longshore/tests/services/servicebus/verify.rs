//! What `make verify-servicebus` does, done here: its script, with a login, on a broker that its
//! tests did not start.

use std::process::{Command, Stdio};

use crate::servicebus::broker::{installed, secure};
use crate::servicebus::entity::{VERIFY, named};
use crate::servicebus::host::Host;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};

/// The script, with these tests in place of those that it would build.
fn script(arguments: &[&str]) -> Command {
    let mut script = Command::new(installed("verify.sh"));
    script.args(arguments).env("VERIFY_TESTS", std::env::current_exe().unwrap()).stdin(Stdio::null());
    script
}

#[test]
fn the_script_asks_an_entity_for_every_promise_with_a_login_and_leaves_it_empty() {
    assert_eq!(
        named(),
        None,
        "{VERIFY} is set by `make verify-servicebus`, which runs the tests in `entity` only"
    );
    let identity = Identity::start(Mood::Tokens(3600));
    let (port, authority) = secure().tls.as_ref().unwrap();
    let verify = &|name: &str| {
        script(&[&format!("sb://127.0.0.1:{port}/{name}")])
            .envs([("IDENTITY_ENDPOINT", identity.url.as_str()), ("IDENTITY_HEADER", HEADER)])
            .envs([("AZURE_CLIENT_ID", CLIENT_ID), ("NO_PROXY", "127.0.0.1")])
            .env("SSL_CERT_FILE", authority)
            .output()
            .unwrap()
    };
    let (name, with_sessions) = (secure().queue(3, 10), secure().session_queue(3, 10));
    // The script finds out which of them requires sessions.
    std::thread::scope(|scope| {
        for (name, left_out) in [(&name, 2), (&with_sessions, 0)] {
            scope.spawn(move || {
                let ran = verify(name);
                let (said, log) =
                    (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
                assert!(ran.status.success(), "{said}{log}");
                let asked = said.lines().filter(|line| line.starts_with("test servicebus::entity::")).count();
                assert!(asked >= 8, "{said}");
                assert_eq!(log.matches("does not require sessions").count(), left_out, "{log}");
            });
        }
    });

    // What somebody has there is nobody's to delete.
    let host = Host {
        url: format!("{};EntityPath={name}", secure().connection_string()),
        ..Host::new(secure(), 30)
    };
    host.send(&["ok"]);
    let refused = verify(&name);
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(!refused.status.success() && said.contains("is not empty"), "{said}");
    assert_eq!(host.json(&["peek"])["dequeue_count"], 0);
}

#[test]
fn the_script_takes_an_entity_and_no_key() {
    for wrong in [
        &[][..],
        &[""],
        &["https://account.queue.core.windows.net/orders"],
        &["Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccessKey=b;EntityPath=c"],
        &["sb://ns.servicebus.windows.net/"],
    ] {
        let refused = script(wrong).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            refused.status.code() == Some(2) && said.contains("usage: make verify-servicebus"),
            "{wrong:?}: {said}"
        );
    }
}
