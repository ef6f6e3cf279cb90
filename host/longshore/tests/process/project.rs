//! `longshore.toml`: what it says, what beats it, and what is said of its mistakes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::orders::order;
use crate::process::{Ended, cache, longshore, run};
use crate::project_folder::ProjectFolder;
use longshore_testkit::guest;

/// What must not be seen.
const SECRET: &str = "swordfish7";

/// The keys that a queue on this machine needs.
fn keys() -> String {
    let (component, cache) = (guest::order(), cache());
    format!(
        "queue = 'file:./queues/orders'\ncomponent = '{}'\ncache-dir = '{}'\nlinger = '0'\n",
        component.display(),
        cache.display()
    )
}

/// What `config` shows of a key: its value, and where it comes from.
fn shown(ended: &Ended, key: &str) -> (Value, String) {
    let settings = ended.json()["settings"].as_array().unwrap().clone();
    let found = settings.into_iter().find(|it| it["key"] == key).unwrap_or_default();
    let from = match found["from"].as_str().unwrap_or("nowhere") {
        "project" => format!("line {} {}", found["line"], found["profile"]),
        "variable" => found["variable"].as_str().unwrap().to_owned(),
        "flag" => format!("--{}", found["flag"].as_str().unwrap()),
        other => other.to_owned(),
    };
    (found["value"].clone(), from)
}

#[test]
fn a_queue_is_worked_off_with_nothing_but_a_project_file() {
    let folder = ProjectFolder::with(&keys());
    folder.run(&["queue", "create"]).succeeded();
    let mut send = folder.longshore(&["send", "-"]);
    run(send.input(order("o-1", "ok").as_bytes())).succeeded();
    assert_eq!(
        folder.run(&["peek", "--output=json"]).succeeded().json()["id"].as_str().map(str::is_empty),
        Some(false)
    );
    assert_eq!(folder.run(&["run", "--output=json"]).succeeded().json()["completed"], 1);
    folder.run(&["queue", "stats"]).succeeded();
    folder.run(&["poison", "list", "--all"]);
    folder.run(&["inspect"]).succeeded();
    folder.run(&["compile", "-o", "order.cwasm"]).succeeded();
    folder.run(&["check"]).succeeded();
    let mut invoke = folder.longshore(&["invoke", "-", "--output=json"]);
    assert_eq!(run(invoke.input(order("o-2", "ok").as_bytes())).succeeded().json()["outcome"], "completed");
    // The address alone: the file says which component. Nothing listens there.
    folder
        .run(&["push", "oci://127.0.0.1:9/order:1"])
        .ends_with(3)
        .says(&["cannot push to oci://127.0.0.1:9"]);
    let elsewhere = ["push", "oci://127.0.0.1:9/order:1", "oci://127.0.0.1:9/order:2"];
    folder.run(&elsewhere).ends_with(2).says(&["push takes a file", "order:1"]);
    assert!(folder.path("queues/queues.db").exists(), "beside the file");
}

#[test]
fn a_file_is_found_in_the_working_directory_only_and_named_from_elsewhere() {
    let folder = ProjectFolder::with(&format!("{}[config]\ngreeting = '@greeting.txt'\n", keys()));
    std::fs::write(folder.path("greeting.txt"), "hello").unwrap();
    let below = folder.path("src");
    std::fs::create_dir(&below).unwrap();
    folder.run(&["queue", "create"]).succeeded();
    let from_below = |words: &[&str], variables: &[(&str, &str)]| {
        let mut program = longshore(words);
        run(program.current_dir(&below).envs(variables.iter().copied())).never_panicked()
    };
    from_below(&["queue", "stats"], &[]).ends_with(2).says(&["--queue", "required"]);
    from_below(&["queue", "stats"], &[("LONGSHORE_PROJECT", "../longshore.toml")]).succeeded();
    let file = "--project=../longshore.toml";
    from_below(&["run", file], &[]).succeeded();
    // A flag beats its variable, and an empty variable is unset.
    from_below(&["queue", "stats", file], &[("LONGSHORE_PROJECT", "nothing.toml")]).succeeded();
    from_below(&["queue", "stats", file], &[("LONGSHORE_PROFILE", ""), ("LONGSHORE_NO_PROJECT", "0")])
        .succeeded();
    folder.run(&["queue", "stats", "--no-project"]).ends_with(2).says(&["--queue", "required"]);
    run(folder.longshore(&["queue", "stats"]).env("LONGSHORE_NO_PROJECT", "1")).ends_with(2);
    // A word behind another flag is its value.
    let profile = folder.run(&["send", "--id", "x", "--", "--profile"]);
    assert_eq!(profile.code(), 0, "{profile:?}");
}

