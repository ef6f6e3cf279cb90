//! What a project file says, and what beats it.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{ArgMatches, Command, CommandFactory};

use super::keys::key_of;
use super::{BUILD, PROFILES, Project, ProjectKeys, ValueShape};
use crate::cli::{Cli, ConfigArgs};

fn keys() -> ProjectKeys {
    ProjectKeys::of(&Cli::command())
}

/// A file in the working directory.
fn project(text: &str) -> Result<Project, String> {
    Project::read(text, Path::new("longshore.toml"), None, keys())
}

fn in_profile(text: &str, profile: &str) -> Result<Project, String> {
    Project::read(text, Path::new("longshore.toml"), Some(profile.into()), keys())
}

fn texts(project: &Project, key: &str) -> Vec<String> {
    project.value(key).map(|it| it.texts.clone()).unwrap_or_default()
}

/// What clap makes of the file and of these words.
fn matches(project: &Project, words: &[&str]) -> ArgMatches {
    let matches = project.apply(Cli::command()).try_get_matches_from(words).unwrap();
    matches.subcommand().unwrap().1.clone()
}

#[test]
fn every_flag_with_a_variable_is_a_key_by_its_name_and_nothing_else_is() {
    fn look(command: &Command, found: &mut BTreeSet<String>) {
        for arg in command.get_arguments().filter(|arg| arg.get_env().is_some()) {
            let id = arg.get_id().as_str().replace('_', "-");
            if let Some(long) = arg.get_long() {
                assert_eq!(long, id, "an error says which flag a key is");
            }
            let chooses = ["project", "profile", "no-project"].contains(&id.as_str());
            assert_eq!(key_of(arg), (!chooses).then(|| id.clone()));
            if !chooses {
                found.insert(id);
            }
        }
        command.get_subcommands().for_each(|verb| look(verb, found));
    }
    let mut found = BTreeSet::new();
    look(&Cli::command(), &mut found);
    let keys = keys();
    assert_eq!(keys.iter().map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>(), found);
    assert!(found.len() > 50, "{found:?}");
    assert!(!found.contains(BUILD) && !found.contains(PROFILES), "their tables would be no tables");
}

#[test]
fn config_takes_the_flags_of_all_keys() {
    let config = <ConfigArgs as clap::Args>::augment_args(Command::new(""));
    let own: BTreeSet<_> = config.get_arguments().filter_map(key_of).collect();
    let global: BTreeSet<_> = Cli::command().get_arguments().filter_map(key_of).collect();
    let all: BTreeSet<_> = keys().iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(own.union(&global).cloned().collect::<BTreeSet<_>>(), all);
}

#[test]
fn a_value_is_written_as_its_flag_takes_it() {
    let keys = keys();
    let of = |shape| -> Vec<_> {
        keys.iter().filter(|(_, key)| key.shape() == shape).map(|(name, _)| name).collect()
    };
    assert_eq!(of(ValueShape::Table), ["config", "env", "outbox", "outbox-encoding"]);
    assert_eq!(of(ValueShape::List), ["allow-http", "allow-private", "http-header", "http-identity"]);
    assert_eq!(of(ValueShape::Switch), ["forever", "require-digest", "trust-tag", "watch"]);
    let numbers = of(ValueShape::Number);
    for number in ["breaker", "concurrency", "max-dequeue", "max-messages", "memory", "http-calls"] {
        assert!(numbers.contains(&number), "{number}: {numbers:?}");
    }
    for text in ["queue", "component", "deadline", "lease", "precompiled", "hold"] {
        assert!(of(ValueShape::Text).contains(&text), "{text}");
    }
}

