//! What `make verify-azure` does, done here: the tests of `account` with a login, on a server that
//! they did not start.

use std::process::{Command, Stdio};

use crate::storage::account::{VERIFY, named};
use crate::storage::azurite::{fresh, installed, secure};
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};

#[test]
fn the_tests_of_an_account_pass_with_a_login_and_leave_no_queue_behind() {
    assert_eq!(
        named(),
        None,
        "{VERIFY} is set by `make verify-azure`, which runs the tests in `account` only"
    );
    let identity = Identity::start(Mood::Tokens(3600));
    let (server, authority) = (secure(), secure().authority.as_ref().unwrap());
    let start = server.url(&fresh());
    let with_login = |command: &mut Command| {
        command
            .env(VERIFY, &start)
            .envs([("IDENTITY_ENDPOINT", identity.url.as_str()), ("IDENTITY_HEADER", HEADER)])
            .envs([("AZURE_CLIENT_ID", CLIENT_ID), ("NO_PROXY", "127.0.0.1")])
            .envs([("SSL_CERT_FILE", authority), ("REQUESTS_CA_BUNDLE", authority)])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let tests = with_login(Command::new(std::env::current_exe().unwrap()).arg("storage::account::"));
    let said = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success(), "{said}{}", String::from_utf8_lossy(&tests.stderr));
    assert!(said.lines().filter(|line| line.starts_with("test storage::account::")).count() > 20, "{said}");

    let mut clean = Command::new(installed(".venv/bin/python"));
    let cleaned = with_login(clean.arg(installed("python/clean.py")).arg(&start));
    let said = String::from_utf8_lossy(&cleaned.stdout);
    assert!(cleaned.status.success(), "{said}{}", String::from_utf8_lossy(&cleaned.stderr));
    assert!(said.lines().count() > 20, "the queues that were made: {said}");
    let again = with_login(clean.arg(&start));
    assert_eq!(String::from_utf8_lossy(&again.stdout), "", "and none is left");
}
