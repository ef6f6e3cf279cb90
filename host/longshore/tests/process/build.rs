//! `build`: what the project file says of it, as a shell runs it.

use std::fs;

use serde_json::json;

use crate::process::{longshore, run};
use crate::project_folder::ProjectFolder;
use longshore_testkit::wait::until;

/// What must not be seen.
const SECRET: &str = "swordfish7";

/// A project whose component is built by this command.
fn built_by(command: &str) -> ProjectFolder {
    ProjectFolder::with(&format!("component = 'out/handler.wasm'\n[build]\ncommand = '''{command}'''\n"))
}

#[test]
fn a_build_runs_in_the_projects_folder_and_shows_what_it_says() {
    let project = built_by("mkdir -p out; echo compiling; echo careful >&2; printf 1234 > out/handler.wasm");
    let ended = project.run(&["build"]).succeeded();
    assert!(
        ended.stdout.starts_with("compiling\n") && ended.stdout.contains("component  out/handler.wasm\n"),
        "{ended:?}"
    );
    ended.says(&["careful"]);
    // From elsewhere as well.
    fs::remove_dir_all(project.path("out")).unwrap();
    let file = project.path("longshore.toml");
    let ended =
        run(&mut longshore(["build", "--output=json", "--project", file.to_str().unwrap()])).succeeded();
    assert_eq!(
        (ended.json()["bytes"].as_u64(), ended.stderr.contains("compiling")),
        (Some(4), true),
        "{ended:?}"
    );
    assert_eq!(ended.json()["component"], json!(project.path("out/handler.wasm")));
}

#[test]
fn a_build_that_fails_names_its_exit_code_and_none_of_its_secrets() {
    let project = built_by(&format!("true 'https://a:{SECRET}@b' 'sig={SECRET}'; exit 7"));
    let ended = project.run(&["build"]).ends_with(1);
    ended.says(&["the build ended with exit code 7", "`build.command` in longshore.toml", "https://…@b"]);
    let config = project.run(&["config"]).succeeded();
    assert!(config.stdout.contains("build.command"), "{config:?}");
    for shown in [ended.stderr, ended.stdout, config.stdout] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
    built_by("kill -9 $$").run(&["build"]).ends_with(1).says(&["was ended by signal 9"]);
    built_by("no-such-program --build")
        .run(&["build"])
        .ends_with(1)
        .says(&["a program that it starts is not there"]);
}

#[test]
fn a_build_without_a_command_or_without_a_component_says_what_to_write() {
    ProjectFolder::with("forever = false\n").run(&["build"]).ends_with(2).says(&[
        "longshore.toml does not say how to build",
        "`[build]`",
        "command =",
    ]);
    let nowhere = tempfile::tempdir().unwrap();
    let ended = run(longshore(["build"]).current_dir(nowhere.path())).never_panicked();
    ended.ends_with(2).says(&["there is no project file", "--project", "longshore new"]);
    built_by("true")
        .run(&["build"])
        .ends_with(3)
        .says(&["the component out/handler.wasm cannot be found", "`component` in the project file"]);
    for (command, wrong) in
        [("mkdir -p out/handler.wasm", "is no file"), ("mkdir out; > out/handler.wasm", "is empty")]
    {
        built_by(command)
            .run(&["build"])
            .ends_with(3)
            .says(&[&format!("the component out/handler.wasm {wrong}"), "`component` in the project file"]);
    }
    // One in a registry is no file that a build could leave.
    let elsewhere = ProjectFolder::with("component = 'oci://r.example/a:1'\n[build]\ncommand = 'true'\n");
    assert_eq!(elsewhere.run(&["build", "--output=json"]).succeeded().json()["component"], json!(null));
}

#[test]
fn a_stop_ends_a_build_with_all_that_it_has_started() {
    let project = built_by("sh -c 'echo $$ > pid; exec sleep 600'; true");
    let building = project.longshore(&["build"]).start();
    let pid = until("the build, to start", || {
        fs::read_to_string(project.path("pid")).ok().filter(|it| it.ends_with('\n'))
    });
    building.terminate();
    building.wait().ends_with(1).says(&["the build was stopped by SIGTERM"]);
    // Without anybody to wait for it, what has ended stays for a moment as a zombie.
    let status = format!("/proc/{}/status", pid.trim());
    until("the end of what it started", || {
        let status = fs::read_to_string(&status).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    });
}