#[test]
fn each_type_reaches_its_flag() {
    let file = project(
        r#"
        queue = "file:./q/orders"
        component = "o.wasm"
        concurrency = 0x10
        max-messages = 1_000
        forever = true
        deadline = "7s"
        allow-http = ["api.example.com", "http://127.0.0.1:8080"]
        env = ["PATH", "TZ=UTC"]
        [config]
        currency = "EUR"
        retries = 3
        ratio = 0.5
        strict = true
        key = """
one=
two"""
        "#,
    )
    .unwrap();
    assert_eq!(texts(&file, "concurrency"), ["16"]);
    assert_eq!(texts(&file, "max-messages"), ["1000"]);
    let config = ["currency=EUR", "retries=3", "ratio=0.5", "strict=true", "key=one=\ntwo"];
    assert_eq!(texts(&file, "config"), config);
    let run = matches(&file, &["longshore", "run"]);
    assert_eq!(run.get_one::<u16>("concurrency"), Some(&16));
    assert!(run.get_flag("forever"));
    assert_eq!(run.get_raw("allow_http").unwrap().count(), 2);
    assert_eq!(run.get_raw("env").unwrap().count(), 2);
}

#[test]
fn a_flag_beats_the_file_and_replaces_all_of_a_list() {
    let file = project(
        "queue = 'file:./q/one'\ncomponent = 'a.wasm'\nmemory = 64\nallow-http = ['a.example', 'b.example']",
    )
    .unwrap();
    let words = ["longshore", "run", "--queue=file:./q/two", "--memory=32", "--allow-http=c.example"];
    let run = matches(&file, &words);
    assert_eq!(run.get_one::<u32>("memory"), Some(&32));
    assert_eq!(run.get_raw("allow_http").unwrap().collect::<Vec<_>>(), ["c.example"]);
    assert_eq!(run.get_raw("queue").unwrap().collect::<Vec<_>>(), ["file:./q/two"]);
    assert_eq!(run.get_raw("component").unwrap().collect::<Vec<_>>(), ["a.wasm"]);
}

#[test]
fn the_file_serves_all_verbs_and_a_flag_without_a_variable_is_no_key() {
    let file = project(
        "queue = 'file:./q/one'\ncomponent = 'a.wasm'\nenv = ['TZ=UTC']\njob = '/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/o'",
    )
    .unwrap();
    for words in [
        &["longshore", "run"][..],
        &["longshore", "send", "{}"],
        &["longshore", "peek"],
        &["longshore", "check"],
        &["longshore", "invoke", "{}"],
        &["longshore", "inspect"],
        &["longshore", "compile", "-o", "a.cwasm"],
        &["longshore", "poison", "list"],
        &["longshore", "queue", "stats"],
        &["longshore", "job", "list"],
        &["longshore", "config"],
    ] {
        matches(&file, words);
    }
    // It is a variable of the container, and not what handlers are granted.
    let start = matches(&file, &["longshore", "job", "start"]);
    let start = start.subcommand().unwrap().1;
    assert!(start.get_raw("env").is_none() && start.get_raw("job").is_some());
    let said = project("limit = 3").unwrap_err();
    assert!(said.starts_with("longshore.toml:1:1: there is no key `limit`"), "{said}");
}

#[test]
fn a_profile_replaces_keys_of_the_base() {
    let text = "
        queue = 'file:./q/one'
        memory = 64
        linger = '1s'
        [config]
        a = '1'
        b = '2'
        [profile.azure]
        queue = 'https://account.queue.core.windows.net/orders'
        forever = true
        [profile.azure.config]
        b = '3'
        [profile.quick]
        memory = 32
        forever = false
    ";
    let azure = in_profile(text, "azure").unwrap();
    assert_eq!(texts(&azure, "queue"), ["https://account.queue.core.windows.net/orders"]);
    assert_eq!(texts(&azure, "config"), ["b=3"], "the whole of it");
    assert_eq!(texts(&azure, "memory"), ["64"]);
    assert_eq!((texts(&azure, "linger"), texts(&azure, "forever")), (vec![], vec!["true".to_owned()]));
    let value = azure.value("config").unwrap();
    assert_eq!((value.line, value.profile.as_deref()), (11, Some("azure")));
    let quick = in_profile(text, "quick").unwrap();
    assert_eq!(
        (texts(&quick, "memory"), texts(&quick, "linger")),
        (vec!["32".to_owned()], vec!["1s".to_owned()])
    );
    let base = project(text).unwrap();
    assert_eq!(texts(&base, "config"), ["a=1", "b=2"]);
    let said = in_profile(text, "azur").unwrap_err();
    assert!(said.contains("has only `azure`, `quick`, and no `azur`; write [profile.azur]"), "{said}");
    let said = in_profile("memory = 1", "azure").unwrap_err();
    assert!(said.contains("has no profiles, and no `azure`"), "{said}");
}

