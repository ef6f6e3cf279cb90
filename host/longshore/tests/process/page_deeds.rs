//! The page of `longshore dev`, by raw requests: what its buttons do, and what it takes.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::directory::{Directory, ORDERS, POISON, now_ms};
use crate::orders::order;
use crate::page::{Page, page, page_of};
use crate::process::{cache, longshore};
use crate::project_folder::ProjectFolder;
use longshore_dev::{ExecutionRecord, ExecutionState, History, MessageAttempt};
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
fn large_poison_messages_and_many_clicks_on_bodies_take_little_memory() {
    const MESSAGES: usize = 800;
    const CLICKS: usize = 30;
    let directory = Directory::new();
    directory.create(POISON);
    let body = "x".repeat(60_000);
    let mut database = directory.database();
    let transaction = database.transaction().unwrap();
    let insert = "INSERT INTO message (queue, id, dequeue_count, visible_at, inserted_at, receipt, body)
        VALUES (?1, ?2, 0, ?4, ?4, 0, ?3)";
    for number in 0..MESSAGES {
        let id = format!("m-{number}");
        transaction.execute(insert, rusqlite::params![POISON, id, body.as_bytes(), now_ms() - 1]).unwrap();
    }
    transaction.commit().unwrap();
    let page = page(&directory, &[]);
    let cookie = page.sign_in();
    assert!(page.get(&cookie, "/").body.contains("800"), "they are looked at");
    std::thread::scope(|scope| {
        for click in 0..CLICKS {
            let (page, cookie) = (&page, &cookie);
            scope.spawn(move || {
                let answer = page.post(cookie, "/message/body", &format!("id=m-{}", 499 - click));
                assert!(answer.status == 200 && answer.body.contains("xxxx"), "{}", answer.head);
            });
        }
    });
    let memory = page.dev.peak_memory().unwrap() >> 20;
    println!("dev has taken {memory} MiB at most");
    assert!(memory < 60, "{memory} MiB");
}
