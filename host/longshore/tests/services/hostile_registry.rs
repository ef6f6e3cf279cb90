//! A hostile registry: whatever it answers, each verb ends in bounded time and memory, without a
//! panic, with one error that names the thing, the cause and the mend.

mod peer;
mod secrets;

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use longshore_testkit::program::{Ended, Program};
use longshore_testkit::wait::slack;
use longshore_testkit::wat;

use self::peer::{Peer, Reply};

/// How many processes run at once: most of them wait.
const AT_ONCE: usize = 16;
/// What a verb may read of answers without an end: some tries of 4 MiB, and what lies in sockets.
const MAX_READ: usize = 96 << 20;

/// What the peer does with a call.
type Answering = fn(&Peer) -> Reply;

/// What the peer does with every call.
const ANSWERS: [(&str, Answering); 14] = [
    ("never", |_| Reply::Silence),
    ("byte by byte", |_| Reply::Slow),
    ("cut", |_| Reply::Raw(Vec::new())),
    ("no HTTP", |_| Reply::raw("220 smtp.example ESMTP\r\n")),
    ("without end", |_| Reply::Endless("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")),
    ("refusal without end", |_| Reply::Endless("HTTP/1.1 403 No\r\n\r\n")),
    ("head without end", |_| Reply::Endless("HTTP/1.1 200 OK\r\nx-filler: ")),
    ("wrong type", |_| {
        Reply::say("200 OK", "content-type: text/html\r\n", b"<html>a proxy's page; sig=secret</html>")
    }),
    ("wrong length", |_| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"value\": [")),
    ("wrong encoding", |_| {
        Reply::say("200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b\xff\xfe\x00not gzip")
    }),
    ("redirect elsewhere", |peer| {
        Reply::say("307 Elsewhere", &format!("location: http://{}/stolen\r\n", peer.stranger()), b"")
    }),
    ("redirect in a loop", |peer| {
        Reply::say("302 Here", &format!("location: http://{}/again\r\n", peer.name()), b"")
    }),
    ("absurd numbers", |_| {
        let body = br#"{"access_token":"secret","expires_on":1e999,"expires_in":-1e999,"size":99999999999999999999}"#;
        Reply::say(
            "999 Absurd",
            "x-ms-approximate-messages-count: 99999999999999999999\r\nretry-after: -1\r\n",
            body,
        )
    }),
    ("absurd times", |_| {
        Reply::say(
            "503 Later",
            "retry-after: 18446744073709551615\r\ndate: Sat, 99 Foo 99999 99:99:99 GMT\r\n",
            br#"{"error":{"code":"ServerBusy","message":"2026-99-99T99:99:99Z"}}"#,
        )
    }),
];

/// A verb that speaks a protocol, and how long it may take at most.
struct Spoken {
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
    limit: Duration,
    /// What its error names, beside the peer.
    thing: &'static str,
    /// It may end well: what it does needs no answer, or none that can be wrong.
    may_succeed: bool,
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Every verb that asks a registry.
fn registry(peer: &Peer, directory: &Path) -> Vec<Spoken> {
    let address = format!("oci://{}/order:1", peer.name());
    let component = directory.join("order.wasm");
    std::fs::write(&component, wat::handler("", "")).unwrap();
    let component = component.display();
    let queue = format!("file:{}/orders", directory.display());
    let spoken = |args: String| Spoken {
        args: words(&args),
        env: vec![("LONGSHORE_CACHE_DIR", directory.join("cache").display().to_string())],
        limit: Duration::from_secs(70),
        thing: "/order:1",
        may_succeed: false,
    };
    let created = program(directory, &words(&format!("queue create --queue {queue}")), &[]).run();
    created.succeeded();
    vec![
        spoken(format!("inspect {address}")),
        spoken(format!("compile {address} --to {}/order.cwasm", directory.display())),
        spoken(format!("push {component} {address}")),
        spoken(format!("run --hold 0 --queue {queue} --component {address}")),
    ]
}

fn program(home: &Path, args: &[String], env: &[(&'static str, String)]) -> Program {
    let mut program = Program::new(env!("CARGO_BIN_EXE_longshore"), home);
    program
        .behind_a_dead_proxy()
        .args(args)
        .env("LONGSHORE_OUTPUT", "json")
        .env("LONGSHORE_LOG", "warn")
        .envs(env.iter().map(|(name, value)| (name, value)));
    program
}

/// One verb against one answer, in a home of its own.
fn meet(speaks: fn(&Peer, &Path) -> Vec<Spoken>, verb: usize, answer: usize) -> Result<(), String> {
    let (name, reply) = ANSWERS[answer];
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(move |peer, _| reply(peer));
    let spoken = speaks(&peer, home.path()).swap_remove(verb);
    let begun = Instant::now();
    let ended = program(home.path(), &spoken.args, &spoken.env).run();
    judge(&spoken, &peer, &ended, begun.elapsed())
        .map_err(|wrong| format!("`{}` against \"{name}\": {wrong}\n{ended:?}", spoken.args.join(" ")))
}

fn judge(spoken: &Spoken, peer: &Peer, ended: &Ended, took: Duration) -> Result<(), String> {
    let fail = |what: &str| Err(what.to_owned());
    if took > spoken.limit + slack(Duration::from_secs(10)) {
        return Err(format!("it took {took:?}"));
    }
    if ended.stderr.contains("panicked at") {
        return fail("it panicked");
    }
    if peer.written() > MAX_READ {
        return Err(format!("it read {} bytes of answers without an end", peer.written()));
    }
    if peer.stolen().iter().any(|it| it.contains("secret") || it.to_lowercase().contains("authorization:")) {
        return fail("a stranger got a secret");
    }
    if ended.stderr.contains("sig=secret") || ended.stdout.contains("sig=secret") {
        return fail("a signature is said");
    }
    match ended.status.code() {
        Some(0) if spoken.may_succeed => return Ok(()),
        Some(3) => {}
        code => return Err(format!("its exit code is {code:?}")),
    }
    let said: Vec<&str> = ended.stderr.lines().filter_map(|line| line.strip_prefix("longshore: ")).collect();
    let [error] = said[..] else { return Err(format!("{} errors", said.len())) };
    if !error.contains(spoken.thing) {
        return fail("the error does not name the thing");
    }
    if !error.contains("; ") {
        return fail("the error has no mend");
    }
    if error.len() > 2000 {
        return fail("the error is too long");
    }
    Ok(())
}

fn every_verb_against_every_answer(speaks: fn(&Peer, &Path) -> Vec<Spoken>) {
    let home = tempfile::tempdir().unwrap();
    let verbs = speaks(&Peer::start(|_, _| Reply::Silence), home.path()).len();
    // Those that wait come first, so that the others run beside them.
    let mut cases: Vec<_> =
        (0..ANSWERS.len()).flat_map(|answer| (0..verbs).map(move |verb| (verb, answer))).collect();
    cases.reverse();
    let (cases, wrong) = (Mutex::new(cases), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((verb, answer)) = cases.lock().unwrap().pop() else { break };
                    if let Err(what) = meet(speaks, verb, answer) {
                        wrong.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} cases: {}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn whatever_a_registry_answers_each_verb_ends_with_the_cause_and_the_mend() {
    every_verb_against_every_answer(registry);
}