#[test]
fn what_contradicts_a_flag_gives_way_to_it() {
    let mut file =
        project("queue = 'file:./q/one'\ncomponent = 'a.wasm'\nforever = true\nrequire-digest = true")
            .unwrap();
    let parse =
        |file: &Project, words: &[&str]| file.apply(Cli::command()).try_get_matches_from(words).unwrap();
    assert!(!file.yields_to(&parse(&file, &["longshore", "run", "--memory=32"])));
    assert!(file.yields_to(&parse(&file, &["longshore", "run", "--linger=1s"])));
    let run = matches(&file, &["longshore", "run", "--linger=1s"]);
    assert!(!run.get_flag("forever") && run.get_flag("require_digest"));
}

#[test]
fn a_mistake_is_named_by_its_line_and_column_with_the_words_of_the_flag() {
    for (text, said) in [
        (
            "memory = 64\nmax_deqeue = 5",
            "2:1: there is no key `max_deqeue`; the nearest is `max-dequeue`: write that one",
        ),
        ("[profil.azure]", "1:2: there is no key `profil`; the nearest is `profile`"),
        (
            "[profile.azure]\nmax_messages = 1",
            "2:1: there is no key `max_messages`; the nearest is `max-messages`",
        ),
        ("[profile.azure.build]\ncommand = 'make'", "1:16: there is no key `build`"),
        ("memory = '64'", "1:10: `memory` takes a whole number without quotes, and this is a text"),
        ("deadline = 30", "1:12: `deadline` takes a text in quotes, and this is a number"),
        (
            "deadline = '30'",
            "1:12: `deadline`: invalid value '30': time unit needed, for example 30sec or 30ms; write it as in 30s, 5m or 1h",
        ),
        ("memory = 0", "1:10: `memory`: invalid value '0': 0 is not in 1..=4096"),
        ("memory = -3", "1:10: `memory`: invalid value '-3': -3 is not in 1..=4096"),
        (
            "lease = 'renwe'",
            "1:9: `lease`: invalid value 'renwe'\n  [possible values: auto, renew, fixed]\n\n  tip: a similar value exists: 'renew'",
        ),
        ("forever = 1", "1:11: `forever` takes `true` or `false`, and this is a number"),
        (
            "allow-http = 'a.example'",
            "1:14: `allow-http` takes a list of texts, `[\"…\"]`, and this is a text",
        ),
        (
            "allow-http = ['a.example', 3]",
            "1:28: each item of `allow-http` is a text in quotes, and this is a number",
        ),
        ("[outbox]\ninvoices = 'nonsense'", "2:1: `outbox`: invalid value: `nonsense`: it does not say"),
        (
            "[config]\nkey = ['a']",
            "2:7: each value of `config` is a text, a number, true or false, and this is a list",
        ),
        ("[config]\n'a=b' = 'c'", "2:1: a name in `config` holds no `=`"),
        (
            "config = 'a=b'",
            "1:10: `config` takes a table of names and values, or a list of texts, and this is a text",
        ),
        (
            "[profile.azure]\nlogs-endpoint = 'https://logs.example'",
            "2:17: `logs-endpoint`: a token would go to https://logs.example/, which is no host of Azure's clouds",
        ),
        (
            "outbox = ['a=https://acme.example/acme/bills']",
            "1:11: `outbox`: a token would go to acme.example, which is no host",
        ),
        ("profile = 'azure'", "1:11: `profile` is a table, and this is a text"),
        (
            "[build]\ncomand = 'make'",
            "2:1: there is no key `build.comand`; write `build.command` or `build.sources`",
        ),
        ("[build]\nsources = 'src'", "2:11: `build.sources` is a list of paths"),
        ("[build]\ncommand = ''", "2:11: `build.command` is what a shell runs"),
        (
            "linger = '1s'\nforever = true",
            "2:1: `forever` cannot be used with `linger`, which stands in line 1",
        ),
        ("queue = 'file:./q/ä'\nmemory = 1\nmemory = 2", "3:1: this is no TOML: duplicate key"),
        ("memory = 1\n# é\n[env]\n'é' = 1970-01-01", "4:7: each value of `env` is"),
    ] {
        let cause = project(text).unwrap_err();
        assert!(cause.starts_with(&format!("longshore.toml:{said}")), "{text}\n{cause}");
        assert!(!cause.contains("Usage") && !cause.contains("--help"), "{cause}");
    }
}

