//! The page of `longshore dev`, by raw requests: what its buttons do, and what it takes.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::directory::{Directory, ORDERS, POISON, now_ms};
use crate::orders::order;
use crate::page::{Page, page, page_of};
use crate::process::{cache, longshore};
use crate::project_folder::ProjectFolder;
use crate::terminal::{on_a_terminal, on_a_terminal_after};
use longshore_dev::{ExecutionRecord, ExecutionState, History, MessageAttempt};
use longshore_testkit::guest;
use longshore_testkit::wait::until;

#[test]
fn an_execution_that_is_killed_fails_and_the_next_poll_starts_another() {
    let directory = Directory::new();
    directory.send([order("o-1", "sleep:600000")]);
    let page = page(&directory, &["--deadline=10m", "--visibility=20s"]);
    let cookie = page.sign_in();
    let running = |page: &Page| {
        let shown = page.get(&cookie, "/").body;
        let form =
            shown.split("action=\"/execution/kill\"><input type=\"hidden\" name=\"name\" value=\"").nth(1)?;
        form.split('"').next().map(str::to_owned)
    };
    let first = until("an execution", || running(&page));
    until("its lease", || directory.rows(ORDERS).iter().all(|it| it.dequeue_count == 1).then_some(()));
    let answer = page.post(&cookie, "/execution/kill", &format!("name={first}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let shown = until("its end", || {
        let shown = page.get(&cookie, &format!("/execution?name={first}")).body;
        shown.contains("failed").then_some(shown)
    });
    assert!(shown.contains("signal 9"), "{shown}");
    let next = until("another execution", || running(&page).filter(|it| *it != first));
    assert_ne!(first, next);
    let gone = page.post(&cookie, "/execution/kill", "name=orders-nothing");
    assert!(gone.status == 422 && gone.body.contains("is no execution in the history"), "{}", gone.body);
    let ended = page.post(&cookie, "/execution/kill", &format!("name={first}"));
    assert!(ended.status == 422 && ended.body.contains("has ended already"), "{}", ended.body);
}

#[test]
fn an_execution_that_has_not_started_is_not_killed_at_its_start() {
    let directory = Directory::new();
    directory.send([order("o-1", "ok")]);
    let page = page(&directory, &["--start-delay=1h"]);
    let cookie = page.sign_in();
    let name = until("an execution", || {
        let shown = page.get(&cookie, "/").body;
        Some(shown.split("id=\"row-").nth(1)?.split('"').next()?.to_owned())
    });
    let refused = page.post(&cookie, "/execution/kill", &format!("name={name}"));
    assert!(refused.status == 422 && refused.body.contains("is still starting"), "{}", refused.body);
}

#[test]
fn the_page_is_there_while_the_handler_is_built_for_the_first_time() {
    let project = ProjectFolder::with(
        "queue = 'file:./queues/orders'\ncomponent = 'handler.wasm'\n[build]\n\
         command = 'while test ! -e go; do sleep 0.1; done; echo no such crate; exit 7'\n",
    );
    let page = page_of(project.longshore(&["dev", "--output=json"]).arg("--cache-dir").arg(cache()));
    let cookie = page.sign_in();
    let shown = |words: &str| page.get(&cookie, "/").body.contains(words).then_some(());
    until("the build", || shown("The handler is being built"));
    std::fs::write(project.path("go"), "").unwrap();
    until("its failure", || shown("no such crate"));
}

#[test]
fn a_page_without_a_job_says_so_and_states_no_numbers_of_executions() {
    let directory = Directory::new();
    let page = page_of(&mut longshore(["ui", "--output=json", "--queue", &directory.url(ORDERS)]));
    let cookie = page.sign_in();
    let shown = until("the counts", || {
        let shown = page.get(&cookie, "/").body;
        shown.contains("<dt>waiting</dt><dd class=\"figure-value\">0</dd>").then_some(shown)
    });
    for name in ["running", "failed"] {
        let unknown = format!(
            "<dt>{name}</dt><dd class=\"figure-value\">\u{2013}</dd><dd class=\"figure-words\">no job named"
        );
        assert!(shown.contains(&unknown), "{name}: {shown}");
    }
    assert!(shown.contains("No job was named"), "{shown}");
    for nothing in ["<dt>completed", "What Azure would charge", "id=\"messages\"", "id=\"trouble\""] {
        assert!(!shown.contains(nothing), "{nothing} is in {shown}");
    }
}

#[test]
fn a_replay_that_is_refused_is_not_called_one_that_was_done() {
    let directory = Directory::new();
    directory.send([order("o-1", "reject")]);
    let page = page(&directory, &["--max-dequeue=1"]);
    let cookie = page.sign_in();
    until("the poison", || (directory.rows(POISON).len() == 1).then_some(()));
    let refused = page.post(&cookie, "/poison/replay", "id=nothing");
    assert!(refused.status == 422 && !refused.body.contains("Replayed"), "{}", refused.body);
    let id = directory.rows(POISON)[0].id.clone();
    let done = page.post(&cookie, "/poison/replay", &format!("id={id}"));
    assert!(
        done.status == 200 && done.body.contains("Replayed") && done.body.contains("answer: rejected, "),
        "{}",
        done.body
    );
}

