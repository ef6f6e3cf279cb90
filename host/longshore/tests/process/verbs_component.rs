//! `invoke` and `inspect`: a component without a queue.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::orders::order;
use crate::process::{Ended, cache, longshore, run};
use longshore_testkit::guest;

fn invoke(arguments: &[&str]) -> Ended {
    let mut command = longshore(["invoke", "--output=json", "--component"]);
    command.arg(guest::order()).arg("--cache-dir").arg(cache()).args(arguments);
    run(&mut command).never_panicked()
}

#[test]
fn an_invocation_says_what_became_of_it() {
    for (msg, flags, code, outcome, reason, detail) in [
        ("ok", &[][..], 0, "completed", Value::Null, ""),
        ("reject", &[], 1, "rejected", Value::Null, "the order asks for a rejection"),
        ("retry", &[], 1, "retry", "retry".into(), "the order asks for a retry"),
        ("retry-until:2", &["--dequeue-count=2"], 0, "completed", Value::Null, ""),
        ("trap", &[], 1, "retry", "trap".into(), "the order asks for a trap"),
        ("spin", &["--deadline=200ms"], 1, "retry", "deadline".into(), "no answer within 200ms"),
        ("alloc", &["--memory=16"], 1, "retry", "memory-limit".into(), ""),
    ] {
        let body = order("o-1", msg);
        let ended = invoke(&[flags, &[&body]].concat());
        let said = ended.json();
        assert_eq!(
            (ended.code(), &said["outcome"], &said["reason"]),
            (code, &outcome.into(), &reason),
            "{ended:?}"
        );
        let explained = [said["detail"].as_str().unwrap_or_default(), &ended.stderr].concat();
        assert!(explained.contains(detail), "{msg}: {ended:?}");
        assert!(said["duration_ms"].as_f64().unwrap() > 0.0);
    }
    let said = invoke(&[&order("o-1", "retry-after:1500")]).json();
    assert_eq!(said["after_ms"], 1500);
    assert_eq!(invoke(&["{\"msg\":\"ok\"}"]).json()["detail"], "order_id: missing field");
}

#[test]
fn an_invocation_reads_its_body_from_a_file_or_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body.json");
    std::fs::write(&file, order("o-file", "ok")).unwrap();
    let ended = invoke(&["--id=m-7", "--file", file.to_str().unwrap()]);
    assert_eq!(ended.code(), 0);
    assert!(ended.stderr.contains("handled order o-file") && ended.stderr.contains("\"m-7\""), "{ended:?}");
    let component = guest::order();
    let arguments =
        ["invoke", "--component", component.to_str().unwrap(), "--cache-dir", cache().to_str().unwrap(), "-"];
    let ended = longshore(arguments).input(order("o-stdin", "ok").as_bytes()).run().succeeded();
    assert!(
        ended.stderr.contains("handled order o-stdin") && ended.stdout.contains("completed"),
        "{ended:?}"
    );
}

#[test]
fn an_invocation_of_what_is_no_handler_names_the_cause() {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("core.wasm");
    std::fs::write(&module, wat::parse_str("(module)").unwrap()).unwrap();
    let ended =
        run(longshore(["invoke", "--output=json", "{}", "--component"]).arg(&module)).never_panicked();
    assert_eq!((ended.code(), &ended.json()["reason"]), (3, &"component-unavailable".into()));
    assert!(ended.json()["detail"].as_str().unwrap().contains("a core module"), "{ended:?}");
    let ended = run(longshore(["inspect", "--output=json"]).arg(&module)).never_panicked();
    assert_eq!(ended.code(), 3);
    assert!(ended.stderr.contains("a core module"), "{ended:?}");
}

#[test]
fn an_inspection_lists_what_a_component_imports_and_exports() {
    let ended = run(longshore(["inspect", "--output=json"]).arg(guest::order())).succeeded();
    let found = ended.json();
    let keys: BTreeSet<_> = found.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["component", "digest", "exports", "handler", "imports", "size"].into());
    assert_eq!(found["handler"], true);
    assert_eq!(found["size"], std::fs::metadata(guest::order()).unwrap().len());
    assert!(found["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(found["exports"].as_array().unwrap().contains(&"longshore:handler/handler@0.1.0".into()));
    let imports = found["imports"].as_array().unwrap();
    assert!(imports.iter().all(|import| import["offered"] == true), "{imports:?}");
    assert!(
        imports.iter().any(|import| import["name"].as_str().unwrap().starts_with("wasi:logging/logging"))
    );
    let table = run(longshore(["inspect"]).arg(guest::order())).succeeded();
    assert!(table.stdout.contains("wasi:logging/logging"), "{}", table.stdout);
}

#[test]
fn a_component_stands_before_the_body_or_behind_its_flag() {
    let component = guest::order();
    let component = component.to_str().unwrap();
    let body = order("o-1", "ok");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body.json");
    std::fs::write(&file, &body).unwrap();
    let file = file.to_str().unwrap();
    let start = |words: &[&str], variable: Option<&str>| {
        let mut program = longshore(["invoke", "--output=json", "--cache-dir"]);
        program.arg(cache()).args(words);
        if let Some(variable) = variable {
            program.env("LONGSHORE_COMPONENT", variable);
        }
        run(&mut program).never_panicked()
    };
    for (words, variable) in [
        (&[component, &*body][..], None),
        (&["--component", component, &body], None),
        (&[&body, "--component", component], None),
        (&[component, "--file", file], None),
        (&["--file", file, "--component", component], None),
        (&[&body], Some(component)),
        (&["--file", file], Some(component)),
        // The word beats the variable.
        (&[component, &body], Some("missing.wasm")),
    ] {
        assert_eq!(start(words, variable).succeeded().json()["outcome"], "completed", "{words:?}");
    }
    for (words, said) in [
        (&[][..], "no body was given"),
        (&[&*body], "no component is named"),
        (&["--file", file], "no component is named"),
        (&[component, &body, "--file", file], "a body besides that of --file"),
        (&["--component", component], "no body was given"),
        (&[component, &body, "more"], "unexpected argument"),
    ] {
        start(words, None).ends_with(2).says(&[said]);
    }
}

#[test]
fn an_inspection_shows_hosts_and_fails_where_a_needed_grant_is_missing() {
    let inspect =
        |flags: &[&str]| run(longshore(["inspect"]).arg(guest::rogue()).args(flags)).never_panicked();
    let missing = inspect(&["--output=json"]);
    assert_eq!(missing.code(), 3, "{missing:?}");
    assert_eq!(missing.json()["handler"], true, "what was found is printed all the same");
    let needed: Vec<_> = missing.json()["imports"].as_array().unwrap().clone();
    let needed = needed.iter().filter(|it| it["grant"]["needed"] == true && it["grant"]["granted"] == false);
    assert!(needed.count() > 0);
    missing.says(&["cannot be run with these grants", "grant it with `--"]);

    let granted = ["--config=greeting=hello", "--outbox=invoices=file:./q/invoices"];
    let reach =
        ["--allow-http=api.example.com", "--allow-http=http://127.0.0.1:9090", "--allow-private=10.0.0.0/8"];
    let found = inspect(&[&granted[..], &reach, &["--output=json"]].concat()).succeeded().json();
    assert_eq!(found["allow_http"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found["allow_private"], serde_json::json!(["10.0.0.0/8"]));
    let table = inspect(&[&granted[..], &reach].concat()).succeeded().stdout;
    for host in ["api.example.com", "127.0.0.1:9090", "10.0.0.0/8"] {
        assert!(table.contains(host), "{host}: {table}");
    }
}