#[test]
fn a_flag_beats_a_variable_which_beats_the_profile_which_beats_the_file_which_beats_the_default() {
    let folder = ProjectFolder::with(
        "max-dequeue = 6
lease = 'fixed'
deadline = '6s'
require-digest = true
allow-http = ['six.example']
[config]
six = '6'
[profile.azure]
max-dequeue = 7
lease = 'renew'
deadline = '7s'
require-digest = true
allow-http = ['seven.example', 'and.example']
[profile.azure.config]
seven = '7'
",
    );
    let variables = [
        ("LONGSHORE_MAX_DEQUEUE", "8"),
        ("LONGSHORE_LEASE", "auto"),
        ("LONGSHORE_DEADLINE", "8s"),
        ("LONGSHORE_REQUIRE_DIGEST", "no"),
        ("LONGSHORE_ALLOW_HTTP", "eight.example\nor.example"),
        ("LONGSHORE_CONFIG", "eight=8"),
    ];
    let flags = [
        "--max-dequeue=9",
        "--lease=renew",
        "--deadline=9s",
        "--require-digest",
        "--allow-http=nine.example",
        "--config=nine=9",
    ];
    let none: [(&str, &str); 0] = [];
    let keys = ["max-dequeue", "lease", "deadline", "require-digest", "allow-http", "config"];
    for (words, variables, expected) in [
        (
            &["--no-project"][..],
            &none[..],
            [json!(5), json!("auto"), json!("30s"), json!(false), Value::Null, Value::Null],
        ),
        (
            &[],
            &none,
            [json!(6), json!("fixed"), json!("6s"), json!(true), json!(["six.example"]), json!(["six=…"])],
        ),
        (
            &["--profile=azure"],
            &none,
            [
                json!(7),
                json!("renew"),
                json!("7s"),
                json!(true),
                json!(["seven.example", "and.example"]),
                json!(["seven=…"]),
            ],
        ),
        (
            &["--profile=azure"],
            &variables,
            [
                json!(8),
                json!("auto"),
                json!("8s"),
                json!(false),
                json!(["eight.example", "or.example"]),
                json!(["eight=…"]),
            ],
        ),
        (
            &[&["--profile=azure"], &flags[..]].concat(),
            &variables,
            [json!(9), json!("renew"), json!("9s"), json!(true), json!(["nine.example"]), json!(["nine=…"])],
        ),
    ] {
        let mut config = folder.longshore(&[&["config", "--output=json"], words].concat());
        let ended = run(config.envs(variables.iter().copied())).succeeded();
        for ((position, key), expected) in (1..).zip(keys).zip(expected) {
            let (value, from) = shown(&ended, key);
            assert_eq!(value, expected, "{key} {words:?}");
            let rank = match (words.first(), variables.is_empty(), words.len() > 1) {
                (Some(&"--no-project"), ..) if value.is_null() => "nowhere".to_owned(),
                (Some(&"--no-project"), ..) => "default".to_owned(),
                (None, ..) if key == "config" => "line 6 null".to_owned(),
                (None, ..) => format!("line {position} null"),
                (_, true, _) if key == "config" => "line 14 \"azure\"".to_owned(),
                (_, true, _) => format!("line {} \"azure\"", position + 8),
                (_, false, false) => format!("LONGSHORE_{}", key.to_uppercase().replace('-', "_")),
                (_, false, true) => format!("--{key}"),
            };
            assert_eq!(from, rank, "{key} {words:?}");
        }
    }
}