#[test]
fn no_error_shows_what_may_be_a_secret() {
    const SECRET: &str = "swordfish7";
    for text in [
        format!("queue = 'https://account.queue.core.windows.net/a b?sig={SECRET}'"),
        format!("queue = \"https://account.queue.core.windows.net/orders?sig={SECRET}"),
        format!("[config]\nkey = \"{SECRET}\n"),
        format!("config = ['{SECRET}']"),
        format!("env = ['={SECRET}']"),
        format!("http-header = ['api.example=x-key={SECRET}']"),
        format!("[outbox]\na = '{SECRET}?sig={SECRET}'"),
        format!("component = 'https://user:{SECRET}@host/o.wasm'"),
    ] {
        let cause = project(&text).unwrap_err();
        let shown = crate::cli::without_secrets(&cause);
        assert!(!shown.contains(&format!("sig={SECRET}")), "{shown}");
        assert!(!shown.contains(SECRET) || text.starts_with("[outbox]"), "{text}\n{shown}");
    }
}

#[test]
fn a_path_is_relative_to_the_file() {
    let text = "
        queue = 'file:./q/orders'
        poison-queue = 'file:/var/q/bad'
        component = 'target/o.wasm'
        precompiled = '/o.cwasm'
        cache-dir = 'cache'
        [outbox]
        invoices = 'file:./q/invoices'
        bills = 'https://account.queue.core.windows.net/bills'
        [config]
        key = '@key.pem'
        name = '@@bob'
        plain = 'a/b'
        [build]
        sources = ['src']
        [profile.azure]
        component = 'oci://registry.example/order:1'
    ";
    let away = |profile: Option<&str>| {
        Project::read(text, Path::new("../job/longshore.toml"), profile.map(str::to_owned), keys()).unwrap()
    };
    let file = away(None);
    for (key, expected) in [
        ("queue", &["file:../job/./q/orders"][..]),
        ("poison-queue", &["file:/var/q/bad"]),
        ("component", &["../job/target/o.wasm"]),
        ("precompiled", &["/o.cwasm"]),
        ("cache-dir", &["../job/cache"]),
        (
            "outbox",
            &["invoices=file:../job/./q/invoices", "bills=https://account.queue.core.windows.net/bills"],
        ),
        ("config", &["key=@../job/key.pem", "name=@@bob", "plain=a/b"]),
    ] {
        assert_eq!(texts(&file, key), expected, "{key}");
    }
    assert_eq!(file.build.sources, Some((vec!["../job/src".into()], 15)));
    assert_eq!(texts(&away(Some("azure")), "component"), ["oci://registry.example/order:1"]);
    let here = project(text).unwrap();
    assert_eq!(texts(&here, "queue"), ["file:./q/orders"]);
    assert_eq!(texts(&here, "config"), ["key=@key.pem", "name=@@bob", "plain=a/b"]);
}
