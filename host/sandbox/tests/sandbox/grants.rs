//! What a handler sees of what it was granted, what it may send, and instances that are made ahead
//! or used again.

use std::path::{Path, PathBuf};

use longshore_handler::{Answer, OutboxMessage, RetryReason, Verdict};
use longshore_sandbox::{Component, Cpu, Grants, LoadError, Sandbox, Settings, compile, describe};
use longshore_testkit::{guest, log, sample};

fn settings() -> Settings {
    log::collect();
    let grants = Grants {
        env: vec![("GRANTED".into(), "yes".into())],
        config: vec![("greeting".into(), "hello".into())],
        http: vec!["granted.invalid".parse().unwrap()],
        outbox: vec!["invoices".into(), "receipts".into()],
        ..Grants::default()
    };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    Settings { concurrency: 2, grants, cache: Some(cache), ..Settings::default() }
}

fn load(settings: &Settings, path: PathBuf) -> Component {
    Sandbox::new(settings).unwrap().load(&std::fs::read(path).unwrap()).unwrap()
}

async fn ask(component: &Component, body: &str) -> Answer {
    component.invoke(sample::invocation("granted", body)).await
}

#[tokio::test]
async fn a_handler_sees_what_was_granted_and_no_more() {
    let rogue = load(&settings(), guest::rogue());
    for (body, expected) in [
        ("config:greeting", r#"Some("hello")"#),
        ("config:GRANTED", "None"),
        ("env", r#"[("GRANTED", "yes")]"#),
    ] {
        assert_eq!(ask(&rogue, body).await.verdict, Verdict::Reject { detail: expected.into() }, "{body}");
    }
}

#[tokio::test]
async fn messages_for_other_queues_come_with_the_answer_in_their_order() {
    let rogue = load(&settings(), guest::rogue());
    let message = |output: &str, body: &[u8], properties: &[(&str, &str)]| OutboxMessage {
        output: output.into(),
        body: body.to_vec().into(),
        properties: properties.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    };
    let answer = ask(&rogue, "outputs:2").await;
    assert_eq!(answer.verdict, Verdict::Completed);
    assert_eq!(answer.outbox, [message("invoices", b"0", &[]), message("invoices", b"1", &[])]);
    let answer = ask(&rogue, "output-and-properties").await;
    assert_eq!(answer.outbox, [message("invoices", &[0xff, 0], &[("tenant", "blue")])]);
    assert_eq!(ask(&rogue, "output:receipts").await.outbox.len(), 1);
    for failing in ["output-then-fail", "output-then-trap", "output:elsewhere"] {
        assert!(ask(&rogue, failing).await.outbox.is_empty(), "{failing}");
    }
}

#[test]
fn what_is_needed_and_not_granted_is_refused_at_load_and_shown_before() {
    let bytes = std::fs::read(guest::rogue()).unwrap();
    let nothing = Settings { grants: Grants::default(), ..settings() };
    let refused = Sandbox::new(&nothing).unwrap().load(&bytes).map(drop).unwrap_err();
    let LoadError::NotGranted { needs } = refused else { panic!("{refused}") };
    let mut flags: Vec<_> = needs.iter().map(|(_, flag)| *flag).collect();
    flags.sort_unstable();
    assert_eq!(flags, ["--config KEY=VALUE", "--outbox NAME=QUEUE-URL"]);

    let shown = describe(&bytes, &settings().grants).unwrap();
    let grants: Vec<_> = shown.imports.iter().filter_map(|import| import.grant.as_ref()).collect();
    assert_eq!((grants.len(), grants.iter().filter(|grant| grant.granted).count()), (4, 4), "{grants:?}");
    // The example asks for nothing: what it does not use, it does not import.
    let order = describe(&std::fs::read(guest::order()).unwrap(), &Grants::default()).unwrap();
    assert!(order.imports.iter().filter_map(|import| import.grant.as_ref()).all(|grant| !grant.needed));
}

#[tokio::test]
async fn an_instance_is_used_as_often_as_allowed_and_never_after_a_failure() {
    let reused = |reuse| load(&Settings { reuse, ..settings() }, guest::rogue());
    let count = async |component: &Component| match ask(component, "count-and-complete").await {
        Answer { verdict: Verdict::Completed, outbox, .. } => {
            String::from_utf8(outbox[0].body.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let three = reused(3);
    for expected in ["1", "2", "3", "1", "2"] {
        assert_eq!(count(&three).await, expected);
    }
    ask(&three, "panic").await;
    assert_eq!(count(&three).await, "1");
    ask(&three, "output-then-fail").await;
    assert_eq!(count(&three).await, "1");
    let once = reused(1);
    assert_eq!((count(&once).await, count(&once).await), ("1".to_owned(), "1".to_owned()));
}

#[tokio::test]
async fn an_instance_that_fills_up_is_replaced_and_costs_no_message_an_attempt() {
    let rogue = load(&Settings { reuse: 1000, ..settings() }, guest::rogue());
    // Of 128 MiB: four fit, and no five; then two that do not fit beside each other; then handles.
    let bodies =
        std::iter::repeat_n("leak:30000000", 20).chain(["leak:70000000"; 6]).chain(["handles:400"; 6]);
    for (n, body) in bodies.enumerate() {
        let answer = rogue.invoke(sample::invocation(format!("leaks-{n}"), body)).await;
        assert_eq!(answer.verdict, Verdict::Completed, "{n}: {body}");
    }
    // What does not fit into an instance of its own is the message's.
    let answer = rogue.invoke(sample::invocation("leaks-too-much", "leak:140000000")).await;
    assert!(
        matches!(answer.verdict, Verdict::Retry { reason: RetryReason::MemoryLimit, .. }),
        "{:?}",
        answer.verdict
    );
}

#[tokio::test]
async fn a_reused_instance_logs_under_the_id_of_each_message() {
    let rogue = load(&Settings { reuse: 10, ..settings() }, guest::rogue());
    for id in ["reused-1", "reused-2"] {
        assert_eq!(rogue.invoke(sample::invocation(id, "pieces")).await.verdict, Verdict::Completed);
        assert_eq!(log::of(id).len(), 3, "{id}");
    }
}

#[tokio::test]
async fn a_precompiled_component_is_run_only_if_it_is_the_component_s_own() {
    let directory = tempfile::tempdir().unwrap();
    let (order, rogue) = (std::fs::read(guest::order()).unwrap(), std::fs::read(guest::rogue()).unwrap());
    let file = directory.path().join("order.aot");
    let cache = directory.path().join("cache");
    let settings = Settings { precompiled: Some(file.clone()), cache: Some(cache.clone()), ..settings() };
    let sandbox = Sandbox::new(&settings).unwrap();
    let compiled_anew = || walk(&cache) > 0;
    for cpu in [Cpu::Baseline, Cpu::Native] {
        std::fs::write(&file, compile(&order, None, cpu).unwrap()).unwrap();
        let component = sandbox.load(&order).unwrap();
        let verdict = ask(&component, r#"{"order_id": "o-1", "msg": "ok"}"#).await.verdict;
        assert_eq!(verdict, Verdict::Completed, "{cpu:?}");
        assert!(!compiled_anew(), "{cpu:?}");
    }
    // Anything else is compiled: another component, and a file that is damaged.
    let component = sandbox.load(&rogue).unwrap();
    assert!(compiled_anew());
    assert_eq!(ask(&component, "count").await.verdict, Verdict::Reject { detail: "call 1".into() });
    std::fs::write(&file, "not an artifact").unwrap();
    assert!(sandbox.load(&order).is_ok());
    assert!(compile(&order, Some("pdp11-unknown-none"), Cpu::Baseline).is_err());
    let other = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };
    let other = compile(&order, Some(&format!("{other}-unknown-linux-gnu")), Cpu::Baseline);
    if cfg!(feature = "all-targets") {
        // Written, and not run here: the component is compiled instead.
        std::fs::write(&file, other.unwrap()).unwrap();
        assert!(sandbox.load(&order).is_ok());
    } else {
        assert!(other.unwrap_err().to_string().contains("--features all-targets"));
    }
    assert!(compile(b"no component", None, Cpu::Baseline).is_err());
}

/// How many files are below a directory.
fn walk(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}