#[test]
fn every_setting_of_a_run_can_stand_in_the_file() {
    let folder = ProjectFolder::with("");
    let schema = folder.run(&["config", "schema"]).succeeded().json();
    let properties = schema["properties"].as_object().unwrap();
    let help = folder.run(&["run", "--help"]).succeeded().stdout;
    let mut text = String::new();
    let mut tables = String::new();
    let mut keys = Vec::new();
    // The table of profiles is called as the flag that chooses one.
    let flags = properties.iter().filter(|(key, _)| *key != "profile" && help.contains(&format!("--{key} ")));
    for (key, schema) in flags {
        let value = match key.as_str() {
            "queue" | "poison-queue" => "'file:./queues/some'".to_owned(),
            "component" | "precompiled" | "cache-dir" => "'./some'".to_owned(),
            "allow-http" => "['a.example']".to_owned(),
            "allow-private" => "['10.0.0.0/8']".to_owned(),
            "http-identity" => "['account.blob.core.windows.net/orders']".to_owned(),
            "http-header" => "['a.example=x-key=@KEY']".to_owned(),
            "outbox-encoding" => "['some=base64']".to_owned(),
            "outbox" => "['some=file:./queues/others']".to_owned(),
            "config" | "env" => {
                tables += &format!("[{key}]\nname = 'value'\n");
                keys.push(key.clone());
                continue;
            }
            // What excludes these stands in the file.
            "forever" | "trust-tag" => continue,
            "hold" => "'1m'".to_owned(),
            // It has an upper limit.
            "telemetry-flush" => "'7s'".to_owned(),
            "log" => "'warn'".to_owned(),
            "stack" | "memory" => "77".to_owned(),
            _ => match (&schema["enum"], &schema["default"], schema["type"].as_str()) {
                (Value::Array(choices), default, _) => {
                    choices.iter().find(|it| *it != default).unwrap().to_string()
                }
                (_, _, Some("boolean")) => "true".to_owned(),
                (_, _, Some("integer")) => "3".to_owned(),
                // A duration.
                (_, Value::String(_), _) => "'77s'".to_owned(),
                other => panic!("a value for {key}: {other:?}"),
            },
        };
        text += &format!("{key} = {value}\n");
        keys.push(key.clone());
    }
    assert!(keys.len() > 40, "{keys:?}");
    std::fs::write(folder.path("longshore.toml"), text + &tables).unwrap();
    let ended = folder.run(&["config", "--output=json", "--log-format=json"]).succeeded();
    for key in keys.iter().filter(|key| *key != "output" && *key != "log-format") {
        let (value, from) = shown(&ended, key);
        assert!(from.starts_with("line ") && !value.is_null(), "{key}: {value} from {from}");
    }
}

#[test]
fn a_mistake_is_named_by_its_line_in_each_verb_that_does_something() {
    let folder = ProjectFolder::with("queue = 'file:./queues/orders'\nmax_deqeue = 5\nlease = 'renwe'\n");
    let said = "longshore.toml:2:1: there is no key `max_deqeue`; the nearest is `max-dequeue`";
    for words in [&["run"][..], &["peek"], &["queue", "stats"], &["config"], &["send", "{}"]] {
        folder.run(words).ends_with(2).says(&[said]);
    }
    for words in [&["--help"][..], &["run", "--help"], &["--version"], &["config", "schema"]] {
        folder.run(words).succeeded();
    }
    folder.run(&["queue", "create", "--no-project", "--queue=file:./queues/orders"]).succeeded();
    std::fs::write(folder.path("longshore.toml"), "lease = 'renwe'\n").unwrap();
    let said =
        ["longshore.toml:1:9: `lease`: invalid value 'renwe'", "[possible values: auto, renew, fixed]"];
    folder.run(&["run"]).ends_with(2).says(&said);
    std::fs::write(folder.path("longshore.toml"), "queue = \n").unwrap();
    folder.run(&["run"]).ends_with(2).says(&["longshore.toml:1:", "this is no TOML"]);
    folder.run(&["peek", "--profile=azure", "--no-project", "--queue=file:./queues/orders"]).succeeded();
    std::fs::remove_file(folder.path("longshore.toml")).unwrap();
    folder.run(&["peek", "--profile=azure"]).ends_with(2).says(&["no project file", "profile `azure`"]);
    folder.run(&["peek", "--project=other.toml"]).ends_with(2).says(&["other.toml cannot be read"]);
}

