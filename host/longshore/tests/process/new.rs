//! `new`: a project that is whole, or not there, and what is said of the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Ended, Program, longshore, run};

const LANGUAGES: [(&str, &str); 4] = [
    ("rust", "src/lib.rs"),
    ("python", "handler.py"),
    ("typescript", "src/handler.ts"),
    ("javascript", "src/handler.js"),
];

/// A directory in which projects are made, and one for the programs that a language needs.
struct Desk {
    directory: TempDir,
    programs: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), programs: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a program on the path, which prints this.
    fn has(&self, program: &str, said: &str) {
        let file = self.programs.path().join(program);
        fs::write(&file, format!("#!/bin/sh\necho '{said}'\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn longshore(&self, words: &[&str]) -> Program {
        let mut program = longshore(words);
        program.current_dir(self.directory.path()).env("PATH", self.programs.path());
        program
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Ended {
        run(&mut self.longshore(words)).never_panicked()
    }

    /// What `new` says is missing, and the command that gets it.
    fn missing(&self, lang: &str) -> Vec<(String, String)> {
        let name = format!("{lang}-{}", fs::read_dir(self.directory.path()).unwrap().count());
        let made = self.run(&["new", &name, "--lang", lang, "--output=json"]).succeeded().json();
        let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
        let missing = made["missing"].as_array().unwrap();
        missing.iter().map(|it| (text(it, "needed"), text(it, "install"))).collect()
    }
}

/// The files below a folder, by their paths in it.
fn files(folder: &Path) -> Vec<String> {
    fn look(folder: &Path, from: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, from, found);
            } else {
                found.push(path.strip_prefix(from).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    look(folder, folder, &mut found);
    found.sort();
    found
}

#[test]
fn a_project_is_made_in_each_language_with_every_file_that_is_listed() {
    let desk = Desk::new();
    for (lang, handler) in LANGUAGES {
        let name = format!("{lang}-prices");
        let made = desk.run(&["new", &name, "--lang", lang, "--output=json"]).succeeded().json();
        assert_eq!(
            (&made["name"], &made["folder"], &made["language"]),
            (&json!(name), &json!(name), &json!(lang))
        );
        let mut listed: Vec<_> =
            made["files"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
        listed.sort();
        assert_eq!(listed, files(&desk.path(&name)));
        for file in [
            handler,
            ".github/workflows/ci.yml",
            ".gitignore",
            "README.md",
            "longshore.toml",
            "samples/good.json",
        ] {
            assert!(listed.iter().any(|it| it == file), "{lang}: no {file} in {listed:?}");
        }
        assert!(made["next"].as_array().unwrap().contains(&json!("longshore build")));
        let settings =
            run(longshore(["config", "--output=json"]).current_dir(desk.path(&name))).succeeded().json();
        let keys: Vec<_> =
            settings["settings"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap()).collect();
        for key in ["queue", "component", "config", "outbox", "build.command", "build.sources"] {
            assert!(keys.contains(&key), "{lang}: {key} in {keys:?}");
        }
    }
}

#[test]
fn people_read_what_was_made_and_what_comes_next() {
    let desk = Desk::new();
    desk.has("node", "v20.1.0");
    desk.has("npm", "10.0.0");
    let ended = desk.run(&["new", "a folder/prices", "--lang=javascript"]).succeeded();
    let expected = [
        "made a folder/prices, a handler in JavaScript:",
        "  src/handler.js",
        "next:",
        "  cd 'a folder/prices'",
        "  npm install && npm test",
        "  longshore build",
        "  longshore invoke --file samples/good.json",
    ];
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(expected.iter().all(|it| lines.contains(it)), "{ended:?}");
    assert!(!ended.stdout.contains("missing"), "{ended:?}");
    ended.says(&["no registry has the package longshore-guest yet", "--sdk CLONE"]);
}

#[test]
fn without_a_language_the_choices_are_listed() {
    let desk = Desk::new();
    desk.run(&["new", "prices"]).ends_with(2).says(&["--lang <rust|python|typescript|javascript>"]);
    desk.run(&["new", "prices", "--lang=cobol"])
        .ends_with(2)
        .says(&["cobol", "rust, python, typescript, javascript"]);
    assert_eq!(fs::read_dir(desk.directory.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_written_where_something_is_or_under_a_name_that_is_none() {
    let desk = Desk::new();
    fs::create_dir(desk.path("prices")).unwrap();
    fs::write(desk.path("prices/mine.txt"), "mine").unwrap();
    desk.run(&["new", "prices", "--lang=rust"])
        .ends_with(2)
        .says(&["the folder prices is not empty", "name a folder"]);
    desk.run(&["new", "Prices", "--lang=rust"])
        .ends_with(2)
        .says(&["`Prices` names no project", "such as `prices`"]);
    desk.run(&["new", "books", "--lang=rust", "--sdk=prices"])
        .ends_with(2)
        .says(&["--sdk prices is no clone", "guest/sdk/Cargo.toml"]);
    assert_eq!(files(desk.directory.path()), ["prices/mine.txt"]);
    desk.run(&["new", "prices/mine.txt/deep", "--lang=rust"])
        .ends_with(1)
        .says(&["cannot look into the folder"]);
    assert_eq!(files(desk.directory.path()), ["prices/mine.txt"]);
}

#[test]
fn an_empty_folder_is_filled_and_belongs_to_whom_the_umask_says() {
    let desk = Desk::new();
    fs::create_dir(desk.path("prices")).unwrap();
    desk.run(&["new", "prices", "--lang=python"]).succeeded();
    let mode = |name: &str| desk.path(name).metadata().unwrap().permissions().mode() & 0o777;
    // A file that this process writes itself has the same umask.
    fs::write(desk.path("mine.txt"), "mine").unwrap();
    assert_eq!(mode("prices/handler.py"), mode("mine.txt"));
    fs::create_dir(desk.path("mine")).unwrap();
    assert_eq!((mode("prices"), mode("prices/samples")), (mode("mine"), mode("mine")));
}

#[test]
fn what_a_language_needs_is_named_with_the_command_that_gets_it() {
    let desk = Desk::new();
    let pair = |needed: &str, install: &str| (needed.to_owned(), install.to_owned());
    let [(rustc, rustup)] = &desk.missing("rust")[..] else {
        panic!("without a compiler nothing else is asked")
    };
    assert!(rustc.contains("rustc 1.95") && rustup.contains("sh.rustup.rs"), "{rustc}: {rustup}");
    assert_eq!(desk.missing("python")[0].0, "python3 3.11 or later");
    let both: Vec<_> = desk.missing("typescript").into_iter().map(|(needed, _)| needed).collect();
    assert_eq!(both, ["node 20.0 or later", "npm 9.0 or later"]);
    desk.has("rustc", "rustc 1.80.1 (3f5fd8dd4 2024-08-06)");
    assert_eq!(
        desk.missing("rust"),
        [
            pair("rustc 1.95 or later", "rustup update stable"),
            pair("Rust's target wasm32-wasip2", "rustup target add wasm32-wasip2")
        ]
    );
    desk.has("python3", "Python 3.9.2");
    assert_eq!(desk.missing("python").len(), 1, "venv is there, and the version is old");
    let ended = desk.run(&["new", "shown", "--lang=python"]).succeeded();
    assert!(
        ended.stdout.contains("missing: python3 3.11 or later; this one is 3.9. This gets it:"),
        "{ended:?}"
    );
}

#[test]
fn a_project_for_azure_has_what_azd_deploys_under_its_own_name() {
    let desk = Desk::new();
    for (lang, _) in LANGUAGES {
        let name = format!("{lang}-prices");
        let made = desk.run(&["new", &name, "--lang", lang, "--azure", "--output=json"]).succeeded().json();
        let files = made["files"].as_array().unwrap();
        for file in [
            "azure.yaml",
            "infra/README.md",
            "infra/longshore.json",
            "infra/main.bicep",
            "infra/main.bicepparam",
        ] {
            assert!(files.contains(&json!(file)), "{file}: {files:?}");
        }
        let read = |file: &str| fs::read_to_string(desk.path(&name).join(file)).unwrap();
        let azd = read("azure.yaml");
        assert!(azd.contains(&format!("\nname: {name}\n")), "{azd}");
        assert!(azd.contains(&format!("/handlers/{name}\"")), "{azd}");
        // The template is that of the repository, and the module names it.
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra");
        assert_eq!(
            read("infra/longshore.json"),
            fs::read_to_string(repository.join("azuredeploy.json")).unwrap()
        );
        assert!(read("infra/main.bicep").contains("module longshore 'longshore.json'"));
    }
    let plain = desk.run(&["new", "plain", "--lang", "python", "--output=json"]).succeeded().json();
    assert!(!plain["files"].as_array().unwrap().contains(&json!("azure.yaml")));
}
