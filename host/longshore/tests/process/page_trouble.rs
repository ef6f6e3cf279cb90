//! The page of `longshore dev`, by raw requests: the buttons that make trouble.

use crate::directory::{Directory, ORDERS, POISON};
use crate::orders::order;
use crate::page::{page, page_of};
use crate::process::{cache, longshore};
use crate::reached::Service;
use longshore_testkit::guest;
use longshore_testkit::identity::Mood;
use longshore_testkit::wait::until;

#[test]
fn a_queue_that_was_taken_away_answers_503_to_executions_and_is_given_back() {
    let directory = Directory::new();
    let page = page(&directory, &[]);
    let cookie = page.sign_in();
    let answer = page.post(&cookie, "/trouble", "what=queue&seconds=60");
    assert_eq!(answer.status, 200, "{}", answer.body);
    directory.send([order("o-1", "ok")]);
    until("a poll that fails", || page.dev.stdout().contains("503 Server Busy").then_some(()));
    let refused = page.post(&cookie, "/send", "body=x");
    assert!(refused.status == 422 && refused.body.contains("503"), "{}", refused.body);
    assert_eq!(page.post(&cookie, "/trouble", "what=none").status, 200);
    until("the message", || directory.rows(ORDERS).is_empty().then_some(()));
    // Nothing in this job asks for a token.
    assert_eq!(page.post(&cookie, "/trouble", "what=identity&seconds=60").status, 403);
}

#[test]
fn a_queue_that_was_taken_away_answers_nothing_about_its_poison_messages_either() {
    let directory = Directory::new();
    directory.create(POISON);
    directory.send_to(POISON, "poison");
    let page = page(&directory, &["--start-delay=1h"]);
    let cookie = page.sign_in();
    page.post(&cookie, "/trouble", "what=queue&seconds=60");
    let id = directory.rows(POISON)[0].id.clone();
    for (path, form) in [
        ("/poison/redrive", "all=1".to_owned()),
        ("/poison/purge", format!("id={id}")),
        ("/poison/replay", format!("id={id}")),
    ] {
        let refused = page.post(&cookie, path, &form);
        assert!(refused.status == 422 && refused.body.contains("503"), "{path}: {}", refused.body);
    }
    until("numbers that say how old they are", || {
        page.get(&cookie, "/").body.contains("as counted at").then_some(())
    });
}

#[test]
fn executions_that_start_without_an_identity_endpoint_keep_their_messages_and_get_it_back() {
    let service = Service::start(&["http/1.1"], Mood::Tokens(3600));
    let directory = service.directory();
    let mut program = longshore(["dev", "--output=json", "--poll=1s", "--start-delay=100ms"]);
    program.args([
        "--visibility=5s",
        "--deadline=3s",
        "--retry-base=20ms",
        "--retry-cap=200ms",
        "--linger=1s",
    ]);
    program.args(["--config=greeting=hello", "--allow-private=127.0.0.1", "--time-budget=20s"]);
    program.args(["--queue", &directory.url(ORDERS), &service.with_identity()]);
    program.arg("--component").arg(guest::rogue()).arg("--cache-dir").arg(cache());
    program.arg(format!("--outbox=invoices={}", directory.url("invoices")));
    service.give_environment(&mut program);
    let page = page_of(&mut program);
    let cookie = page.sign_in();
    assert!(page.get(&cookie, "/").body.contains("No identity endpoint for 1 min"));
    let taken = page.post(&cookie, "/trouble", "what=identity&seconds=600");
    assert_eq!(taken.status, 200, "{}", taken.body);
    service.send(1, "/orders");
    let logged = || {
        let shown = page.get(&cookie, "/executions").body;
        let names = shown.split("/execution?name=").skip(1).filter_map(|it| it.split('"').next());
        names.map(|name| page.get(&cookie, &format!("/execution?name={name}")).body).collect::<String>()
    };
    until("an execution that says what it lacks", || logged().contains("identity").then_some(()));
    assert!(service.seen() == 0 && service.asked_for_tokens() == 0, "nothing was reached without a token");
    assert_eq!((directory.rows(ORDERS).len(), directory.rows(POISON).len()), (1, 0), "the message stays");
    assert_eq!(page.post(&cookie, "/trouble", "what=none").status, 200);
    until("the message", || directory.rows(ORDERS).is_empty().then_some(()));
    assert_eq!(service.seen(), 1);
    assert_eq!(directory.rows(POISON), []);
}