#[test]
fn what_cannot_be_a_project_file_is_refused_at_once() {
    let folder = ProjectFolder::with("");
    let file = folder.path("longshore.toml");
    let refused = |words: &str| {
        let started = Instant::now();
        folder.run(&["peek", "--queue=file:./queues/orders"]).ends_with(2).says(&["longshore.toml", words]);
        assert!(started.elapsed() < Duration::from_secs(20), "it waited");
    };
    std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    refused("has more than 1024 KiB");
    std::fs::write(&file, b"queue = '\xff'").unwrap();
    refused("is not UTF-8");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    refused("is no regular file");
    std::fs::remove_dir(&file).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(fifo.success());
    refused("is no regular file");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    refused("cannot be read");
}

#[test]
fn a_file_of_another_user_is_read_only_if_it_is_named() {
    let folder = ProjectFolder::with(&keys());
    let file = folder.path("longshore.toml");
    // Nobody but root can give files away.
    if std::os::unix::fs::chown(&file, Some(4242), None).is_err() {
        return;
    }
    folder.run(&["config"]).ends_with(2).says(&["belongs to another user", "--project"]);
    folder.run(&["config", "--project", "longshore.toml"]).succeeded();
    folder.run(&["config", "--no-project"]).succeeded();
}

#[test]
fn a_signature_in_the_file_is_never_shown() {
    let url = format!("https://account.queue.core.windows.net/orders?sv=1&sig={SECRET}");
    let text = format!(
        "queue = '{url}'\nhttp-header = ['a.example=x-key=@KEY']\n[outbox]\nmore = '{url}'\n[config]\nkey = '{SECRET}'\n[env]\nkey = '{SECRET}'\n"
    );
    let folder = ProjectFolder::with(&text);
    let mut endings = vec![
        folder.run(&["config"]).succeeded(),
        folder.run(&["config", "--output=json"]).succeeded(),
        folder.run(&["run", "--help"]).succeeded(),
        folder.run(&["run"]).ends_with(2),
        folder.run(&["run", "--component=o.wasm", "--deadline=nonsense"]).ends_with(2),
        folder.run(&["peek", "--unexpected"]).ends_with(2),
    ];
    for broken in [
        format!("queue = '{}", url),
        format!("queue = '{url}/and more'"),
        format!("que = '{url}'"),
        format!("queue = ['{url}']"),
        format!("[config]\nkey = \"{SECRET}"),
        format!("config = ['{SECRET}']"),
        format!("config = ['key=@{SECRET}']\n{}", keys()),
    ] {
        std::fs::write(folder.path("longshore.toml"), &broken).unwrap();
        endings.push(folder.run(&["invoke", "{}"]).ends_with(2));
    }
    endings.last().unwrap().says(&["`config` number 1 of the project file"]);
    for ended in endings {
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
    }
}

#[test]
fn a_flag_takes_the_place_of_what_it_contradicts_in_the_file() {
    let folder = ProjectFolder::with(&format!("{}forever = true\n", keys().replace("linger = '0'\n", "")));
    folder.run(&["queue", "create"]).succeeded();
    // It would not end otherwise.
    folder.run(&["run", "--linger=0"]).succeeded();
    let ended = folder.run(&["config", "--linger=0", "--output=json"]).succeeded();
    assert_eq!(shown(&ended, "forever"), (false.into(), "default".to_owned()));
    assert_eq!(shown(&ended, "linger"), ("0".into(), "--linger".to_owned()));
}

#[test]
fn a_check_without_a_queue_and_a_job_says_what_to_name() {
    run(&mut longshore(["check"])).ends_with(2).says(&["--queue", "--job"]);
}

#[test]
fn build_steps_are_shown_with_their_lines() {
    let folder =
        ProjectFolder::with("[build]\ncommand = 'cargo build --release'\nsources = ['src', 'Cargo.toml']\n");
    let ended = folder.run(&["config", "--output=json"]).succeeded();
    assert_eq!(shown(&ended, "build.command"), ("cargo build --release".into(), "line 2 null".to_owned()));
    assert_eq!(shown(&ended, "build.sources"), (json!(["src", "Cargo.toml"]), "line 3 null".to_owned()));
    let table = folder.run(&["config"]).succeeded().stdout;
    assert!(
        table.lines().any(|line| line.contains("build.command") && line.contains("longshore.toml:2")),
        "{table}"
    );
}
