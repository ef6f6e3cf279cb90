//! The page of `longshore dev`, by raw requests: poison messages that are redriven and purged.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::directory::{Directory, POISON, now_ms};
use crate::orders::order;
use crate::page::{Answer, Page, page, url_encoded};
use longshore_testkit::wait::until;

/// What a yes to a question sends.
pub(crate) fn yes(asked: &Answer) -> String {
    let handle =
        asked.body.split("name=\"asked\" value=\"").nth(1).unwrap_or_else(|| panic!("{}", asked.body));
    format!("asked={}", handle.split('"').next().unwrap())
}

/// Puts messages of one cause into the poison queue.
fn poison(directory: &Directory, ids: std::ops::Range<u32>) {
    directory.create(POISON);
    for id in ids {
        let envelope = json!({
            "longshore": "poison/1", "reason": "rejected", "detail": "no stock", "id": format!("o-{id}"),
            "queue": directory.url("orders"), "dequeue_count": 5, "inserted": "2026-11-26T12:00:00Z",
            "poisoned": "2026-11-26T12:00:00Z", "encoding": "text", "body": order(&format!("o-{id}"), "ok"),
        });
        directory.send_to(POISON, &envelope.to_string());
    }
}

const GROUP: &str = "rejected/no+stock";

/// The page, with a group of three in the poison queue.
fn page_with_three(directory: &Directory) -> (Page, String) {
    poison(directory, 0..3);
    let page = page(directory, &["--start-delay=1h"]);
    let cookie = page.sign_in();
    until("the poison on the page", || page.get(&cookie, "/").body.contains("Show 3 messages").then_some(()));
    (page, cookie)
}

/// The processes of this program that a process has started, other than executions.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        // The fields behind the name, which stands in brackets (proc_pid_stat(5)).
        let own = stat.rsplit(") ").next().and_then(|it| it.split(' ').nth(1)?.parse::<u32>().ok());
        own == Some(parent) && String::from_utf8_lossy(&words).contains("poison")
    };
    let ids = fs::read_dir("/proc").unwrap().filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(is_child).collect()
}

