//! No body and no signature is in a log, an error or a help text, at the default level.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::directory::{Directory, ORDERS};
use crate::process::{longshore, run};

/// What must not be seen. It has no upper case letters and no dashes: it has to survive a URL.
const SECRET: &str = "swordfish7";

#[test]
fn no_body_is_in_a_log_whatever_becomes_of_its_message() {
    let directory = Directory::new();
    let note = |msg: &str| format!(r#"{{"order_id":"o-1","msg":"{msg}","note":"{SECRET}"}}"#);
    let mut bodies: Vec<_> = ["ok", "reject", "retry", "trap", "retry-until:2", "spin", "alloc"]
        .iter()
        .map(|msg| note(msg))
        .collect();
    bodies.extend([
        SECRET.to_owned(),
        format!("{{\"{SECRET}\""),
        format!("{{\"{SECRET}\": 1}}"),
        format!("{{\"order_id\": {{\"{SECRET}\": 1}}}}"),
        format!("{{\"order_id\": \"o-1\", \"msg\": [\"{SECRET}\"]}}"),
        format!("{{\"order_id\": \"o-1\", \"msg\": \"sleep:{SECRET}\"}}"),
        STANDARD.encode(note("ok")),
    ]);
    let mut bodies: Vec<_> = bodies.into_iter().map(String::into_bytes).collect();
    bodies.push([b"\xff", SECRET.as_bytes()].concat());
    bodies.push([note("reject").as_bytes(), &[b' '; 64 * 1024 - 100]].concat());
    directory.send(&bodies);
    let ended =
        run(&mut directory.worker(&["--max-dequeue=2", "--deadline=300ms", "--memory=16"])).succeeded();
    assert_eq!(ended.json()["completed"], 3, "{ended:?}");
    let queue = directory.url(ORDERS);
    let mut all = ended.stderr + &ended.stdout;
    for arguments in [
        &["poison", "redrive", "--limit=2"][..],
        &["poison", "redrive", "--dry-run"],
        &["poison", "purge", "--yes"],
        &["queue", "stats"],
        &["send", SECRET],
    ] {
        let ended = run(longshore(arguments).arg("--queue").arg(&queue)).succeeded();
        all += &(ended.stderr + &ended.stdout);
    }
    for shown in [SECRET, &STANDARD.encode(note("ok"))] {
        let line = all.lines().find(|line| line.contains(shown));
        assert_eq!(line, None);
    }
}

/// However a verb gets the URL of the queue.
fn no_secret_is_shown(verb: &[&'static str], queue: &str) {
    let by_flag = run(longshore(verb).arg("--queue").arg(queue));
    let by_variable = run(longshore(verb).env("LONGSHORE_QUEUE", queue));
    let by_mistake = run(longshore(verb).arg(queue));
    for ended in [by_flag, by_variable, by_mistake] {
        assert_eq!(ended.code() == 0, verb.contains(&"--help"), "{ended:?}");
        assert!(!(ended.stderr + &ended.stdout).contains(SECRET), "{verb:?} {queue} shows its secret");
    }
}

#[test]
fn no_signature_is_in_an_error_or_a_help_text() {
    let sas = format!("sv=2024-11-04&sig={SECRET}%3D&se=2030");
    let queues = [
        // Nobody listens there.
        format!("http://127.0.0.1:1/devstoreaccount1/orders?{sas}"),
        // Not a queue's name, not a queue's path, no scheme, and a password.
        format!("https://account.queue.core.windows.net/Or?{sas}"),
        format!("https://account.queue.core.windows.net/a/b/c?{sas}"),
        format!("account.queue.core.windows.net/orders?{sas}"),
        format!("https://{SECRET}:{SECRET}@account.queue.core.windows.net/orders"),
        format!("DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET}"),
        format!("QueueEndpoint=http://127.0.0.1:1/a;AccountName=a;AccountKey={SECRET};QueueName=Or"),
        // Queues, where nobody listens: by a key, and by a signature. The first key is no base64.
        format!("QueueEndpoint=http://127.0.0.1:1/a;AccountName=a;AccountKey={SECRET}=;QueueName=orders"),
        format!("QueueEndpoint=http://127.0.0.1:1/a;AccountName=a;AccountKey={SECRET}aa;QueueName=orders"),
        format!("QueueEndpoint=http://127.0.0.1:1/a;SharedAccessSignature={sas};QueueName=orders"),
    ];
    for queue in &queues {
        // At once: what nobody answers is asked for some seconds.
        std::thread::scope(|all| {
            for verb in [
                &["queue", "stats"][..],
                &["peek"],
                &["send", "{}"],
                &["poison", "list", "--all"],
                &["peek", "--no-such-flag"],
                &["queue", "stats", "--help"],
                &["queue", "list"],
                &["queue", "delete", "--yes"],
            ] {
                all.spawn(move || no_secret_is_shown(verb, queue));
            }
        });
        for place in [
            &[][..],
            &["run", "--concurrency"],
            &["run", "--output"],
            &["run", "--outbox"],
            &["run", "--lease"],
        ] {
            let ended = run(longshore(place).arg(queue));
            assert_eq!(ended.code(), 2, "{ended:?}");
            assert!(!ended.stderr.contains(SECRET), "{place:?} {queue}: {}", ended.stderr);
        }
        let outbox = format!("invoices={queue}");
        let mut help = longshore(["run", "--help"]);
        help.env("LONGSHORE_POISON_QUEUE", queue).env("LONGSHORE_OUTBOX", outbox);
        let help = run(&mut help).succeeded();
        assert!(!help.stdout.contains(SECRET), "{queue}: {}", help.stdout);
    }
    let component = format!("https://{SECRET}@registry.example/order.wasm?sig={SECRET}");
    for verb in [
        &["run", "--queue=file:./q/orders", "--component"][..],
        &["check", "--queue=file:./q/orders", "--component"],
        &["invoke", "{}", "--component"],
        &["inspect"],
        &["compile", "--to=o.cwasm"],
    ] {
        let ended = run(longshore(verb).arg(&component)).never_panicked();
        assert_eq!(ended.code(), 2);
        assert!(!ended.stderr.contains(SECRET), "{verb:?}: {}", ended.stderr);
        let help = run(longshore([verb[0], "--help"]).env("LONGSHORE_COMPONENT", &component)).succeeded();
        assert!(!help.stdout.contains(SECRET), "{verb:?}: {}", help.stdout);
    }
}

#[test]
fn a_connection_string_is_a_secret_in_every_place_that_shows_what_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let key = format!("{SECRET}aa");
    let queue = format!("QueueEndpoint=http://127.0.0.1:1/a;AccountName=a;AccountKey={key};QueueName=orders");
    std::fs::write(directory.path().join("longshore.toml"), format!("queue = \"{queue}\"\n")).unwrap();
    for words in [&["config"][..], &["config", "--output=json"], &["config", "--log=trace"]] {
        for in_file in [true, false] {
            let mut program = longshore(words);
            match in_file {
                true => program.current_dir(directory.path()),
                false => program.env("LONGSHORE_QUEUE", &queue),
            };
            let ended = run(&mut program).succeeded();
            assert!(!(ended.stderr + &ended.stdout).contains(SECRET), "{words:?} {in_file}");
        }
    }
    let ended = run(longshore(["queue", "stats", "--log=trace", "--queue"]).arg(&queue)).ends_with(3);
    ended.says(&["http://127.0.0.1:1/a/orders"]);
    assert!(!ended.stderr.contains(SECRET) && !ended.stderr.contains("sig="), "{}", ended.stderr);
    // By mistake in the place of an id.
    let there = Directory::new();
    for verb in [&["peek"][..], &["poison", "show"], &["poison", "purge"], &["poison", "redrive"]] {
        let ended = run(longshore(verb).args(["--queue", &there.url(ORDERS), &queue])).never_panicked();
        assert_eq!(ended.code(), 1, "{ended:?}");
        assert!(!ended.stderr.contains(SECRET), "{verb:?}: {}", ended.stderr);
    }
}