/// 10,000 messages and 500 executions: what the page takes, and what `dev` takes.
#[test]
fn a_long_history_is_shown_at_once_and_in_little_memory() {
    let directory = Directory::new();
    let (history, _) = History::open(&directory.path("orders.dev.db")).unwrap();
    let log = "{\"timestamp\":\"2026-11-26T12:00:00.250Z\",\"level\":\"INFO\",\"message_id\":\"o-1\",\"outcome\":\"completed\"}\n";
    for number in 0..500 {
        history.put(&ExecutionRecord {
            execution: format!("orders-{number:07}"),
            state: if number % 7 == 0 { ExecutionState::Failed } else { ExecutionState::Succeeded },
            created_ms: now_ms() - 500_000 + number * 1000,
            started_ms: Some(now_ms() - 499_000 + number * 1000),
            ended_ms: Some(now_ms() - 490_000 + number * 1000),
            exit_code: Some(0),
            signal: None,
            restarts: 0,
            cause: None,
            summary: Some(json!({ "received": 20, "completed": 19, "poisoned": 1 })),
            failures: Vec::new(),
            log: log.repeat(500),
        });
    }
    let attempt = |number: i64| MessageAttempt {
        message: format!("message-{number:06}"),
        execution: format!("orders-{:07}", number / 20),
        at_ms: now_ms() - 400_000 + number * 10,
        dequeue_count: 1,
        outcome: if number % 20 == 0 { "poisoned" } else { "completed" }.into(),
        reason: String::new(),
        detail: String::new(),
        took_ms: 5,
        trace: None,
    };
    history.put_attempts(&(0..10_000).map(attempt).collect::<Vec<_>>()).unwrap();
    drop(history);
    directory.create(POISON);
    (0..500).for_each(|n| directory.send_to(POISON, &format!("poison {n}")));
    let page = page(&directory, &["--max-executions=1"]);
    let cookie = page.sign_in();
    page.get(&cookie, "/");
    let mut took = Vec::new();
    for path in [
        "/",
        "/executions",
        "/messages",
        "/execution?name=orders-0000499",
        "/message?id=message-009980",
        "/poison",
    ] {
        let begun = Instant::now();
        let answer = page.get(&cookie, path);
        assert_eq!(answer.status, 200, "{path}");
        took.push((path, begun.elapsed(), answer.body.len()));
    }
    assert!(page.get(&cookie, "/").body.contains("9,500"), "the completed ones are counted");
    let _listener = page.listen(&cookie);
    std::thread::sleep(Duration::from_secs(3));
    let memory = page.dev.peak_memory().unwrap() >> 20;
    println!("page: {took:?}; dev has taken {memory} MiB at most");
    // A test's build is slow, and its machine busy: a release takes a tenth of it.
    assert!(took.iter().all(|(_, took, _)| *took < Duration::from_millis(1000)), "{took:?}");
    assert!(memory < 60, "{memory} MiB");
}

#[test]
fn the_browser_is_started_with_a_file_and_not_with_the_token() {
    let directory = Directory::new();
    let (url, component) = (directory.url(ORDERS), guest::order().display().to_string());
    let cache = cache().display().to_string();
    let words =
        ["dev", "--start-delay=1h", "--queue", &url, "--component", &component, "--cache-dir", &cache];
    // What a desktop has under this name, which keeps what it is given.
    let opener = directory.path("xdg-open");
    let kept = directory.path("opened");
    let script = format!(
        "#!/bin/sh\nls -l \"$1\" > {0}.new; echo \"$@\" >> {0}.new; cat \"$1\" >> {0}.new; mv {0}.new {0}\n",
        kept.display()
    );
    std::fs::write(&opener, script).unwrap();
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.path("").display(), std::env::var("PATH").unwrap());
    let shown = on_a_terminal_after(&words, &[("PATH", &path)], "o", || kept.exists(), "q");
    let opened = std::fs::read_to_string(&kept).unwrap_or_else(|error| panic!("{error}: {shown}"));
    let mut lines = opened.lines();
    assert!(lines.next().unwrap().starts_with("-rw-------"), "{opened}");
    let arguments = lines.next().unwrap();
    assert!(arguments.ends_with(".html") && !arguments.contains("#t="), "{arguments}");
    assert!(opened.contains("http-equiv=refresh") && opened.contains(".localhost:"), "{opened}");
    assert!(!std::path::Path::new(arguments).exists(), "it goes with the program");
}

#[test]
fn keys_of_a_terminal_send_a_sample_and_end() {
    let directory = Directory::new();
    let (url, component) = (directory.url(ORDERS), guest::order().display().to_string());
    let cache = cache().display().to_string();
    let words = ["dev", "--start-delay=1h", "--no-page", "--queue", &url, "--component", &component];
    let shown = on_a_terminal(&[&words[..], &["--cache-dir", &cache]].concat(), "srq");
    for words in
        ["the sample `order` was sent", "no poison message would be redriven", "s send a sample", "done"]
    {
        assert!(shown.contains(words), "`{words}` is not in {shown}");
    }
    let left = directory.rows(ORDERS);
    assert!(left.len() == 1 && left[0].body.starts_with(b"{\"order_id\""), "{left:?}");
}