/// Leases a poison message for so long, as a redrive elsewhere does.
fn lease_one(directory: &Directory, milliseconds: i64) {
    let rows = directory.rows(POISON);
    let sql = "UPDATE message SET visible_at = ? WHERE queue = ? AND id = ?";
    let changed = directory.database().execute(sql, (now_ms() + milliseconds, POISON, &rows[0].id)).unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn messages_are_redriven_and_purged_only_after_the_question_was_answered() {
    let directory = Directory::new();
    directory.send((0..3).map(|n| order(&format!("o-{n}"), "reject")));
    let page = page(&directory, &["--queue-length=100"]);
    let cookie = page.sign_in();
    until("the poison", || (directory.rows(POISON).len() == 3).then_some(()));
    until("the poison on the page", || page.get(&cookie, "/").body.contains("Show 3 messages").then_some(()));
    let group = format!("group={}", url_encoded("rejected/the+order+asks+for+a+rejection"));
    let asked = page.post(&cookie, "/poison/redrive", &group);
    assert!(asked.body.contains("Redrive 3 messages"), "{}", asked.body);
    assert_eq!(directory.rows(POISON).len(), 3, "a question changes nothing");
    let done = page.post(&cookie, "/poison/redrive", &yes(&asked));
    assert!(done.body.contains("3 messages were sent back to the queue"), "{}", done.body);
    until("the second round", || {
        let id = directory.rows(POISON).first().map(|it| it.id.clone())?;
        let shown = page.get(&cookie, &format!("/message?id={id}")).body;
        (shown.matches("✕</span> poisoned").count() >= 2).then_some(())
    });
    until("all of them", || (directory.rows(POISON).len() == 3).then_some(()));
    let id = directory.rows(POISON)[0].id.clone();
    let asked = page.post(&cookie, "/poison/purge", &format!("id={id}"));
    assert!(asked.body.contains("Delete 1 message") && directory.rows(POISON).len() == 3, "{}", asked.body);
    page.post(&cookie, "/poison/purge", &yes(&asked));
    assert!(directory.rows(POISON).iter().all(|it| it.id != id) && directory.rows(POISON).len() == 2);
}

#[test]
fn a_yes_takes_what_was_asked_about_and_nothing_that_came_in_meanwhile() {
    for what in [format!("group={}", url_encoded(GROUP)), "all=1".to_owned()] {
        let directory = Directory::new();
        let (page, cookie) = page_with_three(&directory);
        let asked = page.post(&cookie, "/poison/purge", &what);
        assert!(asked.body.contains("Delete 3 messages"), "{}", asked.body);
        // Of a thing that cannot be undone, Enter means no.
        assert!(asked.body.contains("data-close autofocus>Leave it"), "{}", asked.body);
        poison(&directory, 3..43);
        let done = page.post(&cookie, "/poison/purge", &yes(&asked));
        assert!(done.body.contains("3 messages were deleted"), "{what}: {}", done.body);
        assert_eq!(directory.rows(POISON).len(), 40, "{what}");
        let again = page.post(&cookie, "/poison/purge", &yes(&asked));
        assert!(again.status == 422 && again.body.contains("answered already"), "{}", again.body);
        assert_eq!(directory.rows(POISON).len(), 40, "{what}");
    }
}

#[test]
fn a_yes_is_for_the_question_that_was_asked() {
    let directory = Directory::new();
    let (page, cookie) = page_with_three(&directory);
    let redrive = page.post(&cookie, "/poison/redrive", "all=1");
    for form in [&*yes(&redrive), "asked=guessed", "asked=", "all=1&asked=guessed", "group=x&confirmed=1"] {
        let answer = page.post(&cookie, "/poison/purge", form);
        assert_eq!(answer.status, 422, "{form}: {}", answer.body);
    }
    assert_eq!(directory.rows(POISON).len(), 3);
}

#[test]
fn a_tab_that_is_closed_ends_no_redrive_and_the_next_one_shows_what_came_of_it() {
    let directory = Directory::new();
    let (page, cookie) = page_with_three(&directory);
    let asked = page.post(&cookie, "/poison/redrive", "all=1");
    assert!(asked.body.contains("Redrive 3 messages"), "{}", asked.body);
    // The redrive waits for this one.
    lease_one(&directory, 6_000);
    let body = yes(&asked);
    let request = format!(
        "POST /poison/redrive HTTP/1.1\r\nHost: {}\r\n{cookie}{}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        page.host,
        page.own_origin(),
        body.len()
    );
    let mut tab = TcpStream::connect(("127.0.0.1", page.port)).unwrap();
    tab.write_all(request.as_bytes()).unwrap();
    until("the redrive at work", || {
        page.get(&cookie, "/").body.contains("Redriving 3 messages").then_some(())
    });
    drop(tab);
    let another = page.post(&cookie, "/poison/redrive", "all=1");
    if another.body.contains("name=\"asked\"") {
        let refused = page.post(&cookie, "/poison/redrive", &yes(&another));
        assert!(refused.body.contains("another one is at work"), "{}", refused.body);
    }
    until("all of them", || directory.rows(POISON).is_empty().then_some(()));
    until("what came of it", || {
        page.get(&cookie, "/").body.contains("3 messages were sent back").then_some(())
    });
}

#[test]
fn what_the_page_has_started_stops_when_dev_is_killed() {
    let directory = Directory::new();
    let (page, cookie) = page_with_three(&directory);
    let asked = page.post(&cookie, "/poison/purge", "all=1");
    lease_one(&directory, 60_000);
    let body = yes(&asked);
    let request = format!(
        "POST /poison/purge HTTP/1.1\r\nHost: {}\r\n{cookie}{}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        page.host,
        page.own_origin(),
        body.len()
    );
    let mut tab = TcpStream::connect(("127.0.0.1", page.port)).unwrap();
    tab.write_all(request.as_bytes()).unwrap();
    until("the purge of the others", || (directory.rows(POISON).len() == 1).then_some(()));
    let started = until("its process", || Some(children(page.dev.id())).filter(|it| !it.is_empty()));
    page.dev.kill();
    until("the end of its process", || {
        let there = |id: &u32| {
            let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains("poison")
        };
        (!started.iter().any(there)).then_some(())
    });
    assert!(directory.rows(POISON)[0].visible_at > now_ms() + 10_000, "it stopped before the lease ended");
}
