//! One table of messages (`guest/conformance.json`) through every example handler: what becomes of
//! a message does not depend on the language. `make conformance COMPONENT=…` puts any component
//! through it, `TABLE=…` through another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use longshore_handler::{Answer, Invocation, SessionChange, SessionState, Verdict};
use longshore_sandbox::{Component, Grants, Sandbox, Settings, describe};
use longshore_testkit::{guest, sample};
use serde::Deserialize;

/// One message, and what has to become of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    body: Option<String>,
    body_base64: Option<String>,
    #[serde(default = "once")]
    dequeue_count: u32,
    #[serde(default = "ample")]
    deadline_ms: u64,
    /// `completed`, `retry` or `rejected`.
    outcome: String,
    /// Of a retry: its reason.
    reason: Option<String>,
    /// Of a retry: the delay that was asked for; `None`: none.
    after_ms: Option<u64>,
    /// What the cause begins with; the rest is each language's own.
    detail: Option<String>,
    /// The state of the message's session: `null` where nobody has set one. Without this field the
    /// message belongs to no session.
    #[serde(default, deserialize_with = "present")]
    session_state: Option<Option<String>>,
    /// What the handler makes of it: `null` where it clears it. Without this field it leaves it as
    /// it is.
    #[serde(default, deserialize_with = "present")]
    new_state: Option<Option<String>>,
}

/// A field that is there, `null` or not.
fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

fn once() -> u32 {
    1
}

fn ample() -> u64 {
    20_000
}

impl Case {
    /// What the handler sees: a text as the host decodes it from a queue, and bytes as they are.
    fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_base64) {
            (Some(text), None) => sample::decoded(text).into(),
            (None, Some(base64)) => STANDARD.decode(base64).unwrap(),
            _ => panic!("a case has a body or a body_base64"),
        }
    }

    /// The state of the message's session, as the handler finds it.
    fn session(&self) -> SessionState {
        match &self.session_state {
            None => SessionState::NoSession,
            Some(None) => SessionState::Empty,
            Some(Some(text)) => SessionState::Set(text.clone().into()),
        }
    }

    /// Whether it is about the state of a session.
    fn is_about_session(&self) -> bool {
        let wishes = ["append", "forget", "expect", "fill"];
        self.body.as_ref().is_some_and(|body| wishes.iter().any(|wish| body.contains(&format!("\"{wish}"))))
    }

    /// What is wrong with an answer, if anything is.
    fn differs(&self, Answer { verdict, session, .. }: &Answer) -> Option<String> {
        let expected = match &self.new_state {
            None => SessionChange::Unchanged,
            Some(None) => SessionChange::Cleared,
            Some(Some(text)) => SessionChange::Set(text.clone().into()),
        };
        if *session != expected {
            return Some(format!(
                "expected a session state that is {expected:?}, got {session:?} {verdict:?}"
            ));
        }
        let (outcome, reason, after_ms, detail) = match verdict {
            Verdict::Completed => ("completed", None, None, ""),
            Verdict::Reject { detail } => ("rejected", None, None, detail.as_str()),
            Verdict::Retry { reason, detail, after } => {
                let after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap());
                ("retry", Some(reason.as_str()), after_ms, detail.as_str())
            }
        };
        let same = outcome == self.outcome
            && reason == self.reason.as_deref()
            && after_ms == self.after_ms
            && self.detail.as_deref().is_none_or(|expected| detail.starts_with(expected));
        let expected = [Some(self.outcome.as_str()), self.reason.as_deref(), self.detail.as_deref()];
        let expected: Vec<_> = expected.into_iter().flatten().collect();
        (!same).then(|| format!("expected {} {:?}, got {verdict:?}", expected.join(", "), self.after_ms))
    }
}

async fn handle(component: &Component, case: &Case) -> Answer {
    let invocation = Invocation {
        dequeue_count: case.dequeue_count,
        inserted: Timestamp::now(),
        deadline: Duration::from_millis(case.deadline_ms),
        session: case.session(),
        ..sample::invocation("conformance", case.body())
    };
    component.invoke(invocation).await
}

/// The components that `make conformance COMPONENT=…` names.
fn named() -> Option<Vec<PathBuf>> {
    let named = std::env::var_os("LONGSHORE_CONFORMANCE").filter(|named| !named.is_empty())?;
    Some(std::env::split_paths(&named).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_and_the_oldest_handler_keep_to_the_table() {
    // As it was built against the first version of the contract: it stays as it is.
    let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/contracts/handler-0.1.0.wasm");
    all_keep_to_the_table(&named().unwrap_or_else(|| vec![guest::order(), first])).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python and Node.js: make test-services"]
async fn handlers_in_python_and_javascript_keep_to_the_table() {
    all_keep_to_the_table(&[guest::python(), guest::javascript()]).await;
}

/// Hands each message of the table to each component.
async fn all_keep_to_the_table(components: &[PathBuf]) {
    let own = longshore_testkit::root().join("guest/conformance.json");
    let table = std::env::var_os("LONGSHORE_CONFORMANCE_TABLE").filter(|named| !named.is_empty());
    let table = table.map_or(own, PathBuf::from);
    let table: Vec<Case> = serde_json::from_slice(&std::fs::read(&table).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", table.display()));
    // Compiling a component of a scripting language takes half a minute: the result is kept for the
    // next time.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let sandbox =
        Sandbox::new(&Settings { concurrency: 1, cache: Some(cache), ..Settings::default() }).unwrap();
    let mut wrong = Vec::new();
    for path in components {
        let (sandbox, bytes) = (sandbox.clone(), std::fs::read(path).unwrap());
        let imports = describe(&bytes, &Grants::default()).unwrap().imports;
        let has_sessions = imports.iter().any(|it| it.name.starts_with("longshore:handler/session@"));
        let loaded = tokio::task::spawn_blocking(move || sandbox.load(&bytes)).await.unwrap();
        let component = loaded.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let before = wrong.len();
        // A handler that was built before there were sessions, or without them, knows no such wish.
        let table = || table.iter().filter(|case| has_sessions || !case.is_about_session());
        for case in table() {
            let answer = handle(&component, case).await;
            if let Some(difference) = case.differs(&answer) {
                let body = case.body();
                wrong.push(format!("{}: {}: {difference}", path.display(), String::from_utf8_lossy(&body)));
            }
        }
        println!(
            "{}: {} of {} messages as expected",
            path.display(),
            table().count() + before - wrong.len(),
            table().count()
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
